"""Lesson 3, Parameter groups: the checks of its exercises, its self-test and its pictures."""

from difflr.lessons.groups.checks import check_configure as check_configure
from difflr.lessons.groups.checks import check_design as check_design
from difflr.lessons.groups.checks import check_groups as check_groups
from difflr.lessons.groups.checks import check_rates as check_rates
from difflr.lessons.groups.checks import lesson as lesson
from difflr.lessons.groups.quiz import quiz as quiz
