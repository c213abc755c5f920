"""Lesson 6, Uniform or differential: the checks of its exercises, its self-test and its pictures."""

from difflr.lessons.comparing.checks import SIZE as SIZE
from difflr.lessons.comparing.checks import check_fair as check_fair
from difflr.lessons.comparing.checks import check_interval as check_interval
from difflr.lessons.comparing.checks import check_prediction as check_prediction
from difflr.lessons.comparing.checks import check_robust as check_robust
from difflr.lessons.comparing.checks import lesson as lesson
from difflr.lessons.comparing.checks import worst as worst
from difflr.lessons.comparing.quiz import quiz as quiz
