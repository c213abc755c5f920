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

from difflr.drawing import MARKERS, ink_on, short
from difflr.errors import DifflrError
from difflr.evidence import by_rate, estimate, grouped, plateau_width, said
from difflr.recordings import Recording, Run

__all__ = [
    "OKABE_ITO",
    "chosen",
    "describe_heat",
    "describe_plateau",
    "draw_heat",
    "plot_heat",
    "plot_plateau",
    "style",
]

OKABE_ITO = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#7f7f7f")


def style(axes: Axes) -> None:
    """Give axes the look that all these pictures have."""
    axes.grid(color="0.9")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=12)


def chosen(recording: Recording, measured_on: str, **tags: Any) -> list[Run]:
    """Return the runs with these tags, or say that there are none."""
    runs = recording.where(measured_on=measured_on, **tags)
    if not runs:
        raise DifflrError(
            f"The recording {recording.study} has no runs with {tags} measured on {measured_on}.",
            "Choose values that it has: see Recording.values(tag).",
        )
    return runs


def draw_heat(
    axes: Axes, recording: Recording, train_size: int, measure: str = "accuracy", size: float = 12
) -> tuple[list[float], list[float], np.ndarray]:
    """Draw base LR × ratio into ``axes``; return the LRs, the ratios and the means (ratio, LR)."""
    runs = chosen(recording, "validation", train_size=train_size)
    cells = grouped(runs, "ratio", "base_lr")
    rates = sorted({run.tags["base_lr"] for run in runs})
    ratios = sorted({run.tags["ratio"] for run in runs})
    means = np.array(
        [[100 * estimate(cells.get((r, lr), []), measure).mean for lr in rates] for r in ratios]
    )
    image = axes.imshow(means, cmap="cividis", aspect="auto", origin="lower")
    for row, column in np.argwhere(np.isfinite(means)):
        colour: Any = image.cmap(image.norm(means[row, column]))
        text = f"{means[row, column]:.0f}"
        axes.text(column, row, text, ha="center", va="center", color=ink_on(colour), size=size)
    axes.set_xticks(range(len(rates)), [short(lr) for lr in rates], size=size)
    axes.set_yticks(range(len(ratios)), [f"{ratio:g}" for ratio in ratios], size=size)
    axes.set_xlabel("base LR (of the last split)", size=size + 1)
    axes.set_ylabel("ratio last / first LR", size=size + 1)
    return rates, ratios, means


def plot_heat(recording: Recording, train_size: int, measure: str = "accuracy") -> Figure:
    """Draw a measure (in %) for every base LR and ratio, mean over seeds, on validation pictures."""
    figure = Figure(figsize=(9, 4.8), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    draw_heat(axes, recording, train_size, measure, size=13)
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
        f"pictures. Best: {said(best)} at base LR {lr:g} and ratio {ratio:g}."
    ]
    for own in sorted({key[0] for key in known}, key=lambda value: float(str(value))):
        row = [value.mean for key, value in known.items() if key[0] == own]
        parts.append(f"Ratio {own:g}: {100 * min(row):.1f} to {100 * max(row):.1f}%.")
    return " ".join(parts)


def plot_plateau(
    recording: Recording,
    train_size: int,
    ratios: Sequence[float] = (1, 10, 100),
    within: float = 0.02,
) -> Figure:
    """Draw accuracy over the base LR, one curve with its 95% band per ratio; bars show the widths."""
    figure = Figure(figsize=(9, 5.4), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    lows = []
    for index, ratio in enumerate(ratios):
        runs = chosen(recording, "validation", train_size=train_size, ratio=ratio)
        by_lr = grouped(runs, "base_lr")
        rates = np.array(sorted(float(str(lr)) for (lr,) in by_lr))
        values = [estimate(by_lr[(lr,)]) for lr in rates]
        means = np.array([100 * value.mean for value in values])
        halves = np.nan_to_num([100 * value.half for value in values])
        colour, marker = OKABE_ITO[index % 8], MARKERS[index % len(MARKERS)]
        label = f"ratio {ratio:g}" + (" (uniform)" if ratio == 1 else "")
        axes.plot(rates, means, marker=marker, color=colour, lw=2.5, ms=8, label=label)
        axes.fill_between(rates, means - halves, means + halves, color=colour, alpha=0.2, lw=0)
        lows.append(float(means.min()))
        axes.axhline(means.max() - 100 * within, color=colour, lw=1, ls=":")
    axes.set_xscale("log")
    axes.set_xlabel("base LR (of the last split)", size=14)
    axes.set_ylabel("accuracy (%), mean and 95% interval", size=14)
    axes.set_title(f"Which base LRs are good enough? {train_size:,} training pictures", size=15)
    axes.legend(fontsize=13, frameon=False, title=f"dotted: best less {100 * within:g} points")
    style(axes)
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
        width = plateau_width(by_rate(runs), within)
        least = "at least " if width.at_edge else ""
        parts.append(
            f"Ratio {ratio:g}: best {said(best)} at {lr:g}; within {100 * within:g} points of it over "
            f"{least}{width.decades:.1f} decades ({width.low:.1f} to {width.high:.1f})."
        )
    return " ".join(parts)
