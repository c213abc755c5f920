"""Accuracy against compute: what a recipe reaches with as much of it as a rival had."""

import math
from collections.abc import Sequence

from difflr.errors import DifflrError, short_repr
from difflr.evidence.summaries import estimate, grouped
from difflr.runs.statistics import Estimate, paired
from difflr.studies.recordings import Run

__all__ = ["COSTS", "at_cost", "equal_cost"]

COSTS = {
    "flops": "training FLOPs",
    "cpu_seconds": "processor seconds of training",
    "seconds": "seconds of training",
}


def at_cost(runs: Sequence[Run], budget: float, cost: str = "cpu_seconds") -> dict[int, float]:
    """Return seed to accuracy that a recipe reaches with a budget, read between the lengths it was run for.

    Accuracy is taken as linear in the logarithm of the cost (mean over seeds) from one length to the
    next. A recipe whose longest runs cost less than the budget keeps their accuracy: what it could
    do with the rest was not tried.

    Args:
        runs: of one recipe at one or more numbers of epochs, measured on the same pictures.
        budget: in the unit of ``cost``, a key of ``COSTS``.

    Raises:
        DifflrError: for an unknown cost, or where even the shortest runs cost more than the budget.
    """
    if cost not in COSTS:
        raise DifflrError(f"Received cost {short_repr(cost)}.", f"Pass one of {', '.join(COSTS)}.")
    lengths = sorted(
        (
            (estimate(own, cost).mean, {run.seed: run.accuracy for run in own})
            for own in grouped(runs, "epochs").values()
        ),
        key=lambda point: point[0],
    )
    if not lengths or not lengths[0][0] <= budget * 1.001:  # the same runs, summed in another order
        least = f"{lengths[0][0]:.3g}" if lengths else "nothing"
        raise DifflrError(
            f"The shortest runs cost {least}, the budget is {budget:.3g} ({COSTS[cost]}).",
            "Record shorter runs, or compare with a larger budget.",
        )
    below = [point for point in lengths if point[0] <= budget * 1.001][-1]
    above = [point for point in lengths if point[0] > budget * 1.001][:1]
    if not above:
        return below[1]
    (high, longer), (low, shorter) = above[0], below
    share = math.log(budget / low) / math.log(high / low)
    return {
        seed: shorter[seed] + share * (longer[seed] - shorter[seed])
        for seed in shorter
        if seed in longer
    }


def equal_cost(runs: Sequence[Run], rival: Sequence[Run], cost: str = "cpu_seconds") -> Estimate:
    """Return the paired difference of accuracies at equal cost: ``runs`` get what the rival's cost.

    Args:
        runs: of one recipe at one or more numbers of epochs.
        rival: of another at one number of epochs, from the same seeds.
        cost: a key of ``COSTS``.

    Raises:
        DifflrError: as ``at_cost``, or when the two sides have no seed in common.
    """
    ours = at_cost(runs, estimate(rival, cost).mean, cost)
    theirs = {run.seed: run.accuracy for run in rival}
    return paired(ours, theirs)
