"""A picture of one weight's way through training, for the lessons."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from difflr.figures.style import GREY, MARKERS, RED, split_colours

__all__ = ["plot_weights"]


def plot_weights(paths: Mapping[str, Sequence[float]], frozen_at: int, title: str = "") -> Figure:
    """Draw named paths of a weight over the steps, and the step at which it was frozen."""
    figure = Figure(figsize=(8, 4), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    colours = split_colours(len(paths))
    for (name, path), colour, marker in zip(paths.items(), colours, MARKERS, strict=False):
        axes.plot(path, color=colour, marker=marker, markevery=5, ms=6, lw=2)
        end = (len(path) - 1, path[-1])
        axes.annotate(name, end, (8, 0), textcoords="offset points", va="center")
    axes.axvline(frozen_at, color=RED, lw=1.5)
    axes.annotate(
        "frozen", (frozen_at, 1), (4, -14), ("data", "axes fraction"), "offset points", color=RED
    )
    last = max(len(path) for path in paths.values()) - 1
    axes.set_xlim(0, 1.45 * last)  # room for the names
    axes.set_xticks(range(0, last + 1, 10))
    axes.set_xlabel("step", loc="left")
    axes.set_ylabel("weight")
    axes.set_title(title, size=12, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(color=GREY)
    return figure
