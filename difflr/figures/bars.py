"""Named shares as horizontal bars."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from matplotlib.figure import Figure

from difflr.figures.style import OKABE_ITO

__all__ = ["describe_shares", "plot_shares"]


def plot_shares(values: Mapping[str, float | Sequence[float]], title: str = "") -> Figure:
    """Draw named shares (0 to 1) as horizontal bars with their percentages.

    Of several runs the bar is the mean, and each run is a dot.
    """
    runs = _runs(values)
    figure = Figure(figsize=(8, 1 + 0.5 * len(values)), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    means = [100 * fmean(shares) for shares in runs.values()]
    axes.barh(range(len(runs)), means, color=OKABE_ITO[0])
    axes.set_yticks(range(len(runs)), list(runs), parse_math=False)
    for row, shares in enumerate(runs.values()):
        dots = [100 * share for share in shares]
        if len(dots) > 1:
            axes.plot(dots, [row] * len(dots), "o", color="white", mec="black")
        beside: dict[str, Any] = {"xytext": (10, 0), "textcoords": "offset points", "va": "center"}
        axes.annotate(f"{fmean(shares):.0%}", (max(dots), row), size=12, **beside)
    if any(len(shares) > 1 for shares in runs.values()):
        axes.set_xlabel("bar: mean, ○: one run", size=11, loc="left")
    axes.set_xlim(0, 108)
    axes.invert_yaxis()
    axes.set_title(title, size=12, loc="left")
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.tick_params(axis="y", labelsize=12, length=0)
    axes.set_xticks([])
    return figure


def describe_shares(values: Mapping[str, float | Sequence[float]]) -> str:
    """Return in words what ``plot_shares`` draws: each mean, and the lowest and highest of its runs."""
    return ", ".join(
        f"{name} {fmean(shares):.0%}"
        + (f" ({min(shares):.0%} to {max(shares):.0%})" if len(shares) > 1 else "")
        for name, shares in _runs(values).items()
    )


def _runs(values: Mapping[str, float | Sequence[float]]) -> dict[str, list[float]]:
    return {n: list(v) if isinstance(v, Sequence) else [v] for n, v in values.items()}
