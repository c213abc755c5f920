"""Lesson 3, Parameter groups: the checks of its exercises, its self-test and its pictures."""

from difflr.lessons.groups.checks import (
    check_configure,
    check_design,
    check_groups,
    check_rates,
    lesson,
)
from difflr.lessons.groups.quiz import quiz

__all__ = ["check_configure", "check_design", "check_groups", "check_rates", "lesson", "quiz"]
