"""Lesson 1, Splits: the checks of its exercises, its self-test and its pictures."""

from difflr.lessons.splits.checks import (
    check_budget,
    check_cut,
    check_groups,
    check_prediction,
    lesson,
)
from difflr.lessons.splits.quiz import quiz

__all__ = ["check_budget", "check_cut", "check_groups", "check_prediction", "lesson", "quiz"]
