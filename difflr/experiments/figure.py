"""The picture of a comparison: one dot per seed, the mean and its interval for each recipe."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from difflr.figures.style import OKABE_ITO
from difflr.runs.statistics import summarise

__all__ = ["plot_runs"]


def plot_runs(
    runs: Sequence[Mapping[str, Any]], title: str = "", measured_on: str = "test"
) -> Figure:
    """Draw each recipe's accuracies: one dot per seed, the mean and its 95% interval.

    Args:
        runs: of a comparison, accuracies from 0 to 1.
        title: above the picture.
        measured_on: as the comparison's ``about["data"]`` says it; all but ``"test"`` is drawn as
            validation accuracy.
    """
    summaries = summarise(runs)
    figure = Figure(figsize=(8, 1.6 + 0.55 * len(summaries)), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    at_the_right: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "ha": "right"}
    at_the_right |= {"va": "bottom", "color": OKABE_ITO[1]}
    for row, summary in enumerate(summaries):
        values = 100 * np.array(list(summary.accuracies.values()))
        mean, half = 100 * summary.accuracy.mean, 100 * summary.accuracy.half
        if summary.diverged:
            broken = len(summary.diverged)
            axes.text(0.99, row, f"{broken} of {broken + len(values)} diverged", **at_the_right)
        if not len(values):
            continue
        axes.plot(values, [row] * len(values), "o", ms=6, mfc="none", mec="0.45", zorder=2)
        interval = None if np.isnan(half) else half
        axes.errorbar(mean, row, xerr=interval, fmt="D", ms=8, color=OKABE_ITO[0], capsize=5, lw=2)
        axes.annotate(
            f"{mean:.1f}%", (mean, row), (0, 9), textcoords="offset points", ha="center", size=11
        )
    axes.set_yticks(range(len(summaries)), [summary.recipe for summary in summaries], size=12)
    axes.set_ylim(len(summaries) - 0.5, -0.6)
    alone = all(np.isnan(summary.accuracy.half) for summary in summaries)
    mean_is = "its accuracy, without an interval" if alone else "mean with 95% interval"
    kind = "test" if measured_on == "test" else "validation"
    axes.set_xlabel(f"{kind} accuracy (%): ○ one seed, ◆ {mean_is}", size=11)
    axes.set_title(title, size=12, parse_math=False)
    axes.grid(axis="x", color="0.9")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return figure
