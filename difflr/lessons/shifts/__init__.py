"""Lesson 7, When the recipe is wrong: the checks of its exercises, its self-test and its pictures."""

from difflr.lessons.shifts.checks import (
    INPUT_SHIFTS,
    check_adapt,
    check_choice,
    check_prediction,
    check_surgical,
    lesson,
    regret,
    reported,
)
from difflr.lessons.shifts.quiz import quiz

__all__ = [
    "INPUT_SHIFTS",
    "check_adapt",
    "check_choice",
    "check_prediction",
    "check_surgical",
    "lesson",
    "quiz",
    "regret",
    "reported",
]
