"""Lesson 7, When the recipe is wrong: the checks of its exercises, its self-test and its pictures."""

from difflr.lessons.shifts.checks import INPUT_SHIFTS as INPUT_SHIFTS
from difflr.lessons.shifts.checks import check_adapt as check_adapt
from difflr.lessons.shifts.checks import check_choice as check_choice
from difflr.lessons.shifts.checks import check_prediction as check_prediction
from difflr.lessons.shifts.checks import check_surgical as check_surgical
from difflr.lessons.shifts.checks import lesson as lesson
from difflr.lessons.shifts.checks import regret as regret
from difflr.lessons.shifts.checks import reported as reported
from difflr.lessons.shifts.quiz import quiz as quiz
