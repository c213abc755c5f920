import doctest
from importlib import import_module

import pytest

MODULES = ["errors", "onecycle", "phase", "plan", "milestones", "rates", "recipes", "splits"]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_the_docstrings_are_true(name):
    """Every module of plain data has examples, and they print what they say."""
    failed, tried = doctest.testmod(import_module(f"difflr.{name}"))
    assert tried or name == "recipes"
    assert not failed
