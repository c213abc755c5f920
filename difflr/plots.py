"""A plan as a picture and in words, before anything is trained."""

from collections.abc import Sequence
from itertools import groupby

from matplotlib.figure import Figure

from difflr.errors import DifflrError
from difflr.plan import Plan
from difflr.planfigure import PlanFigure

__all__ = ["PlanFigure", "describe_plan", "plot_plan"]


def plot_plan(plan: Plan, names: Sequence[str] | None = None, steps_per_epoch: int = 50) -> Figure:
    """Draw a plan before training: LR per split on a log axis, momentum, and what is frozen.

    Args:
        plan: the plan; every number drawn is ``plan.lrs(step, steps_per_epoch)``.
        names: of the splits, shallow to deep.
        steps_per_epoch: optimizer steps in one epoch.

    Returns:
        A matplotlib figure; ``figure.savefig("plan.png")`` writes it.

    Raises:
        DifflrError: for another number of names than splits.
    """
    return PlanFigure(plan, _names(plan, names), steps_per_epoch, dpi=120).figure


def describe_plan(plan: Plan, names: Sequence[str] | None = None) -> str:
    """Return in words what ``plot_plan`` draws: the text for those who do not see the picture."""
    names = _names(plan, names)
    parts = [
        f"Learning rates over {_count(plan.epochs, 'epoch')} in {_count(len(plan.phases), 'phase')} "
        f"for {_count(plan.n_splits, 'split')}, {names[0]} (shallow) to {names[-1]} (deep)."
    ]
    for index, (start, phase) in enumerate(zip(plan.starts, plan.phases, strict=True), 1):
        last = start + phase.epochs
        span = f"epoch {last}" if phase.epochs == 1 else f"epochs {start + 1} to {last}"
        peaks = [
            f"{lr:.2g}" if trains else "frozen"
            for lr, trains in zip(phase.lrs, phase.trainable, strict=True)
        ]
        parts.append(
            f"Phase {index}, {span}, peaks after {phase.pct_start:.0%} of its steps: "
            f"{', '.join(_runs(names, peaks))}."
        )
    if plan.cycle_momentum:
        low, high = plan.base_momentum, plan.max_momentum
        parts.append(f"Momentum is {low:g} at each peak and {high:g} at the ends of a phase.")
    else:
        parts.append("Momentum is left to the optimizer.")
    return " ".join(parts)


def _runs(names: Sequence[str], values: Sequence[str]) -> list[str]:
    """Say what holds for each split, neighbours with the same value together."""
    parts = []
    for value, pairs in groupby(zip(names, values, strict=True), key=lambda pair: pair[1]):
        members = [name for name, _ in pairs]
        who = members[0] if len(members) == 1 else f"{members[0]} to {members[-1]}"
        parts.append(f"{who} {value}")
    return parts


def _names(plan: Plan, names: Sequence[str] | None) -> tuple[str, ...]:
    names = tuple(names or (f"split {i}" for i in range(plan.n_splits)))
    if len(names) != plan.n_splits:
        raise DifflrError(
            f"Received {len(names)} names for a plan of {plan.n_splits} splits.",
            "Pass the names of the splits that the plan is made for.",
        )
    return names


def _count(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
