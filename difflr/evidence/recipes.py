"""The picture of recipes against compute, and the same in words."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from difflr.evidence.equal_cost import COSTS
from difflr.evidence.summaries import chosen, drawn, estimate, grouped, numbers
from difflr.figures.style import GREY, MARKERS, OKABE_ITO, style
from difflr.runs.statistics import format_estimate
from difflr.studies.recordings import Recording, Run

__all__ = ["describe_recipes", "plot_recipes"]

_SHADOWS = ("uniform", "differential")  # drawn in grey behind the other packages' recipes


def plot_recipes(recording: Recording, cost: str = "flops") -> Figure:
    """Draw each recipe's test accuracy against its cost, best LR each; other packages' beside difflr's.

    ``cost`` is ``"flops"``, ``"cpu_seconds"`` (of all threads together, whatever else the machine
    did) or ``"seconds"`` (by the clock, for runs on a GPU).
    """
    ours, rivals = _sides(recording, cost)
    sides = [side for side in (ours, rivals) if side]
    figure = Figure(figsize=(9 if len(sides) == 1 else 13, 6), dpi=120, layout="constrained")
    panels = figure.subplots(1, len(sides), sharex=True, sharey=True, squeeze=False)[0]
    titles = ("difflr's recipes", "the same task by other packages")
    # A marker means one recipe in both panels; those of other packages are hollow.
    markers = dict(zip(ours, itertools.cycle(MARKERS), strict=False))
    for axes, side, title in zip(panels, sides, titles, strict=False):
        for index, (name, runs) in enumerate(side.items()):
            marker = markers.get(name, MARKERS[index % len(MARKERS)])
            hollow = {} if side is ours else {"mfc": "white", "mew": 2}
            _draw(axes, runs, cost, name, OKABE_ITO[index % 8], marker, **hollow)
        for name in _SHADOWS:
            if side is rivals and name in ours:
                look = {"ls": ":", "zorder": 1}
                _draw(axes, ours[name], cost, f"difflr's {name}", GREY, markers[name], **look)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.3g}".replace("e+", "e"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(COSTS[cost], size=14)
        axes.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2, fontsize=11, frameon=False,
            handlelength=1.5, columnspacing=1.0,
        )  # fmt: skip
        if len(sides) > 1:
            axes.set_title(title, size=14)
        style(axes)
    panels[0].set_ylabel("test accuracy (%), 95% interval", size=14)
    figure.suptitle("Accuracy against compute", size=15)
    return figure


def _sides(recording: Recording, cost: str) -> tuple[dict[str, list[Run]], dict[str, list[Run]]]:
    """Return the runs of difflr's recipes and those of other packages, by recipe, where ``cost`` is known."""
    groups = grouped(chosen(recording, "test"), "recipe")
    known = {str(name): runs for (name,), runs in groups.items() if numbers(runs, cost)}
    ours = {name: runs for name, runs in known.items() if runs[0].plan is not None}
    return ours, {name: runs for name, runs in known.items() if name not in ours}


def _draw(
    axes: Axes, runs: Sequence[Run], cost: str, name: str, colour: str, marker: str, **look: Any
) -> None:
    lengths = sorted(grouped(runs, "epochs").values(), key=lambda own: estimate(own, cost).mean)
    costs, _ = drawn((estimate(own, cost) for own in lengths), 1)
    means, halves = drawn(estimate(own) for own in lengths)
    axes.errorbar(
        costs, means, yerr=halves, color=colour, marker=marker, ms=10, lw=2, capsize=5,
        label=_said(name), **look,
    )  # fmt: skip


def _said(name: str) -> str:
    return name.replace(":", ", ")


def describe_recipes(recording: Recording, cost: str = "flops") -> str:
    """Return in words what ``plot_recipes`` draws."""
    ours, rivals = _sides(recording, cost)
    texts = [f"Test accuracy against {COSTS[cost]}. {_listed(ours, cost)}."]
    if rivals:
        texts.append(f"By other packages: {_listed(rivals, cost)}.")
    return " ".join(texts)


def _listed(groups: Mapping[str, Sequence[Run]], cost: str) -> str:
    return "; ".join(
        f"{_said(name)}, {epochs} epochs: {format_estimate(estimate(own))} for {estimate(own, cost).mean:.2g}"
        for name, runs in groups.items()
        for (epochs,), own in grouped(runs, "epochs").items()
    )
