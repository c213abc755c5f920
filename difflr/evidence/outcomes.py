"""Pictures of outcomes: which splits to move, other bars, and what moved.

Each has a ``describe_…`` that says the same in words.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from matplotlib.figure import Figure

from difflr.evidence.summaries import chosen, drawn, estimate, grouped
from difflr.figures.style import MARKERS, OKABE_ITO, legend_below, style
from difflr.runs.statistics import format_estimate
from difflr.studies.recordings import Recording, Run

__all__ = [
    "describe_groups",
    "describe_movement",
    "describe_which_splits",
    "five_recipes",
    "plot_groups",
    "plot_movement",
    "plot_which_splits",
]

Groups = Mapping[str, Sequence[Run]]

_LABELS = {  # in the order in which they stand in a picture
    "none": "new labels",
    "noise": "noise",
    "blur": "blur",
    "contrast": "contrast",
    "colour": "colour",
    "first_splits": "only first",
    "head_only": "only last",
    "differential": "rising",
    "uniform": "uniform",
    "falling": "falling",
}


def plot_which_splits(recording: Recording) -> Figure:
    """Draw for each shift the test accuracy of training only first, only last, rising, falling, all.

    What is frozen keeps its statistics.
    """
    return plot_groups(five_recipes(recording), "shift", "recipe", "Which splits should move?")


def describe_which_splits(recording: Recording) -> str:
    """Return in words what ``plot_which_splits`` draws."""
    return describe_groups(five_recipes(recording), "shift", "recipe")


def five_recipes(recording: Recording) -> Recording:
    """Return only first, only last, rising, uniform and falling, where what is frozen keeps its statistics.

    Or the whole recording, where it holds none of these.
    """
    runs = [run for run in recording.where(bn="kept") if run.cell.recipe in _LABELS]
    return replace(recording, runs=runs) if runs else recording


def plot_groups(recording: Recording, across: str, by: str, title: str = "", **tags: Any) -> Figure:
    """Draw test accuracy as bars: a group per value of the tag ``across``, a bar per value of ``by``."""
    cells = grouped(chosen(recording, "test", **tags), across, by)
    groups, members = (_ordered(key[i] for key in cells) for i in (0, 1))
    figure = Figure(figsize=(10, 5), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    width = 0.8 / len(members)
    for index, member in enumerate(members):
        means, halves = drawn(estimate(cells.get((group, member), [])) for group in groups)
        axes.bar(
            [i + (index - (len(members) - 1) / 2) * width for i in range(len(groups))],
            means,
            width,
            yerr=halves,
            color=OKABE_ITO[index % 8],
            hatch=("", "//", "..", "\\\\", "xx", "++", "oo")[index % 7],
            edgecolor="white",
            capsize=3,
            label=_label(member),
        )
    axes.set_xticks(range(len(groups)), [_label(group) for group in groups])
    axes.set_ylabel("test accuracy (%), 95% interval", size=14)
    axes.set_title(title, size=15)
    legend_below(figure, axes, 5, fontsize=13)
    style(axes)
    axes.tick_params(axis="x", labelsize=14, length=0)
    return figure


def describe_groups(recording: Recording, across: str, by: str, **tags: Any) -> str:
    """Return in words what ``plot_groups`` draws."""
    parts, found = [], grouped(chosen(recording, "test", **tags), across)
    for group in _ordered(value for (value,) in found):
        cells = grouped(found[(group,)], by)
        own = ", ".join(
            f"{_label(member)} {format_estimate(estimate(cells[(member,)]))}"
            for member in _ordered(value for (value,) in cells)
        )
        parts.append(f"{_label(group)}: {own}")
    return f"Test accuracy by {by.replace('_', ' ')}. " + "; ".join(parts) + "."


def _ordered(values: Iterable[object]) -> list[object]:
    """Return each value once: those with a place of their own first, in that order."""
    known = [*_LABELS]
    return sorted(
        dict.fromkeys(values),
        key=lambda value: known.index(str(value)) if str(value) in known else len(known),
    )


def _label(value: object) -> str:
    return _LABELS.get(str(value), str(value).replace("_", " "))


def plot_movement(recording: Recording, runs: Groups, title: str = "") -> Figure:
    """Draw how far each split's weights moved and how alike its features stayed, per named group."""
    figure = Figure(figsize=(10, 4.8), dpi=120, layout="constrained")
    panels = figure.subplots(1, 2)
    figure.suptitle(title, size=15)
    names = recording.splits
    heads = {"displacement": "how far the weights moved", "cka": "how alike the features stayed"}
    for axes, (measure, head) in zip(panels, heads.items(), strict=True):
        for index, (label, own) in enumerate(runs.items()):
            means, halves = drawn((estimate(own, measure, i) for i in range(len(names))), 1)
            axes.errorbar(
                range(len(names)), means, yerr=halves, color=OKABE_ITO[index % 8],
                marker=MARKERS[index % len(MARKERS)], ms=9, lw=2, capsize=4, label=label,
            )  # fmt: skip
        axes.set_xticks(range(len(names)), names, rotation=30, ha="right", rotation_mode="anchor")
        axes.set_title(head, size=14)
        style(axes)
    panels[0].set_ylabel("relative L2 distance", size=13)
    panels[1].set_ylabel("linear CKA before / after", size=13)
    panels[1].set_ylim(0, 1.05)
    across = 4 if max(map(len, runs)) < 15 else 2
    legend_below(figure, panels[0], across, fontsize=12)
    return figure


def describe_movement(recording: Recording, runs: Groups, title: str = "") -> str:
    """Return in words what ``plot_movement`` draws."""
    parts = []
    for label, own in runs.items():
        moved, alike = (
            ", ".join(
                f"{name} {estimate(own, measure, i).mean:.2g}"
                for i, name in enumerate(recording.splits)
            )
            for measure in ("displacement", "cka")
        )
        parts.append(f"{label}: weights moved by {moved}; CKA {alike}")
    return f"{title}: " * bool(title) + ". ".join(parts) + "."
