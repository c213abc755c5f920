"""The picture of the live view: loss and accuracy, the movement of each split, and the plan, small."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

from difflr.figures.picture import Drawing
from difflr.figures.plan import plan_curves
from difflr.figures.style import GREY, MARKERS, OKABE_ITO, RED, log_of_rates, split_colours
from difflr.plan import Plan

__all__ = ["LiveFigure"]

#: The update-to-weight ratio that is often aimed at where a network is trained from the beginning.
GUIDE = 1e-3


class LiveFigure(Drawing):
    """Loss and accuracy on the left, movement of each split on the right, learning rates below it.

    x is in epochs everywhere. ``loss``, ``accuracy`` and ``movement`` (one per split) are the lines.

    Args:
        names: of the splits.
        epochs: that are planned; a training that goes on beyond them has room, too.
        plan, steps_per_epoch: whose learning rates to show; none without a plan.
    """

    def __init__(
        self,
        names: Sequence[str],
        epochs: float,
        plan: Plan | None = None,
        steps_per_epoch: int = 1,
    ) -> None:
        self.figure = Figure(figsize=(12, 4.3), dpi=80)
        self._loss = self.figure.add_axes((0.055, 0.2, 0.37, 0.7))
        self._accuracy = self._loss.twinx()
        low = 0.46 if plan else 0.2
        self._movement = self.figure.add_axes((0.535, low, 0.45, 0.9 - low))
        (self.loss,) = self._loss.plot([], [], color=OKABE_ITO[0], lw=1.5)
        (self.accuracy,) = self._accuracy.plot([], [], "k--D", lw=1.5, ms=6)
        self._accuracy.set_ylim(0, 1.05)  # or the edge would cut off 100%
        self._accuracy.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
        colours = split_colours(len(names))
        self.movement = [
            self._movement.plot(
                [], [], color=colour, marker=marker, markevery=[], ms=9, mec="white", label=name,
                lw=4.0 - 2.2 * i / max(1, len(names) - 1),
            )[0]
            for i, (name, colour, marker) in enumerate(
                zip(names, colours, np.resize(list(MARKERS), len(names)), strict=True)
            )
        ]  # fmt: skip
        self._movement.axhline(GUIDE, color=GREY, ls="--", lw=1.2)
        self._movement.set_title(
            "A step's change as a share of the weights (dashed: 1e-3)", size=13, loc="left"
        )
        log_of_rates(self._movement)
        panels = [self._loss, self._movement]
        self._cursor = None
        if plan is not None:
            rates = self.figure.add_axes((0.535, 0.2, 0.45, 0.2))
            panels.append(rates)
            curves = plan_curves(plan, steps_per_epoch)
            for column, line in zip(curves.lrs.T, self.movement, strict=True):
                rates.plot(curves.x, column, color=line.get_color(), lw=line.get_linewidth() * 0.7)
            log_of_rates(rates)
            rates.set_ylim(*(10.0**limit for limit in curves.lr_limits))
            rates.yaxis.set_major_locator(LogLocator(numticks=3))
            rates.set_ylabel("LR", size=11)
            self._movement.tick_params(labelbottom=False)
            upright = rates.get_xaxis_transform()
            (self._cursor,) = rates.plot([], [], color=RED, lw=2, transform=upright)
        self._over_epochs = panels
        for axes in (*panels, self._accuracy):
            axes.set_xlim(0, epochs)
            axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
            axes.tick_params(labelsize=11)
            axes.spines[["top"] if axes is self._accuracy else ["top", "right"]].set_visible(False)
        self._loss.set_xlabel("epoch", size=12)
        panels[-1].set_xlabel("epoch", size=12)
        handles = [
            self._movement.plot([], [], color=line.get_color(), marker=line.get_marker(), ms=9)[0]
            for line in self.movement
        ]
        key = self.figure.legend(
            handles, names, loc="lower right", ncols=len(names), frameon=False, fontsize=12,
            bbox_to_anchor=(0.99, -0.02), handlelength=1.5, columnspacing=1.2,
        )  # fmt: skip
        for text in key.get_texts():
            text.set_parse_math(False)

    def update(
        self,
        losses: Sequence[tuple[float, float]],
        accuracies: Sequence[tuple[float, float]],
        movements: Sequence[tuple[float, tuple[float, ...]]],
        now: float,
    ) -> None:
        """Show these (epoch, value) pairs, and where the training is now, in epochs."""
        self.loss.set_data([x for x, _ in losses], [y for _, y in losses])
        self.accuracy.set_data([x for x, _ in accuracies], [y for _, y in accuracies])
        words = "Loss at each step (line), accuracy (◆)" if accuracies else "Loss at each step"
        self._loss.set_title(words, size=13, loc="left")
        self._accuracy.set_visible(bool(accuracies))
        self._loss.yaxis.set_visible(bool(losses))
        if losses:
            values = [y for _, y in losses]
            self._loss.set_ylim(min(0.0, min(values)), 1.05 * max(values) or 1.0)
        shown = [value for _, each in movements for value in each if value > 0]
        high = max([GUIDE, *shown])
        # A cycle ends at next to nothing, which would squeeze all that matters to the top.
        low = 10 ** np.floor(np.log10(max(min([GUIDE, *shown]), high * 1e-5)) - 0.1)
        self._movement.set_ylim(low, 10 ** np.ceil(np.log10(high) + 0.1))
        x = [epoch for epoch, _ in movements]
        for i, line in enumerate(self.movement):
            # 0 has no place on a log axis; a frozen split leaves a gap.
            y = np.array([each[i] or np.nan for _, each in movements], float)
            line.set_data(x, y)
            seen = np.flatnonzero(y >= low)
            line.set_markevery([int(seen[-1])] if len(seen) else [])
        if self._cursor is not None:
            self._cursor.set_data([now, now], [0, 1])
        if now > self._loss.get_xlim()[1]:
            for axes in self._over_epochs:
                axes.set_xlim(0, 2 * now)
