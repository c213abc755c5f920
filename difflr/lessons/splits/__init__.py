"""Lesson 1, Splits: the checks of its exercises, its self-test and its pictures."""

from difflr.lessons.splits.checks import check_budget as check_budget
from difflr.lessons.splits.checks import check_cut as check_cut
from difflr.lessons.splits.checks import check_groups as check_groups
from difflr.lessons.splits.checks import check_prediction as check_prediction
from difflr.lessons.splits.checks import lesson as lesson
from difflr.lessons.splits.quiz import quiz as quiz
