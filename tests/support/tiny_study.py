"""A study of a few runs that take no time."""

from difflr.studies.cell import Cell
from difflr.studies.design import Study

CELLS = [
    Cell("differential", {"lr": lr, "ratio": ratio}, 12, 1)
    for lr in (1e-3, 1e-2)
    for ratio in (1.0, 100.0)
]


def study(task, **changes):
    """Return a tiny study: two base LRs × two ratios."""
    options = {"cells": CELLS, "seeds": (0, 1), "report_seeds": (100,), "choose_by": ("ratio",)}
    return Study("tiny", task, **{**options, **changes})
