"""What the pictures of difflr share: colours that everybody can tell apart, one look of axes and keys."""

from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from difflr.figures.words import short

__all__ = [
    "GREY",
    "LINES",
    "MARKERS",
    "OKABE_ITO",
    "RED",
    "SIGNS",
    "Colour",
    "ink_on",
    "legend_below",
    "log_of_rates",
    "split_colours",
    "style",
]

Colour = tuple[float, float, float, float]

GREY = "#5f5f5f"
RED = "#c1121f"  # the marker of "now"; nothing else is red
MARKERS = "osD^vP*Xh<>p"  # a second cue beside the colour
LINES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)))
SIGNS = "●■◆▲▼✚★✖⬢◀▶⬟"  # the same as text


def split_colours(n: int) -> list[Colour]:
    """Return one colour per split, dark for shallow; printed in grey they still differ."""
    # The yellow end of viridis cannot be read on white.
    return [matplotlib.colormaps["viridis"](x) for x in np.linspace(0.0, 0.75, n)]


def ink_on(colour: Colour) -> str:
    """Return black or white, whichever reads better on ``colour``."""
    red, green, blue, _ = colour
    return "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.5 else "black"


OKABE_ITO = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#7f7f7f")


def style(axes: Axes) -> None:
    """Give axes the look that all these pictures have."""
    axes.grid(color="0.9")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=12)


def log_of_rates(axes: Axes) -> None:
    """Give axes that are drawn again and again a log scale for learning rates."""
    axes.set_yscale("log")
    axes.yaxis.set_minor_locator(NullLocator())
    # Plain text: the default power of ten is typeset anew at every drawing.
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axes.grid(axis="y", color="#dddddd", lw=0.8)


def legend_below(figure: Figure, axes: Axes, ncols: int, **options: Any) -> None:
    """Put one legend of what ``axes`` show below a figure of several panels, names as they are written."""
    shown = axes.get_legend_handles_labels()
    key = figure.legend(*shown, loc="outside lower center", ncols=ncols, frameon=False, **options)
    for text in key.get_texts():
        text.set_parse_math(False)
