"""The empty axes of a plan's picture: their places, scales, names and limits."""

import math
from collections.abc import Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from difflr.drawing import short
from difflr.plan import Plan

__all__ = ["PlanAxes"]


class PlanAxes:
    """A figure with axes for learning rates, for a strip with a row per split, and for momentum.

    They stand in one column over the same epochs. ``text_size`` fits a row of the strip, in points.

    Args:
        names: of the splits, shallow to deep.
        dpi: dots per inch; the figure is 9 inches wide and grows with the number of splits.
    """

    def __init__(self, names: Sequence[str], dpi: float) -> None:
        n = len(names)
        strip = min(max(1.0, 0.26 * n), 4.0)
        self.text_size = min(11.0, 72 * strip / n * 0.7)
        tall = 4.45 + strip
        self.figure = Figure(figsize=(9, tall), dpi=dpi)
        FigureCanvasAgg(self.figure)
        left, width = 0.135, 0.85
        self.momentum, self.strip, self.lr = self.all = tuple(
            self.figure.add_axes((left, bottom / tall, width, height / tall))
            for bottom, height in ((0.55, 0.7), (1.35, strip), (1.45 + strip, 2.4))
        )
        top = 1 - 0.17 / tall
        self._title = self.figure.text(left, top, "", fontsize=13, va="center")
        self.figure.text(left + width, top, "hatched: frozen", fontsize=11, va="center", ha="right")
        self._no_momentum = self.momentum.text(
            0.5, 0.5, "", transform=self.momentum.transAxes, ha="center", va="center"
        )
        self._dress(names)

    def fit(self, plan: Plan, lr_limits: tuple[float, float]) -> None:
        """Set title and limits for a plan; those of the learning rates are powers of ten."""
        self._title.set_text(
            f"Learning rate of each split over {plan.epochs} epoch{'s'[: plan.epochs > 1]}"
        )
        bottom, top = lr_limits
        self.lr.set_ylim(10.0**bottom, 10.0**top)
        decades = range(math.ceil(bottom), math.floor(top) + 1, max(1, round((top - bottom) / 6)))
        self.lr.yaxis.set_major_locator(FixedLocator([10.0**e for e in decades]))
        self._no_momentum.set_text("" if plan.cycle_momentum else "left to the optimizer")
        low, high = sorted((plan.base_momentum, plan.max_momentum))
        room = max(0.01, (high - low) * 0.25)
        self.momentum.set_ylim(low - room, high + room)
        self.momentum.set_yticks(sorted({low, high}))
        for axes in self.all:
            axes.set_xlim(0, plan.epochs)

    def _dress(self, names: Sequence[str]) -> None:
        momentum, strip, lr = self.momentum, self.strip, self.lr
        lr.set_yscale("log")
        lr.set_ylabel("learning rate", fontsize=12)
        lr.yaxis.set_minor_locator(NullLocator())
        # Plain text: the default power of ten is typeset anew at every drawing.
        lr.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
        lr.grid(axis="y", color="#dddddd", lw=0.8)
        strip.set_ylim(len(names), 0)
        strip.set_yticks([i + 0.5 for i in range(len(names))], names)
        momentum.set_ylabel("momentum", fontsize=10)
        momentum.set_xlabel("epoch", fontsize=12)
        momentum.xaxis.set_major_locator(MaxNLocator(12, integer=True))
        for axes in self.all:
            axes.tick_params(labelsize=11)
            axes.set_autoscale_on(False)
            for side in ("top", "right"):
                axes.spines[side].set_visible(False)
        for axes in (lr, strip):
            axes.tick_params(axis="x", labelbottom=False, length=0)
        strip.tick_params(axis="y", length=0, pad=19, labelsize=self.text_size)
