"""The picture of a plan, built once and moved afterwards, so that it can follow a slider.

It is made without pyplot: nothing is drawn twice, no window opens and no figure leaks.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from difflr.drawing import GREY, MARKERS, RED, Colour, canvas_png, ink_on, short, split_colours
from difflr.errors import as_int
from difflr.plan import Plan
from difflr.planaxes import PlanAxes
from difflr.plancurves import plan_curves

__all__ = ["PlanFigure"]


class PlanFigure:
    """Learning rates, momentum and frozen splits of a plan; ``update`` shows another plan.

    Args:
        plan: the plan to show first.
        names: of its splits, shallow to deep.
        steps_per_epoch: optimizer steps in one epoch.
        dpi: dots per inch; the figure is 9 inches wide.

    ``figure`` is the matplotlib figure, ``lines`` holds one line per split and ``momentum`` the line
    of the momentum. Their x is in epochs; a frozen split and the gap between phases are NaN.
    """

    def __init__(
        self, plan: Plan, names: Sequence[str], steps_per_epoch: int = 50, dpi: float = 80
    ) -> None:
        self.names = tuple(names)
        self.steps_per_epoch = as_int("steps_per_epoch", steps_per_epoch, 1)
        self._colours = split_colours(len(self.names))
        self._axes = PlanAxes(self.names, dpi)
        self.figure = self._axes.figure
        (self.momentum,) = self._axes.momentum.plot([], [], color="black", lw=2)
        self.lines = [self._split_line(i, colour) for i, colour in enumerate(self._colours)]
        self._trained = PolyCollection([], edgecolors="white", linewidths=1.5)
        self._frozen = PolyCollection(
            [], facecolors="#eeeeee", edgecolors="#9a9a9a", linewidths=0.5, hatch="////"
        )
        for cells in (self._trained, self._frozen):
            self._axes.strip.add_collection(cells, autolim=False)
        self._patch = Rectangle((0, 0), 0, 0, visible=False, ec="white", lw=1.5)
        self._axes.strip.add_patch(self._patch)
        self._borders = [_upright(axes, color=GREY, lw=1) for axes in self._axes.all]
        self._cursors = [_upright(axes, color=RED, lw=2.5, zorder=5) for axes in self._axes.all]
        self._peaks: list[Text] = []
        self._phase_names: list[Text] = []
        self._background: tuple[Any, ...] = (None, None, [])
        self.update(plan)

    def update(self, plan: Plan) -> None:
        """Show another plan for the same number of splits."""
        plan.check(len(self.names))
        self.plan = plan
        curves = plan_curves(plan, self.steps_per_epoch)
        for i, line in enumerate(self.lines):
            line.set_data(curves.x, curves.lrs[:, i])
            # The markers of splits with equal LRs stand side by side, not on one another.
            line.set_markevery(curves.points(0.15 + 0.45 * (i + 0.5) / len(self.lines)))
        self.momentum.set_data(curves.x, curves.momentum)
        self._axes.fit(plan, curves.lr_limits)
        self._set_cells(plan)
        self._set_phases(plan)

    def mark(self, step: int | None) -> None:
        """Draw a line at optimizer step ``step``, or none."""
        x = [] if step is None else [step / self.steps_per_epoch] * 2
        for cursor in self._cursors:
            cursor.set_data(x, [0, 1][: len(x)])

    def png(self) -> bytes:
        """Return the picture as PNG.

        What a learning rate does not change (axes, names, phases) is kept from the picture before,
        which makes the redraw for a slider several times as fast.
        """
        canvas: Any = self.figure.canvas
        moving = [*self.lines, self.momentum, *self._cursors]
        if self._layout != self._background[0]:
            for line in moving:
                line.set_visible(False)
            canvas.draw()
            kept = canvas.copy_from_bbox(self.figure.bbox)
            self._background = (self._layout, kept, [text.get_text() for text in self._peaks])
            for line in moving:
                line.set_visible(True)
        _, kept, written = self._background
        canvas.restore_region(kept)
        for line in moving:
            self.figure.draw_artist(line)
        for text, old, (start, length, split) in zip(
            self._peaks, written, self._written_cells, strict=False
        ):
            if text.get_text() != old:
                self._patch.set(
                    bounds=(start, split, length, 1), fc=self._colours[split], visible=True
                )
                self.figure.draw_artist(self._patch)
                self.figure.draw_artist(text)
        self._patch.set_visible(False)
        return canvas_png(self.figure)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture in pixels."""
        canvas: Any = self.figure.canvas
        return canvas.get_width_height()

    @property
    def _layout(self) -> tuple[Any, ...]:
        """All that the kept background depends on."""
        plan = self.plan
        phases = tuple((phase.epochs, phase.trainable) for phase in plan.phases)
        momentum = (plan.base_momentum, plan.max_momentum, plan.cycle_momentum)
        return phases, momentum, self._axes.lr.get_ylim()

    def _split_line(self, split: int, colour: Any) -> Line2D:
        # Where lines lie on one another, the deeper one is narrower and leaves a rim.
        width = 5.0 - 3.0 * split / max(1, len(self.names) - 1)
        marker = MARKERS[split % len(MARKERS)]
        (line,) = self._axes.lr.plot(
            [], [], color=colour, lw=width, marker=marker, ms=self._axes.text_size - 2
        )
        line.set(mec="white", mew=0.8)
        # The key: the same marker beside the split's name.
        (key,) = self._axes.strip.plot(
            [-0.013], [split + 0.5], color=colour, marker=marker, ms=self._axes.text_size - 2
        )
        key.set(transform=self._axes.strip.get_yaxis_transform(), clip_on=False)
        return line

    def _set_cells(self, plan: Plan) -> None:
        """Fill the strip: a coloured cell with the peak LR where a split trains, else a hatched one."""
        trained: list[list[tuple[int, int]]] = []
        colours: list[Colour] = []
        frozen: list[list[tuple[int, int]]] = []
        self._written_cells = []
        texts = []
        for start, phase in zip(plan.starts, plan.phases, strict=True):
            end = start + phase.epochs
            for i, trains in enumerate(phase.trainable):
                cell = [(start, i), (end, i), (end, i + 1), (start, i + 1)]
                (trained if trains else frozen).append(cell)
                if trains:
                    colours.append(self._colours[i])
                if trains and phase.epochs / plan.epochs > 0.07:  # else the number has no room
                    self._written_cells.append((start, phase.epochs, i))
                    ink = ink_on(self._colours[i])
                    texts.append(((start + end) / 2, i + 0.52, short(phase.lrs[i]), ink))
        self._trained.set_verts(trained)
        self._trained.set_facecolor(colours)
        self._frozen.set_verts(frozen)
        _write(
            self._axes.strip,
            self._peaks,
            texts,
            fontsize=self._axes.text_size - 1,
            va="center_baseline",
        )

    def _set_phases(self, plan: Plan) -> None:
        x = np.repeat(np.array(plan.starts[1:], float), 3)
        x[2::3] = np.nan
        for border in self._borders:
            border.set_data(x, np.resize([0.0, 1.0, np.nan], len(x)))
        top = self._axes.lr.get_ylim()[1]
        texts = []
        for number, (start, phase) in enumerate(zip(plan.starts, plan.phases, strict=True), 1):
            share = phase.epochs / plan.epochs
            name = f"phase {number}" if share > 0.09 else f"{number}" if share > 0.025 else ""
            texts.append((start + phase.epochs / 2, top, name, "black"))
        _write(self._axes.lr, self._phase_names, texts, fontsize=11, va="bottom")


def _write(
    axes: Axes, pool: list[Text], items: list[tuple[float, float, str, str]], **style: Any
) -> None:
    """Show ``items`` (x, y, text, colour) with the texts of ``pool``; make more where it is short."""
    while len(pool) < len(items):
        pool.append(axes.text(0, 0, "", ha="center", **style))
    for text, (x, y, content, colour) in zip(pool, items, strict=False):
        text.set(position=(x, y), text=content, color=colour, visible=True)
    for text in pool[len(items) :]:
        text.set_visible(False)


def _upright(axes: Axes, **style: Any) -> Line2D:
    """Return a line whose x is in epochs and whose y runs from 0 (bottom) to 1 (top)."""
    return axes.plot([], [], transform=axes.get_xaxis_transform(), **style)[0]
