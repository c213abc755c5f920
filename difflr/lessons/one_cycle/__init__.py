"""Lesson 4, OneCycleLR: the checks of its exercises, its self-test and its pictures."""

from difflr.lessons.one_cycle.checks import (
    check_configure,
    check_curve,
    check_cycle,
    check_prediction,
    lesson,
)
from difflr.lessons.one_cycle.quiz import quiz

__all__ = ["check_configure", "check_curve", "check_cycle", "check_prediction", "lesson", "quiz"]
