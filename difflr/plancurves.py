"""The numbers behind the picture of a plan: learning rates and momenta at the steps worth drawing."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from difflr.plan import Plan

__all__ = ["PlanCurves", "plan_curves"]

_POINTS = 240  # in a plan; more cannot be told apart on a screen, and each costs time


@dataclass(frozen=True)
class PlanCurves:
    """Learning rates and momentum of a plan at some of its steps, phase by phase.

    ``x`` (points) is in epochs, ``lrs`` is (points, splits), ``momentum`` (points). All are NaN in the
    gap between two phases, a learning rate also where its split is frozen, the momentum wherever it
    is left to the optimizer. ``phases`` holds the first point of each phase and the one after its
    last; ``lr_limits`` are powers of ten that hold what matters of the learning rates.
    """

    x: NDArray[Any]
    lrs: NDArray[Any]
    momentum: NDArray[Any]
    phases: tuple[tuple[int, int], ...]
    lr_limits: tuple[float, float]

    def points(self, share: float) -> list[int]:
        """Return one point in each phase, at a share of its points from 0 to 1."""
        return [begin + int(share * (end - begin)) for begin, end in self.phases]


def plan_curves(plan: Plan, steps_per_epoch: int) -> PlanCurves:
    """Return the curves of a plan whose epochs have ``steps_per_epoch`` optimizer steps."""
    steps, breaks = _steps(plan, steps_per_epoch)
    points = [plan.at(step, steps_per_epoch) for step in steps]
    x = np.insert(np.array(steps) / steps_per_epoch, breaks, np.nan)
    lrs = np.array([point.lrs for point in points])
    lrs = np.insert(np.where(lrs > 0, lrs, np.nan), breaks, np.nan, axis=0)
    momentum = np.insert([point.momentum for point in points], breaks, np.nan)
    ends = [*(b + i for i, b in enumerate(breaks)), len(x)]
    begins = [0, *(end + 1 for end in ends[:-1])]
    return PlanCurves(
        x,
        lrs,
        momentum if plan.cycle_momentum else momentum * np.nan,
        tuple(zip(begins, ends, strict=True)),
        _lr_limits(plan, lrs),
    )


def _steps(plan: Plan, steps_per_epoch: int) -> tuple[list[int], list[int]]:
    """Return the steps to draw, and the positions in that list at which a new phase begins."""
    steps: list[int] = []
    breaks = []
    share = max(8, _POINTS // len(plan.phases))
    for start, phase in zip(plan.starts, plan.phases, strict=True):
        count = phase.epochs * steps_per_epoch
        inside = set(np.linspace(0, count - 1, min(share, count)).round().astype(int).tolist())
        peak = math.floor(phase.pct_start * count - 1)
        # The peak, and the end of a fall over decades, must not lie between two drawn steps.
        inside |= {s for s in (peak, peak + 1, count - 2, count - 3) if 0 <= s < count}
        if steps:
            breaks.append(len(steps))
        steps += [start * steps_per_epoch + s for s in sorted(inside)]
    return steps, breaks


def _lr_limits(plan: Plan, lrs: NDArray[Any]) -> tuple[float, float]:
    used = [(lr, lr / phase.div_factor) for phase in plan.phases for lr in phase.lrs if lr]
    # The last steps of a phase fall by further decades, which would press all else together.
    low = min(max(start, peak / 30) for peak, start in used)
    # A phase of one step trains at its minimum, however low that is: show it all the same.
    drawn = [column[column > 0] for column in lrs.T]  # NaN is not above 0
    low = min([low, *(max(rates) for rates in drawn if len(rates))])
    bottom = math.floor(2 * math.log10(low)) / 2  # half decades, not to jump at every move
    top = math.ceil(2 * math.log10(max(peak for peak, _ in used)) + 0.3) / 2
    return bottom, top
