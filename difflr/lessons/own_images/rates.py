"""Learning rates for lesson 8: which to try after a range test, and the best of those tried."""

import numpy as np

from difflr.errors import DifflrError
from difflr.experiments.results import Results
from difflr.rangetest.finder import RangeTest
from difflr.runs.statistics import Summary, summarise

__all__ = ["best_rates", "trial_rates"]

_FACTOR = 3.0  # between two rates that are tried
_LARGEST = 0.03  # in the middle: above it AdamW moves each weight by its own size in a few steps


def trial_rates(test: RangeTest) -> tuple[float, float, float]:
    """Return three rates of the fastest split to try, a factor of 3 apart, from the suggestion upwards.

    A cycle is at its peak for a moment only, and bears more than a rate that stays. The one in the
    middle is at most a third of the rate at which the smoothed loss was lowest, and at
    most 0.03: on few pictures, which come again and again, the loss falls far beyond what is useful.
    """
    largest = max(test.lrs)
    lowest = test.multipliers[int(np.argmin(test.smoothed))]
    begin = max(test.suggested_lrs) * (_FACTOR if test.suggestion else 1)
    middle = min(begin, lowest * largest / 3, _LARGEST)
    rates = (middle / _FACTOR, middle, middle * _FACTOR)
    return tuple(float(f"{rate:.0e}") for rate in rates)  # type: ignore[return-value]


def best_rates(results: Results) -> list[Summary]:
    """Return for each recipe, in the order of the runs, the rate with the best mean accuracy.

    A rate of which a run diverged is never the best.

    Raises:
        DifflrError: for a recipe all of whose rates diverged.
    """
    sound: dict[str, list[Summary]] = {}
    for tried in summarise(results.runs):
        own = sound.setdefault(tried.recipe.partition(":")[0], [])
        own += [] if tried.diverged else [tried]
    if broken := [name for name, own in sound.items() if not own]:
        raise DifflrError(
            f"Every learning rate of {', '.join(broken)} diverged.", "Try smaller ones."
        )
    return [max(own, key=lambda tried: tried.accuracy.mean) for own in sound.values()]
