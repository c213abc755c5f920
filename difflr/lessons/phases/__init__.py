"""Lesson 5, Phases: the checks of its exercises, its self-test and its pictures."""

from difflr.lessons.phases.checks import SCHEDULE as SCHEDULE
from difflr.lessons.phases.checks import check_budget as check_budget
from difflr.lessons.phases.checks import check_in_force as check_in_force
from difflr.lessons.phases.checks import check_phases as check_phases
from difflr.lessons.phases.checks import check_prediction as check_prediction
from difflr.lessons.phases.checks import lesson as lesson
from difflr.lessons.phases.quiz import quiz as quiz
