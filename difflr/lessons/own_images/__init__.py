"""Lesson 8, Your own images: the checks of its exercises, its self-test and its pictures."""

from difflr.lessons.own_images.checks import (
    check_choice,
    check_leaks,
    check_plans,
    check_prediction,
    check_sheet,
    lesson,
)
from difflr.lessons.own_images.quiz import quiz

__all__ = [
    "check_choice",
    "check_leaks",
    "check_plans",
    "check_prediction",
    "check_sheet",
    "lesson",
    "quiz",
]
