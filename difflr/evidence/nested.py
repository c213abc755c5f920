"""A difference between two tuned recipes, with the noise of tuning inside its interval."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from difflr.errors import DifflrError
from difflr.evidence.summaries import by_rate
from difflr.runs.statistics import Estimate, bootstrap_half, paired, shared_seeds
from difflr.studies.recordings import Run

__all__ = ["Side", "nested_difference", "tried_rates", "tuned_difference"]


class Side(NamedTuple):
    """A recipe: what its learning rate was chosen by, and what was reported at the chosen one.

    ``tried`` maps base LR to seed to validation accuracy, ``reported`` seed to test accuracy.
    """

    tried: Mapping[float, Mapping[int, float]]
    reported: Mapping[int, float]


def tuned_difference(runs: Sequence[Run], rival: Sequence[Run]) -> Estimate:
    """Return the paired difference of test accuracies, ``nested_difference`` of two sides' runs.

    Args:
        runs, rival: of one recipe each: on validation pictures, and on test pictures at the rate chosen.
    """
    sides = []
    for side in (runs, rival):
        tried = tried_rates(side)
        tested = [run for run in side if run.measured_on == "test"]
        sides.append(Side(tried, {run.seed: run.accuracy for run in tested}))
        if len(sides[-1].reported) != len(tested):
            raise DifflrError(
                "A side of the comparison has a test seed twice.",
                "Compare two recipes, each tuned.",
            )
    return nested_difference(*sides)


def tried_rates(runs: Sequence[Run]) -> dict[float, dict[int, float]]:
    """Return base LR to seed to validation accuracy; a rate given up early was not to be chosen."""
    tried = by_rate([run for run in runs if run.measured_on == "validation"])
    most = max(map(len, tried.values()), default=0)
    return {lr: own for lr, own in tried.items() if len(own) == most}


def nested_difference(ours: Side, rival: Side, *, resamples: int = 2000, seed: int = 0) -> Estimate:
    """Return the mean paired difference that was reported, with an interval that holds the choice.

    In every resample the choosing seeds are drawn anew, each side chooses again by their mean, and what
    it loses by choosing another rate (by the means over all choosing seeds) is added to the mean of the
    reporting seeds, which are drawn anew too. Both sides get the same draws: they are paired. The half-width
    is that of ``bootstrap_half``, for the reporting seeds.
    Source: the bootstrap of a whole procedure, Efron and Tibshirani 1993, chapters 8 and 9.

    Raises:
        DifflrError: without a seed that all rates of both sides were tried with, or two that both report.
    """
    difference = paired(ours.reported, rival.reported)
    shared = shared_seeds(ours.reported, rival.reported)
    gaps = np.array([ours.reported[s] - rival.reported[s] for s in shared])
    columns = [own.keys() for side in (ours, rival) for own in side.tried.values()]
    choosing = sorted(set.intersection(*map(set, columns))) if columns else []
    if not choosing or len(shared) < 2:
        raise DifflrError(
            f"Received {len(choosing)} seeds that chose for both sides, {len(shared)} that report both.",
            "Choose from one seed or more, the same for all rates, and report from two or more.",
        )
    numbers = np.random.default_rng(seed)
    n, m = len(shared), len(choosing)
    weights = numbers.multinomial(m, [1 / m] * m, resamples) / m
    means = numbers.multinomial(n, [1 / n] * n, resamples) @ gaps / n
    lost = [_lost(side, choosing, weights) for side in (ours, rival)]
    return Estimate(difference.mean, bootstrap_half((means + lost[0] - lost[1]).tolist(), n), n)


def _lost(side: Side, choosing: Sequence[int], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return for each resample (a row of ``weights``, over seeds) what its choice loses, 0 or less."""
    table = np.array([[own[seed] for seed in choosing] for own in side.tried.values()])
    best = (weights @ table.T).argmax(1)
    means = table.mean(1)
    return means[best] - means.max()
