"""What recorded runs say: means with intervals, paired differences, and the width of a plateau."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from difflr.errors import DifflrError, as_int, as_number
from difflr.runs.statistics import (
    Estimate,
    describe_difference,
    format_estimate,
    mean_interval,
    paired,
)
from difflr.studies.recordings import Recording, Run

__all__ = [
    "SIDE",
    "Width",
    "WidthGap",
    "by_rate",
    "chosen",
    "describe_difference",
    "difference",
    "drawn",
    "estimate",
    "format_estimate",
    "grouped",
    "numbers",
    "plateau_width",
    "when_off",
    "when_off_difference",
    "width_difference",
]

SIDE = ("recipe", "ratio", "decay")  # tags that two recipes which are compared differ in


def grouped(runs: Sequence[Run], *tags: str) -> dict[tuple[Any, ...], list[Run]]:
    """Return the runs by the values of these tags, in the order in which they first come."""
    groups: dict[tuple[Any, ...], list[Run]] = defaultdict(list)
    for run in runs:
        values = run.tags
        groups[tuple(values[tag] for tag in tags)].append(run)
    return dict(groups)


def numbers(runs: Sequence[Run], measure: str, index: int | None = None) -> list[float]:
    """Return one number per run (of split or epoch ``index``); those without are left out."""
    found = [getattr(run, measure) for run in runs]
    picked = found if index is None else [values[index] for values in found if values]
    return [value for value in picked if value is not None]


def estimate(runs: Sequence[Run], measure: str = "accuracy", index: int | None = None) -> Estimate:
    """Return the mean over runs with its 95% interval (see ``mean_interval``); NaN without runs."""
    values = numbers(runs, measure, index)
    return mean_interval(values) if values else Estimate(math.nan, math.nan)


def drawn(values: Iterable[Estimate], scale: float = 100) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return means and half-widths as pictures show them; that of a single run, which has none, is 0."""
    pairs = np.array([(value.mean, value.half) for value in values]).reshape(-1, 2)
    return scale * pairs[:, 0], scale * np.nan_to_num(pairs[:, 1])


def difference(runs: Sequence[Run], rival: Sequence[Run], measure: str = "accuracy") -> Estimate:
    """Return the mean paired difference over the seeds that both have, with its 95% interval.

    Raises:
        DifflrError: when they have no seed in common, or a side has a seed twice.
    """
    sides = [{run.seed: getattr(run, measure) for run in side} for side in (runs, rival)]
    if [len(side) for side in sides] != [len(runs), len(rival)]:
        raise DifflrError(
            "A side of the comparison has a seed twice.", "Compare two cells, from one stage."
        )
    known = ({seed: x for seed, x in side.items() if x is not None} for side in sides)
    return paired(*known)


@dataclass(frozen=True)
class Width:
    """Width of a plateau in decades of the base LR, with a percentile bootstrap interval over seeds.

    From five seeds such an interval holds the true width in 85 to 88% of all cases, not in 95: compare
    two plateaus by ``width_difference``.

    ``at_edge``: the plateau reaches the lowest or highest LR tried, so it is at least this wide.
    """

    decades: float
    low: float
    high: float
    at_edge: bool


def plateau_width(
    accuracies: Mapping[float, Mapping[int, float]],
    within: float = 0.02,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Width:
    """Return how far the base LR can be off and still be within ``within`` of the best accuracy.

    The mean accuracy over seeds is taken as linear in the logarithm of the LR between those tried;
    the plateau is the stretch around the best LR where it stays at least at the best less ``within``.

    Args:
        accuracies: base LR to seed to accuracy (0 to 1), the same seeds for every LR.
        within: 0.02 is two points of accuracy.
        resamples, seed: of the bootstrap over seeds (percentiles 2.5 and 97.5).
    """
    within, n = as_number("within", within, 0.0, 1.0), as_int("resamples", resamples, 1)
    rates = sorted(accuracies)
    seeds = sorted(set.intersection(*(set(accuracies[lr]) for lr in rates))) if rates else []
    if len(rates) < 2 or rates[0] <= 0 or not seeds:
        raise DifflrError(
            f"Received {len(rates)} learning rates with {len(seeds)} seeds in common.",
            "A width needs at least two learning rates above 0 and a seed that all have.",
        )
    x = np.log10(rates)
    table = np.array([[accuracies[lr][s] for lr in rates] for s in seeds])
    width, at_edge = _stretch(x, table.mean(0), within)
    draws = np.random.default_rng(seed).integers(len(seeds), size=(n, len(seeds)))
    widths = [_stretch(x, table[rows].mean(0), within)[0] for rows in draws]
    low, high = np.percentile(widths, [2.5, 97.5])
    return Width(width, float(low), float(high), at_edge)


def _stretch(x: NDArray[np.float64], y: NDArray[np.float64], within: float) -> tuple[float, bool]:
    best = int(y.argmax())
    floor = y[best] - within
    ends, at_edge = [], False
    for way in (-1, 1):
        i = best
        while 0 <= i + way < len(x) and y[i + way] >= floor:
            i += way
        end = float(x[i])
        if 0 <= i + way < len(x):  # where the line to the next LR falls below the floor
            end += float((x[i + way] - x[i]) * (y[i] - floor) / (y[i] - y[i + way]))
        else:
            at_edge = True
        ends.append(end)
    return ends[1] - ends[0], at_edge


def when_off(runs: Sequence[Run], factor: float) -> Estimate:
    """Return what is lost with a base LR ``factor`` times the best one: a paired difference.

    The best LR is the one with the best mean of these same runs, which flatters it a little.

    Args:
        runs: of one recipe at several base LRs, measured on the same pictures.
        factor: 10 is ten times too high, 0.1 ten times too low.

    Raises:
        DifflrError: where that LR was not tried.
    """
    own = _when_off(runs, factor)
    return mean_interval([*own.values()])


def when_off_difference(runs: Sequence[Run], rival: Sequence[Run], factor: float) -> Estimate:
    """Return how much less ``runs`` lose than ``rival`` with such a base LR, paired by seed.

    See ``when_off``: each side is compared with its own best LR.
    """
    return paired(_when_off(runs, factor), _when_off(rival, factor))


def _when_off(runs: Sequence[Run], factor: float) -> dict[int, float]:
    """Return by seed what is gained (lost, below 0) against the best LR."""
    rates = {rate: own for (rate,), own in grouped(runs, "base_lr").items()}
    best = max(rates, key=lambda rate: estimate(rates[rate]).mean)
    wished = best * as_number("factor", factor, 0.0, above=True)
    # Half-decades are written 1, 3, 10: three times 3e-4 means 1e-3.
    near = [rate for rate in rates if math.isclose(rate, wished, rel_tol=0.15)]
    if not near:
        raise DifflrError(
            f"The best base LR is {best:g}; {wished:g} was not tried.", "Choose another factor."
        )
    off, at_best = ({run.seed: run.accuracy for run in rates[lr]} for lr in (near[0], best))
    return {seed: off[seed] - at_best[seed] for seed in off.keys() & at_best.keys()}


@dataclass(frozen=True)
class WidthGap(Estimate):
    """How many decades wider one plateau is than another.

    ``cut`` counts for either side the seeds whose plateau reaches the end of the grid: with ours alone cut
    off the gap is at least this large, with the rival's alone at most.
    """

    cut: tuple[int, int] = (0, 0)

    def __str__(self) -> str:
        ours, theirs = self.cut
        sign = (
            "" if not any(self.cut) else "≥ " if not theirs else "≤ " if not ours else "cut off: "
        )
        return f"{sign}{self.mean:+.2f} ± {self.half:.2f}"


def width_difference(runs: Sequence[Run], rival: Sequence[Run], within: float = 0.02) -> WidthGap:
    """Return how many decades wider the plateau of ``runs`` is, with its 95% interval.

    Each seed has a plateau of its own on either side (``plateau_width``); the interval is Student's,
    over the differences of the seeds that both have. Plateaus cut off by the grid's edge count as
    wide as the grid shows them, and are counted in ``cut``.
    """
    ours, theirs = (_widths(side, within) for side in (runs, rival))
    gap = paired(*({s: width.decades for s, width in side.items()} for side in (ours, theirs)))
    shared = ours.keys() & theirs.keys()
    ours_cut, theirs_cut = (sum(side[seed].at_edge for seed in shared) for side in (ours, theirs))
    return WidthGap(gap.mean, gap.half, gap.n, (ours_cut, theirs_cut))


def _widths(runs: Sequence[Run], within: float) -> dict[int, Width]:
    table = by_rate(runs)
    seeds = [s for s in {run.seed for run in runs} if all(s in own for own in table.values())]
    curves = {s: {lr: {s: own[s]} for lr, own in table.items()} for s in seeds}
    return {s: plateau_width(curve, within, resamples=1) for s, curve in curves.items()}


def by_rate(runs: Sequence[Run]) -> dict[float, dict[int, float]]:
    """Return base LR to seed to accuracy, as ``plateau_width`` takes it."""
    table: dict[float, dict[int, float]] = defaultdict(dict)
    for run in runs:
        table[run.tags["base_lr"]][run.seed] = run.accuracy
    return dict(table)


def chosen(recording: Recording, measured_on: str, **tags: Any) -> list[Run]:
    """Return the runs with these tags, or say that there are none."""
    runs = recording.where(measured_on=measured_on, **tags)
    if not runs:
        raise DifflrError(
            f"The recording {recording.study} has no runs with {tags} measured on {measured_on}.",
            "Choose values that it has: see Recording.values(tag).",
        )
    return runs
