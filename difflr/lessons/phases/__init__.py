"""Lesson 5, Phases: the checks of its exercises, its self-test and its pictures."""

from difflr.lessons.phases.checks import (
    SCHEDULE,
    check_budget,
    check_in_force,
    check_phases,
    check_prediction,
    lesson,
)
from difflr.lessons.phases.quiz import quiz

__all__ = [
    "SCHEDULE",
    "check_budget",
    "check_in_force",
    "check_phases",
    "check_prediction",
    "lesson",
    "quiz",
]
