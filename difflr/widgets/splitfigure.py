"""Bars of parameters, forward and backward cost per split; frozen splits are hatched."""

from collections.abc import Sequence
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from difflr.drawing import figure_png, split_colours

__all__ = ["SplitFigure"]

_KINDS = ("parameters", "forward, FLOP per picture", "backward, FLOP per picture")


class SplitFigure:
    """Three bar charts side by side, one row per split; ``bars[kind][split]`` are the rectangles."""

    def __init__(self, names: Sequence[str], dpi: float = 80) -> None:
        self.names = tuple(names)
        n = len(self.names)
        self._colours = split_colours(n)
        height = 0.8 + min(0.34 * n, 6)
        self.figure = Figure(figsize=(9, height), dpi=dpi)
        FigureCanvasAgg(self.figure)
        self._axes = [
            self.figure.add_axes((0.1 + 0.305 * i, 0.35 / height, 0.25, (height - 0.75) / height))
            for i in range(3)
        ]
        self.bars, self._texts = [], []
        for axes, kind in zip(self._axes, _KINDS, strict=True):
            bars = axes.barh(range(n), [0.0] * n, color=self._colours, edgecolor="black", lw=0.8)
            self.bars.append(list(bars))
            self._texts.append([axes.text(0, i, "", va="center", fontsize=10) for i in range(n)])
            axes.set_ylim(n - 0.5, -0.5)
            axes.set_title(kind, fontsize=11.5, loc="left")
            axes.set_yticks([])
            axes.set_xticks([])  # each bar bears its number
            axes.spines[["top", "right", "bottom"]].set_visible(False)
        self._axes[0].set_yticks(range(n), self.names, fontsize=11)
        self.figure.text(0.985, 0.1 / height, "hatched: frozen", ha="right", fontsize=11)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture in pixels."""
        canvas: Any = self.figure.canvas
        return canvas.get_width_height()

    def update(
        self, sizes: Sequence[int], forward: Sequence[int], backward: Sequence[int], first: int
    ) -> str:
        """Show these numbers with the splits before ``first`` frozen; return them in words."""
        words = []
        series = (sizes, forward, backward)
        for axes, bars, texts, kind, values in zip(
            self._axes, self.bars, self._texts, _KINDS, series, strict=True
        ):
            shown = list(values) or [0] * len(self.names)
            top = max(shown) or 1
            if kind.startswith("backward") and forward:
                top = 2 * max(forward)  # stays, so that one sees the bars shrink
            axes.set_xlim(0, 1.3 * top)
            for i, (bar, text, value) in enumerate(zip(bars, texts, shown, strict=True)):
                bar.set(width=value)
                frozen = i < first
                bar.set(facecolor="#eeeeee" if frozen else self._colours[i])
                bar.set_hatch("////" if frozen else None)
                text.set(x=value + 0.02 * top, text=_short(value) if values else "not known")
            if values:
                pairs = zip(self.names, shown, strict=True)
                words.append(f"{kind}: " + ", ".join(f"{name} {_short(v)}" for name, v in pairs))
        return "; ".join(words) + "."

    def png(self) -> bytes:
        """Return the picture as PNG."""
        return figure_png(self.figure)


def _short(count: int) -> str:
    """Write a count with two digits: 460, 4.7k, 11M, 1.8G."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.{0 if count >= 10 * size else 1}f}{letter}"
    return f"{count}"
