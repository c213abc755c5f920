"""Pictures of the plateau of base LRs, for README, lessons and projector; each has a ``describe_…`` in words.

Colours are those of Okabe and Ito (2008), which colour-blind readers can tell apart; every colour has
a marker or a hatch beside it.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from difflr.evidence.grids import Grid, row_lines, sides
from difflr.evidence.summaries import by_rate, chosen, drawn, estimate, grouped, plateau_width
from difflr.figures.style import MARKERS, OKABE_ITO, ink_on, legend_below, style
from difflr.figures.words import short
from difflr.runs.statistics import format_estimate
from difflr.studies.recordings import Recording

__all__ = ["describe_heat", "describe_plateau", "draw_heat", "plot_heat", "plot_plateau"]

_AXES = {  # which power of the ratio lies between the axis and the base LR, and its label
    "last": (0.0, "base LR (of the last split)"),
    "middle": (0.5, "LR in the middle of the network"),
    "first": (1.0, "LR of the first split"),
}


def draw_heat(
    axes: Axes, cells: Grid, measure: str = "accuracy", size: float = 12
) -> tuple[list[float], list[Any], np.ndarray]:
    """Draw base LR × row into ``axes``; return the LRs, the rows and the means (row, LR)."""
    rates, rows = sides(cells)
    means = np.array(
        [[100 * estimate(cells.get((lr, row), []), measure).mean for lr in rates] for row in rows]
    )
    image = axes.imshow(means, cmap="cividis", aspect="auto", origin="lower")
    for row, column in np.argwhere(np.isfinite(means)):
        colour: Any = image.cmap(image.norm(means[row, column]))
        text = f"{means[row, column]:.0f}"
        axes.text(column, row, text, ha="center", va="center", color=ink_on(colour), size=size)
    axes.set_xticks(range(len(rates)), [short(lr) for lr in rates], size=size)
    labels = ["\n".join(row_lines(x, len(rows))) if isinstance(x, str) else f"{x:g}" for x in rows]
    axes.set_yticks(range(len(rows)), labels, size=size)
    axes.set_xlabel("base LR (of the last split)", size=size + 1)
    axes.set_ylabel("ratio last / first LR", size=size + 1)
    return rates, rows, means


def plot_heat(recording: Recording, train_size: int, measure: str = "accuracy") -> Figure:
    """Draw a measure (in %) for every base LR and ratio, mean over seeds, on validation pictures."""
    figure = Figure(figsize=(9, 4.8), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    cells = grouped(chosen(recording, "validation", train_size=train_size), "base_lr", "ratio")
    draw_heat(axes, {(lr, ratio): runs for (lr, ratio), runs in cells.items()}, measure, size=13)
    name = "accuracy still held on the source" if measure == "source_accuracy" else measure
    axes.set_title(f"{name} (%), {train_size:,} training pictures", size=15)
    return figure


def describe_heat(recording: Recording, train_size: int, measure: str = "accuracy") -> str:
    """Return in words what ``plot_heat`` draws."""
    cells = grouped(chosen(recording, "validation", train_size=train_size), "ratio", "base_lr")
    means = {key: estimate(runs, measure) for key, runs in cells.items()}
    known = {key: value for key, value in means.items() if not math.isnan(value.mean)}
    if not known:
        return f"Heat map of {measure}: not measured."
    (ratio, lr), best = max(known.items(), key=lambda item: item[1].mean)
    parts = [
        f"Heat map of {measure} for {len(known)} pairs of base LR and ratio, {train_size:,} training "
        f"pictures. Best: {format_estimate(best)} at base LR {lr:g} and ratio {ratio:g}."
    ]
    for own in sorted({key[0] for key in known}):
        row = [value.mean for key, value in known.items() if key[0] == own]
        parts.append(f"Ratio {own:g}: {100 * min(row):.1f} to {100 * max(row):.1f}%.")
    return " ".join(parts)


def plot_plateau(
    recording: Recording,
    train_size: int,
    ratios: Sequence[float] = (1, 10, 100),
    within: float = 0.02,
    against: Sequence[str] = ("last",),
) -> Figure:
    """Draw accuracy over the learning rate, one curve with its 95% band per ratio.

    A panel for each member of ``against``, which says whose rate the axis shows: that of the
    ``"last"`` split (the base LR), of the ``"first"``, or the geometric mean of all (``"middle"``).
    """
    figure = Figure(figsize=(9 if len(against) == 1 else 13, 5.4), dpi=120, layout="constrained")
    panels = figure.subplots(1, len(against), sharey=True, squeeze=False)[0]
    for axes, split in zip(panels, against, strict=True):
        for index, ratio in enumerate(ratios):
            runs = chosen(recording, "validation", train_size=train_size, ratio=ratio)
            by_lr = grouped(runs, "base_lr")
            rates = np.array(sorted(lr for (lr,) in by_lr))
            means, halves = drawn(estimate(by_lr[(lr,)]) for lr in rates)
            x = rates / ratio ** _AXES[split][0]
            colour, marker = OKABE_ITO[index % 8], MARKERS[index % len(MARKERS)]
            label = f"ratio {ratio:g}" + (" (uniform)" if ratio == 1 else "")
            axes.plot(x, means, marker=marker, color=colour, lw=2.5, ms=8, label=label)
            axes.fill_between(x, means - halves, means + halves, color=colour, alpha=0.2, lw=0)
            axes.axhline(means.max() - 100 * within, color=colour, lw=1, ls=":")
        axes.set_xscale("log")
        axes.set_xlabel(_AXES[split][1], size=14)
        style(axes)
    panels[0].set_ylabel("accuracy (%), mean and 95% interval", size=14)
    tops = [np.max(np.asarray(line.get_ydata())) for line in panels[0].get_lines()]
    # Intervals of few seeds are wider than the page.
    panels[0].set_ylim(0, min(100, max(tops) + 10))
    figure.suptitle(f"Which learning rates are good enough? {train_size:,} pictures", size=15)
    title = f"dotted: the best of a curve less {100 * within:g} points"
    legend_below(figure, panels[0], len(ratios), fontsize=13, title=title)
    return figure


def describe_plateau(
    recording: Recording,
    train_size: int,
    ratios: Sequence[float] = (1, 10, 100),
    within: float = 0.02,
) -> str:
    """Return in words what ``plot_plateau`` draws, with the width of each plateau in decades."""
    parts = [f"Accuracy over the base LR, {train_size:,} training pictures."]
    for ratio in ratios:
        runs = chosen(recording, "validation", train_size=train_size, ratio=ratio)
        by_lr = grouped(runs, "base_lr")
        (lr,), best = max(
            ((lr, estimate(own)) for lr, own in by_lr.items()), key=lambda x: x[1].mean
        )
        text = f"Ratio {ratio:g}: best {format_estimate(best)} at {lr:g}"
        if len(by_lr) > 1:  # one learning rate, of a part of the grid, has no width
            width = plateau_width(by_rate(runs), within)
            least = "at least " if width.at_edge else ""
            text += (
                f"; within {100 * within:g} points of it over {least}{width.decades:.1f} decades "
                f"({width.low:.1f} to {width.high:.1f})"
            )
        parts.append(f"{text}.")
    return " ".join(parts)
