"""The recipe ``auto_rgn``: an even plan of one phase, and the rates that a run's own gradients give it."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from difflr.plan import Plan
from difflr.rangetest.gradients import suggest_lrs
from difflr.splits import Splits

__all__ = ["even", "graded"]


def graded(plan: Plan, splits: Splits, batches: Iterable[Any]) -> Plan:
    """Return the plan with a rate per split by relative gradient norms; its own rate is the largest."""
    (phase,) = plan.phases
    found = suggest_lrs(splits, batches, max(phase.lrs))
    return replace(plan, phases=[replace(phase, lrs=found.lrs, frozen=found.frozen)])


def even(plan: Plan) -> Plan:
    """Return the plan that ``graded`` was given."""
    phases = [
        replace(phase, lrs=[max(phase.lrs)] * plan.n_splits, frozen=()) for phase in plan.phases
    ]
    return replace(plan, phases=phases)
