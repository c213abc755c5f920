"""Lesson 4, OneCycleLR: the checks of its exercises, its self-test and its pictures."""

from difflr.lessons.one_cycle.checks import check_configure as check_configure
from difflr.lessons.one_cycle.checks import check_curve as check_curve
from difflr.lessons.one_cycle.checks import check_cycle as check_cycle
from difflr.lessons.one_cycle.checks import check_prediction as check_prediction
from difflr.lessons.one_cycle.checks import lesson as lesson
from difflr.lessons.one_cycle.quiz import quiz as quiz
