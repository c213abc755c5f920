"""Lesson 8, Your own images: the checks of its exercises, its self-test and its pictures."""

from difflr.lessons.own_images.checks import check_choice as check_choice
from difflr.lessons.own_images.checks import check_leaks as check_leaks
from difflr.lessons.own_images.checks import check_plans as check_plans
from difflr.lessons.own_images.checks import check_prediction as check_prediction
from difflr.lessons.own_images.checks import check_sheet as check_sheet
from difflr.lessons.own_images.checks import lesson as lesson
from difflr.lessons.own_images.quiz import quiz as quiz
