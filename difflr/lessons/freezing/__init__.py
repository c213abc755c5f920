"""Lesson 2, Freezing: the checks of its exercises, its self-test and its pictures."""

from difflr.lessons.freezing.checks import check_freeze as check_freeze
from difflr.lessons.freezing.checks import check_prediction as check_prediction
from difflr.lessons.freezing.checks import check_schedule as check_schedule
from difflr.lessons.freezing.checks import check_training as check_training
from difflr.lessons.freezing.checks import lesson as lesson
from difflr.lessons.freezing.quiz import quiz as quiz
