"""The picture of a range test: loss against multiplier, with the suggestion marked."""

import math
from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from difflr.figures.style import RED
from difflr.figures.words import short

__all__ = ["blank_figure", "range_figure"]


def range_figure(
    multipliers: Sequence[float],
    losses: Sequence[float],
    smoothed: Sequence[float],
    suggestion: float | None,
    largest_lr: float,
) -> Figure:
    """Draw the losses as dots, the smoothed loss as a line and the suggestion in red.

    ``largest_lr`` is the largest learning rate at the suggested multiplier.
    """
    figure = _figure()
    axes = figure.axes[0]
    axes.plot(multipliers, losses, "o", color="#9a9a9a", ms=4, label="loss")
    axes.plot(multipliers, smoothed, color="#31688e", lw=3, label="smoothed")
    start, low = smoothed[0], min(smoothed)
    room = max(start - low, 0.1 * abs(start), 1e-6)
    lowest = min(filter(math.isfinite, losses), default=low)  # a dot may lie far lower
    bottom = min(low - 0.4 * room, max(lowest, low - 1.2 * room) - 0.1 * room)
    axes.set_ylim(bottom, start + 1.2 * room)  # where it explodes tells nothing
    if suggestion is not None:
        at = smoothed[multipliers.index(suggestion)]
        axes.axvline(suggestion, color=RED, lw=2, ls="--")
        axes.plot([suggestion], [at], "D", color=RED, ms=11, label="suggestion")
        title = f"suggestion: × {suggestion:.2g}, largest LR {short(largest_lr)}"
    else:
        title = "the loss never fell: no suggestion"
    axes.set_title(f"Range test, ratios kept; {title}", fontsize=13, loc="left")
    axes.legend(fontsize=11, frameon=False, loc="lower left")  # the loss begins high
    return figure


def blank_figure() -> Figure:
    """Return the picture of a range test that has not been done: what its axes will show."""
    figure = _figure()
    axes = figure.axes[0]
    axes.tick_params(which="both", bottom=False, left=False, labelbottom=False, labelleft=False)
    axes.annotate("not tested yet", (0.5, 0.5), xycoords="axes fraction", ha="center", fontsize=13)
    return figure


def _figure() -> Figure:
    figure = Figure(figsize=(9, 3.6), dpi=80, layout="constrained")
    axes = figure.add_subplot()
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda multiplier, _: short(multiplier)))
    axes.set_xlabel("multiplier of every split's learning rate", fontsize=12)
    axes.set_ylabel("loss", fontsize=12)
    axes.tick_params(labelsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
