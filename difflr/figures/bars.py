"""Named shares as horizontal bars."""

from collections.abc import Mapping

from matplotlib.figure import Figure

__all__ = ["plot_shares"]


def plot_shares(values: Mapping[str, float], title: str = "") -> Figure:
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
