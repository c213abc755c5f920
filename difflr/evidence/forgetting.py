"""Forgetting: what of the source task was lost, by weights or by statistics, and at the same accuracy."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from difflr.errors import DifflrError
from difflr.evidence.nested import tried_rates
from difflr.evidence.summaries import chosen, estimate, grouped
from difflr.figures.style import OKABE_ITO, legend_below, style
from difflr.figures.words import short
from difflr.runs.statistics import MARGIN, Estimate, bootstrap_half, shared_seeds
from difflr.studies.recordings import Recording, Run

__all__ = ["describe_forgetting", "kept_at_equal_accuracy", "plot_forgetting"]

_KEPT, _STATISTICS, _WEIGHTS = OKABE_ITO[0], OKABE_ITO[5], "0.82"


def plot_forgetting(
    recording: Recording, train_size: int, ratios: Sequence[float] = (1, 100)
) -> Figure:
    """Draw for each ratio, over the base LR, how the accuracy on the source task divides up.

    From below: what the fine-tuned network still gets right with its old head; what comes back when
    BatchNorm's old running statistics are put back, so was lost by the statistics alone; and what
    does not come back with them. (Weights that have learned with new statistics may do worse with the old
    ones: then nothing comes back, though statistics estimated anew would bring some.)
    """
    figure = Figure(figsize=(5.2 * len(ratios), 5.2), dpi=110, layout="constrained")
    panels = figure.subplots(1, len(ratios), sharey=True, squeeze=False)[0]
    for axes, ratio in zip(panels, ratios, strict=True):
        rates, before, kept, restored = _shares(recording, train_size, ratio)
        places = np.arange(len(rates))
        back = np.maximum(restored - kept, 0)
        top = kept + back
        bars = (
            (kept, 0 * kept, _KEPT, "", "still known"),
            (back, kept, _STATISTICS, "//", "back with BatchNorm's old statistics"),
            (np.maximum(before - top, 0), top, _WEIGHTS, "..", "not back with them"),
        )
        for height, bottom, colour, hatch, label in bars:
            axes.bar(
                places, height, 0.75, bottom, color=colour, hatch=hatch, edgecolor="white",
                label=label,
            )  # fmt: skip
        axes.axhline(before, color="black", lw=1.5, ls="--", label="before fine-tuning")
        axes.set_xticks(places, [short(lr) for lr in rates])
        axes.set_xlabel("base LR (of the last split)", size=13)
        axes.set_title(f"ratio {ratio:g}" + (" (uniform)" if ratio == 1 else ""), size=14)
        style(axes)
    panels[0].set_ylabel("accuracy on the source task (%)", size=13)
    columns = 4 if len(ratios) > 2 else 2  # one row does not fit below two panels
    legend_below(figure, panels[0], columns, fontsize=12)
    return figure


def describe_forgetting(
    recording: Recording, train_size: int, ratios: Sequence[float] = (1, 100)
) -> str:
    """Return in words what ``plot_forgetting`` draws."""
    parts = [f"Accuracy on the source task after fine-tuning on {train_size:,} pictures."]
    for ratio in ratios:
        rates, before, kept, restored = _shares(recording, train_size, ratio)
        points = ", ".join(
            f"{short(lr)} {own:.0f} ({back:.0f})"
            for lr, own, back in zip(rates, kept, restored, strict=True)
        )
        parts.append(
            f"Ratio {ratio:g}, before {before:.0f}%; by base LR, in brackets with BatchNorm's old "
            f"statistics put back: {points}%."
        )
    return " ".join(parts)


def _shares(
    recording: Recording, train_size: int, ratio: float
) -> tuple[list[float], float, np.ndarray, np.ndarray]:
    """Return base LRs, and in % the source accuracy before, after, and after with old statistics."""
    cells = grouped(chosen(recording, "validation", train_size=train_size, ratio=ratio), "base_lr")
    rates = sorted(lr for (lr,) in cells)
    kept, restored = (
        np.array([100 * estimate(cells[(lr,)], measure).mean for lr in rates])
        for measure in ("source_accuracy", "source_old_bn")
    )
    before = 100 * estimate(cells[(rates[0],)], "source_before").mean
    return (
        rates,
        0.0 if math.isnan(before) else before,
        np.nan_to_num(kept),
        np.nan_to_num(restored),
    )


def kept_at_equal_accuracy(runs: Sequence[Run], rival: Sequence[Run]) -> Estimate:
    """Return the paired difference of what is kept of the source task where both sides are as accurate.

    A lower rate keeps more and is less accurate. So each side is read at the lowest rate at which its mean
    accuracy is ``MARGIN`` below the best that both reach, between two rates that were tried. BatchNorm's
    statistics are estimated anew where the network has any. Where ``runs`` are that accurate at their lowest
    rate already, that one counts, though a lower one would keep more.

    In every resample of the interval the seeds are drawn anew, for both sides and for all of this, so it
    holds that the curves are uncertain; the half-width is taken as in ``nested_difference``.

    Args:
        runs, rival: of one recipe each, those on validation pictures with several seeds for each rate.

    Raises:
        DifflrError: where the rival's lowest rate is that accurate already, or no seed is on both sides.
    """
    sides = [_by_rate_and_seed(side) for side in (runs, rival)]
    seeds = shared_seeds(*(set.intersection(*map(set, side.values())) for side in sides))
    accuracy, kept = (
        [np.array([[at[seed][k] for seed in seeds] for at in side.values()]) for side in sides]
        for k in (0, 1)
    )
    means = [own.mean(1) for own in accuracy]
    lowest, target = means[1][0], _target(means)
    if lowest >= target:
        raise DifflrError(
            f"The rival's lowest rate reaches {100 * lowest:.1f}%, more than the {100 * target:.1f}% "
            "at which both are compared.",
            "Record it at lower rates.",
        )

    def gap(weights: NDArray[np.float64]) -> float:
        curves = [own @ weights for own in accuracy]
        reach = _target(curves)
        ours, theirs = (
            _kept_at(curve, own @ weights, reach) for curve, own in zip(curves, kept, strict=True)
        )
        return ours - theirs

    n = len(seeds)
    draws = np.random.default_rng(0).multinomial(n, [1 / n] * n, 1000) / n
    return Estimate(gap(np.full(n, 1 / n)), bootstrap_half([gap(own) for own in draws], n), n)


def _target(curves: Sequence[NDArray[np.float64]]) -> float:
    """Return the accuracy at which both sides are read."""
    return float(min(curve.max() for curve in curves)) - MARGIN


def _by_rate_and_seed(runs: Sequence[Run]) -> dict[float, dict[int, tuple[float, float]]]:
    """Return base LR, from the lowest, to seed to accuracy and what was kept of the source task."""
    kept: dict[tuple[float, int], float] = {}
    for run in runs:
        anew = run.source_recalibrated
        left = run.source_accuracy if anew is None else anew
        if run.measured_on == "validation" and left is not None:
            kept[run.tags["base_lr"], run.seed] = left
    side = {
        lr: {seed: (own[seed], kept[lr, seed]) for seed in own if (lr, seed) in kept}
        for lr, own in sorted(tried_rates(runs).items())
    }
    if not side or not all(side.values()):
        raise DifflrError(
            "These runs do not say what is left of a source task.", "Record them with --source."
        )
    return side


def _kept_at(accuracy: NDArray[np.float64], kept: NDArray[np.float64], target: float) -> float:
    """Return what is kept where the curve, from the lowest rate, first reaches the target."""
    for i, (low, high) in enumerate(pairwise(accuracy)):
        if low < target <= high:
            return float(kept[i] + (target - low) / (high - low) * (kept[i + 1] - kept[i]))
    return float(kept[0])
