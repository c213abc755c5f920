"""Lesson 2, Freezing: the checks of its exercises, its self-test and its pictures."""

from difflr.lessons.freezing.checks import (
    check_freeze,
    check_prediction,
    check_schedule,
    check_training,
    lesson,
)
from difflr.lessons.freezing.quiz import quiz

__all__ = ["check_freeze", "check_prediction", "check_schedule", "check_training", "lesson", "quiz"]
