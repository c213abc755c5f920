"""Lesson 6, Uniform or differential: the checks of its exercises, its self-test and its pictures."""

from difflr.lessons.comparing.checks import (
    SIZE,
    check_fair,
    check_interval,
    check_prediction,
    check_robust,
    lesson,
    worst,
)
from difflr.lessons.comparing.quiz import quiz

__all__ = [
    "SIZE",
    "check_fair",
    "check_interval",
    "check_prediction",
    "check_robust",
    "lesson",
    "quiz",
    "worst",
]
