"""A picture of learning rates over the splits, one line per way to say them, for the lessons."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from difflr.figures.style import MARKERS, split_colours

__all__ = ["plot_rates"]


def plot_rates(
    rates: Mapping[str, Sequence[float]],
    names: Sequence[str],
    title: str = "",
    what: str = "learning rate",
) -> Figure:
    """Draw named lists of one positive number per split (learning rates, say) on a log axis."""
    figure = Figure(figsize=(8, 4), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    colours = split_colours(len(rates))
    for (name, lrs), colour, marker in zip(rates.items(), colours, MARKERS, strict=False):
        axes.plot(names, lrs, color=colour, marker=marker, ms=8, lw=2, label=name)
    axes.set_yscale("log")
    axes.set_ylabel(what)
    axes.legend(frameon=False)
    axes.set_title(title, size=12, loc="left")
    axes.grid(axis="y", color="0.9")
    axes.spines[["top", "right"]].set_visible(False)
    return figure
