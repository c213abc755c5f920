"""Forgetting: what of the source task was lost, by weights or by statistics, and at the same accuracy."""

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean

import numpy as np
from matplotlib.figure import Figure

from difflr.errors import DifflrError
from difflr.evidence.nested import tried_rates
from difflr.evidence.summaries import chosen, estimate, grouped
from difflr.figures.style import OKABE_ITO, legend_below, style
from difflr.figures.words import short
from difflr.runs.statistics import MARGIN, Estimate, paired
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

    Args:
        runs, rival: of one recipe each, those on validation pictures with several seeds for each rate.

    Raises:
        DifflrError: where the rival's lowest rate is that accurate already.
    """
    own, other = _curve(runs), _curve(rival)
    target = min(max(accuracy for accuracy, _ in side) for side in (own, other)) - MARGIN
    if other[0][0] >= target:
        raise DifflrError(
            f"The rival's lowest rate reaches {100 * other[0][0]:.1f}%, more than the {100 * target:.1f}% "
            "at which both are compared.",
            "Record it at lower rates.",
        )
    return paired(_kept_at(own, target), _kept_at(other, target))


def _curve(runs: Sequence[Run]) -> list[tuple[float, dict[int, float]]]:
    """Return for each base LR, from the lowest, the mean accuracy, and seed to what was kept."""
    kept: dict[tuple[float, int], float] = {}
    for run in runs:
        anew = run.source_recalibrated
        left = run.source_accuracy if anew is None else anew
        if run.measured_on == "validation" and left is not None:
            kept[run.tags["base_lr"], run.seed] = left
    curve = [
        (fmean(own.values()), {seed: kept[lr, seed] for seed in own if (lr, seed) in kept})
        for lr, own in sorted(tried_rates(runs).items())
    ]
    if not curve or not all(own for _, own in curve):
        raise DifflrError(
            "These runs do not say what is left of a source task.", "Record them with --source."
        )
    return curve


def _kept_at(curve: Sequence[tuple[float, dict[int, float]]], target: float) -> dict[int, float]:
    for (low, fewer), (high, more) in pairwise(curve):
        if low < target <= high:
            share = (target - low) / (high - low)
            return {seed: fewer[seed] + share * (more[seed] - fewer[seed]) for seed in fewer}
    return curve[0][1]
