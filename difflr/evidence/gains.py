"""What each recipe gains over one rate for all splits, every recipe at its best: a dot with its interval."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from statistics import fmean

from matplotlib.figure import Figure

from difflr.evidence.grids import tag_words
from difflr.evidence.nested import tried_rates, tuned_difference
from difflr.evidence.summaries import SIDE, describe_difference, grouped
from difflr.figures.style import MARKERS, OKABE_ITO, style
from difflr.runs.statistics import MARGIN, Estimate
from difflr.studies.recordings import Recording, Run

__all__ = ["describe_gains", "gains", "plot_gains"]

_ACROSS = 3  # panels side by side, at most
_WIDE = 26  # letters of a panel's title in a line
_UNDER = ("train_size", "epochs", "optimizer", "bn")
_NAMES = {  # in the order in which they stand in a picture
    "two_rates": "head ×{ratio:g}, body even",
    "differential": "graded, ratio {ratio:g}",
    "layer_decay": "layer decay {decay:g}",
    "auto_rgn": "rates by gradient norms",
    "gradual": "gradual unfreezing",
    "lp_ft": "the head first, then all",
    "wise_ft": "halfway back to the start",
    "head_only": "the head alone",
}


Gains = Mapping[str, Mapping[str, Mapping[str, Estimate]]]


def gains(recording: Recording) -> Gains:
    """Return by condition, augmentation and recipe the tuned difference of test accuracies to a uniform rate.

    Conditions are named by what they differ in ("" where there is one), and so is augmentation; one without
    a uniform rate, and a recipe that was not reported, is left out.
    """
    under = grouped(recording.runs, *_UNDER)
    varies = [i for i in range(len(_UNDER)) if len({key[i] for key in under}) > 1]
    both = len(recording.values("augment")) > 1
    found: dict[str, dict[str, Mapping[str, Estimate]]] = {}
    for key, runs in sorted(under.items(), key=lambda item: (*item[0][:-1], item[0][-1] != "kept")):
        # Statistics that are "kept" in frozen splits follow the pictures in those that train.
        said = ["follows" if value == "kept" else value for value in key]
        name = ", ".join(tag_words(recording, _UNDER[i], said[i]) for i in varies)
        for (augment,), own in sorted(grouped(runs, "augment").items()):
            if sides := _over_uniform(own):
                series = tag_words(recording, "augment", augment) if both else ""
                found.setdefault(name, {})[series] = sides
    return found


def _over_uniform(runs: Sequence[Run]) -> Mapping[str, Estimate]:
    sides = {
        _label(*side): reported
        for side, own in sorted(grouped(runs, *SIDE).items(), key=lambda item: _place(item[0]))
        if (reported := _at_the_best(own))
    }
    uniform = sides.pop("uniform", None)
    return (
        {label: tuned_difference(own, uniform) for label, own in sides.items()} if uniform else {}
    )


def _at_the_best(runs: Sequence[Run]) -> list[Run]:
    """Return what chose a recipe's rate and what was reported at it (nothing where one is missing).

    A rate that was the best before the grid grew was reported as well.
    """
    tried = tried_rates(runs)
    best = max(tried, key=lambda lr: fmean(tried[lr].values()), default=None)
    reported = [run for run in runs if (run.measured_on, run.tags["base_lr"]) == ("test", best)]
    choosing = [run for run in runs if run.measured_on == "validation"]
    return choosing + reported if reported else []


def plot_gains(panels: Gains) -> Figure:
    """Draw what ``gains`` returned: a panel per condition, a line per recipe; in the band it may be a tie.

    Runs with and without augmentation stand in one line, in two colours.
    """
    series = list(dict.fromkeys(name for found in panels.values() for name in found))
    rows = list(
        dict.fromkeys(k for found in panels.values() for own in found.values() for k in own)
    )
    lines = math.ceil(len(panels) / _ACROSS)
    across = math.ceil(len(panels) / lines)
    unbroken = [name.replace(" ", "\xa0").replace(",\xa0", ", ") for name in panels]
    titles = [textwrap.fill(name, _WIDE) for name in unbroken]
    high = 0.75 + 0.25 * max(title.count("\n") + 1 for title in titles) + 0.42 * len(rows)
    size = (3.2 + 3.2 * across, 0.6 + 0.4 * (len(series) > 1) + high * lines)
    figure = Figure(figsize=size, dpi=120, layout="constrained")
    grid = figure.subplots(lines, across, sharex=True, sharey=True, squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    for axes, title, found in zip(grid.flat, titles, panels.values(), strict=False):
        axes.tick_params(labelbottom=True)
        axes.axvspan(-100 * MARGIN, 100 * MARGIN, color="0.92", zorder=0)
        axes.axvline(0, color="0.4", lw=1)
        for index, name in enumerate(series):
            own = found.get(name, {})
            places = [rows.index(label) + 0.26 * (index - (len(series) - 1) / 2) for label in own]
            means, halves = (
                [100 * getattr(g, of) for g in own.values()] for of in ("mean", "half")
            )
            look = {"fmt": MARKERS[index], "color": OKABE_ITO[index], "capsize": 4, "ms": 6}
            axes.errorbar(means, places, xerr=halves, label=name, **look)
        axes.set_title(title, size=13)
        style(axes)
    grid[0, 0].set_yticks(range(len(rows)), rows)
    grid[0, 0].set_ylim(len(rows) - 0.4, -0.6)
    for axes in grid[:, 0]:
        axes.tick_params("y", labelsize=13)
    if len(series) > 1:
        # Above, since the text of the axes stands below.
        shown = grid[0, 0].get_legend_handles_labels()
        figure.legend(*shown, loc="outside upper center", ncols=2, frameon=False, fontsize=13)
    figure.supxlabel("test accuracy less that of uniform (points), 95% interval", size=13)
    return figure


def describe_gains(panels: Gains) -> str:
    """Return in words what ``plot_gains`` draws."""
    parts = []
    for name, found in panels.items():
        for augmented, own in found.items():
            under = ", ".join(part for part in (name, augmented) if part)
            said = [f"{label} {describe_difference(gain)}" for label, gain in own.items()]
            parts.append(f"{under + ': ' if under else ''}{', '.join(said)}")
    return (
        "Test accuracy against uniform, each at its best learning rate. " + "; ".join(parts) + "."
    )


def _label(recipe: str, ratio: float, decay: float) -> str:
    if recipe == "layer_decay" and decay == 1:
        return "uniform"
    return _NAMES.get(recipe, recipe).format(ratio=ratio, decay=decay)


def _place(side: tuple[str, float, float]) -> tuple[int, float, float]:
    recipe, ratio, decay = side
    known = [*_NAMES]
    return known.index(recipe) if recipe in known else len(known), ratio, -decay
