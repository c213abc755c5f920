"""Pictures of what was measured: accuracies of a comparison, learning rates read from TensorBoard."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from difflr.drawing import figure_png, picture_bundle
from difflr.errors import DifflrError
from difflr.statistics import summarise

__all__ = ["Picture", "plot_bars", "plot_logged", "plot_runs", "read_logged"]


class Picture:
    """A figure that a notebook shows with a text for those who do not see it."""

    def __init__(self, figure: Figure, alt: str) -> None:
        FigureCanvasAgg(figure)  # a figure made without pyplot has no canvas to draw on
        self.png, self.alt = figure_png(figure), alt

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return picture_bundle(self.png, self.alt)


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
    for row, summary in enumerate(summaries):
        values = 100 * np.array(list(summary.accuracies.values()))
        mean, half = 100 * summary.accuracy.mean, 100 * summary.accuracy.half
        axes.plot(values, [row] * len(values), "o", ms=6, mfc="none", mec="0.45", zorder=2)
        axes.errorbar(
            mean,
            row,
            xerr=None if np.isnan(half) else half,
            fmt="D",
            ms=8,
            color="#0072b2",
            capsize=5,
            lw=2,
        )
        axes.annotate(
            f"{mean:.1f}%", (mean, row), (0, 9), textcoords="offset points", ha="center", size=11
        )
    axes.set_yticks(range(len(summaries)), [summary.recipe for summary in summaries], size=12)
    axes.set_ylim(len(summaries) - 0.5, -0.6)
    alone = all(np.isnan(summary.accuracy.half) for summary in summaries)
    mean_is = "its accuracy, without an interval" if alone else "mean with 95% interval"
    kind = "test" if measured_on == "test" else "validation"
    axes.set_xlabel(f"{kind} accuracy (%): ○ one seed, ◆ {mean_is}", size=11)
    axes.set_title(title, size=12)
    axes.grid(axis="x", color="0.9")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return figure


def plot_bars(values: Mapping[str, float], title: str = "") -> Figure:
    """Draw named shares (0 to 1) as horizontal bars with their percentages."""
    figure = Figure(figsize=(8, 1 + 0.5 * len(values)), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    bars = axes.barh(list(values), [100 * value for value in values.values()], color="#0072b2")
    axes.bar_label(bars, fmt="%.0f%%", padding=4, size=12)
    axes.set_xlim(0, 108)
    axes.invert_yaxis()
    axes.set_title(title, size=12, loc="left")
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.tick_params(axis="y", labelsize=12, length=0)
    axes.set_xticks([])
    return figure


def read_logged(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return the curves ``lr/<split>`` and ``momentum/<split>`` of a TensorBoard folder.

    Returns:
        Name of the curve to (step, value) pairs, in the order in which they were logged.

    Raises:
        DifflrError: where the folder holds no event file with such curves.
    """
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    curves = {}
    if folder.exists():
        events.Reload()
        for tag in events.Tags()["scalars"]:
            if tag.startswith(("lr/", "momentum/")):
                curves[tag] = [(event.step, event.value) for event in events.Scalars(tag)]
    if not any(tag.startswith("lr/") for tag in curves):
        raise DifflrError(
            f"{folder} holds no TensorBoard events with curves lr/<split>.",
            "Pass the folder of one run, e.g. OUT/tensorboard/milestones_2020-0.",
        )
    return curves


def plot_logged(curves: Mapping[str, Sequence[tuple[int, float]]], title: str = "") -> Figure:
    """Draw logged learning rates (log axis) and momentum of each split over the steps."""
    figure = Figure(figsize=(9, 5.5), dpi=120, layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    names = [tag.removeprefix("lr/") for tag in curves if tag.startswith("lr/")]
    colours = colormaps["viridis"](np.linspace(0, 0.9, len(names)))
    styles = ["-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1))]
    for index, (name, colour) in enumerate(zip(names, colours, strict=True)):
        steps, rates = np.array(curves[f"lr/{name}"]).T
        # A frozen split has a rate of 0, which a log axis cannot show: leave a gap there.
        shown = np.where(rates > 0, rates, np.nan)
        style: Any = styles[index % len(styles)]
        top.plot(steps, shown, label=name, color=colour, linestyle=style, lw=2)
        if f"momentum/{name}" in curves:
            bottom.plot(
                *np.array(curves[f"momentum/{name}"]).T, color=colour, linestyle=style, lw=1.5
            )
    top.set_yscale("log")
    top.set_ylabel("learning rate", size=12)
    figure.suptitle(title, size=13)
    peaks = [max(rate for _, rate in curves[f"lr/{name}"]) for name in names]
    top.set_ylim(min(filter(None, peaks), default=1e-6) / 30, max(peaks) * 2)  # cuts the last steps
    figure.legend(loc="outside lower center", ncols=len(names), fontsize=10, frameon=False)
    bottom.set_ylabel("momentum", size=12)
    bottom.set_xlabel("optimizer step", size=12)
    for axes in (top, bottom):
        axes.grid(color="0.92")
        axes.spines[["top", "right"]].set_visible(False)
    return figure
