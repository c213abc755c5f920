"""A plan as a picture, before anything is trained."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from difflr.errors import as_int
from difflr.figures.picture import Drawing, canvas_png
from difflr.figures.style import GREY, MARKERS, RED, Colour, ink_on, log_of_rates, split_colours
from difflr.figures.words import count, short, split_names
from difflr.plan import MAX_STEPS, Plan
from difflr.shapes import Steps
from difflr.written.spans import FEW, name_span, spans

__all__ = ["PlanAxes", "PlanCurves", "PlanFigure", "plan_curves", "plot_plan"]


class PlanFigure(Drawing):
    """Learning rates, momentum and frozen splits of a plan; ``update`` shows another plan.

    Args:
        plan: the plan to show first.
        names: of its splits, shallow to deep.
        steps_per_epoch: optimizer steps in one epoch.
        dpi: dots per inch; the figure is 9 inches wide.
        compact: less wide and much less tall, to stand beside controls.

    ``figure`` is the matplotlib figure, ``lines`` holds one line per split and ``momentum`` the line
    of the momentum. Their x is in epochs; a frozen split and the gap between phases are NaN.
    """

    def __init__(
        self,
        plan: Plan,
        names: Sequence[str],
        steps_per_epoch: int = 50,
        dpi: float = 80,
        compact: bool = False,
    ) -> None:
        self.names = tuple(names)
        self.steps_per_epoch = as_int("steps_per_epoch", steps_per_epoch, 1, MAX_STEPS)
        self._colours = split_colours(len(self.names))
        self._spans, self._many = spans(len(self.names)), len(self.names) > FEW
        # Upper and lower edge of each split in the strip, where all of a span share its row.
        shares = [
            (row, i, len(span)) for row, span in enumerate(self._spans) for i in range(len(span))
        ]
        self._edges = [(row + i / n, row + (i + 1) / n) for row, i, n in shares]
        rim = 0.0 if self._many else 1.5  # between many cells there would be little else
        self._axes = PlanAxes(self.names, dpi, compact)
        self.figure = self._axes.figure
        (self.momentum,) = self._axes.momentum.plot([], [], color="black", lw=2)
        self.lines = [self._split_line(i, colour) for i, colour in enumerate(self._colours)]
        self._trained = PolyCollection([], edgecolors="white", linewidths=rim)
        self._frozen = PolyCollection(
            [], facecolors="#eeeeee", edgecolors="#9a9a9a", linewidths=rim / 3, hatch="////"
        )
        for cells in (self._trained, self._frozen):
            self._axes.strip.add_collection(cells, autolim=False)
        self._patch = Rectangle((0, 0), 0, 0, visible=False, ec="white", lw=rim)
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
            if not self._many:
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
        canvas = self._axes.canvas
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
        for text, old, (start, length, trained) in zip(
            self._peaks, written, self._written_cells, strict=False
        ):
            if text.get_text() != old:
                for split in trained:
                    top, bottom = self._edges[split]
                    cell = (start, top, length, bottom - top)
                    self._patch.set(bounds=cell, fc=self._colours[split], visible=True)
                    self.figure.draw_artist(self._patch)
                self.figure.draw_artist(text)
        self._patch.set_visible(False)
        return canvas_png(canvas)

    @property
    def _layout(self) -> tuple[Any, ...]:
        """All that the kept background depends on."""
        plan = self.plan
        phases = tuple((phase.epochs, phase.trainable) for phase in plan.phases)
        momentum = (plan.base_momentum, plan.max_momentum, plan.moves_momentum)
        return phases, momentum, self._axes.lr.get_ylim()

    def _split_line(self, split: int, colour: Any) -> Line2D:
        # Where lines lie on one another, the deeper one is narrower and leaves a rim.
        width = 5.0 - 3.0 * split / max(1, len(self.names) - 1)
        across = self._axes.strip.get_yaxis_transform()
        beside: dict[str, Any] = {"transform": across, "clip_on": False}
        if self._many:  # the key is a bar of colours, each beside its row
            top, bottom = self._edges[split]
            key = Rectangle((-0.02, top), 0.013, bottom - top, fc=colour, **beside)
            self._axes.strip.add_patch(key)
            return self._axes.lr.plot([], [], color=colour, lw=width / 2)[0]
        sign = {"color": colour, "marker": MARKERS[split], "ms": self._axes.text_size - 2}
        (line,) = self._axes.lr.plot([], [], lw=width, mec="white", mew=0.8, **sign)
        # The key: the same marker beside the split's name.
        self._axes.strip.plot([-0.013], [split + 0.5], **sign, **beside)
        return line

    def _set_cells(self, plan: Plan) -> None:
        """Fill the strip: a coloured cell with the peak LR where a split trains, else a hatched one.

        Of many splits each span has one number: the largest.
        """
        cells: dict[bool, list[list[tuple[int, float]]]] = {True: [], False: []}
        colours: list[Colour] = []
        self._written_cells = []
        texts = []
        for start, phase in zip(plan.starts, plan.phases, strict=True):
            end = start + phase.epochs
            awake = phase.trainable
            for i, trains in enumerate(awake):
                top, bottom = self._edges[i]
                cells[trains].append([(start, top), (end, top), (end, bottom), (start, bottom)])
                if trains:
                    colours.append(self._colours[i])
            for row, span in enumerate(self._spans):
                trained = [i for i in span if awake[i]]
                if trained and phase.epochs / plan.epochs > 0.08:  # else the number has no room
                    self._written_cells.append((start, phase.epochs, trained))
                    ink = ink_on(self._colours[trained[len(trained) // 2]])
                    most = short(max(phase.lrs[i] for i in trained))
                    texts.append(((start + end) / 2, row + 0.52, most, ink))
        self._trained.set_verts(cells[True])
        self._trained.set_facecolor(colours)
        self._frozen.set_verts(cells[False])
        size = self._axes.text_size - 1
        _write(self._axes.strip, self._peaks, texts, fontsize=size, va="center_baseline")

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


class PlanAxes:
    """A figure with axes for learning rates, for a strip with a row per split, and for momentum.

    They stand in one column over the same epochs. ``text_size`` fits a row of the strip, in points.

    Args:
        names: of the splits, shallow to deep.
        dpi: dots per inch; the figure is 9 inches wide and grows with the number of splits.
        compact: 7.5 inches wide, curves and momentum less tall.
    """

    def __init__(self, names: Sequence[str], dpi: float, compact: bool) -> None:
        n = len(rows := spans(len(names)))
        self._what = "Learning rate of each split" if n == len(names) else "Learning rates"
        self._labels = [name_span(names[row[0] : row[-1] + 1], brief=True) for row in rows]
        wide, momentum, lr, line = (7.5, 0.35, 1.5, 0.23) if compact else (9, 0.7, 2.4, 0.26)
        strip = max(1.0, line * n)
        longest = max(map(len, self._labels)) if n < len(names) else 1
        self.text_size = max(6.0, min(11.0, 72 * strip / n * 0.7, 115 / longest))
        tall = 1.35 + momentum + lr + strip
        self.figure = Figure(figsize=(wide, tall), dpi=dpi)
        self.canvas = FigureCanvasAgg(self.figure)
        left, width = 1.215 / wide, 1 - 1.35 / wide
        self.momentum, self.strip, self.lr = self.all = tuple(
            self.figure.add_axes((left, bottom / tall, width, height / tall))
            for bottom, height in (
                (0.55, momentum),
                (0.65 + momentum, strip),
                (0.75 + momentum + strip, lr),
            )
        )
        top = 1 - 0.17 / tall
        self._title = self.figure.text(left, top, "", fontsize=13, va="center")
        self._hatched = self.figure.text(
            left + width, top, "", fontsize=11, va="center", ha="right"
        )
        self._no_momentum = self.momentum.text(
            0.5, 0.5, "", transform=self.momentum.transAxes, ha="center", va="center"
        )
        self._dress()
        if compact:  # no room for it upright
            label = self.momentum.yaxis.label
            label.set(rotation=0, ha="right", va="center", fontsize=8)
            self.momentum.yaxis.set_label_coords(-0.48 / (wide * width), 0.5)

    def fit(self, plan: Plan, lr_limits: tuple[float, float]) -> None:
        """Set title and limits for a plan; those of the learning rates are powers of ten."""
        self._title.set_text(f"{self._what} over {count(plan.epochs, 'epoch')}")
        frozen = not all(all(phase.trainable) for phase in plan.phases)
        notes = ["numbers: the largest of each row"] if len(self._labels) < plan.n_splits else []
        self._hatched.set_text("; ".join([*notes, "hatched: frozen"][: len(notes) + frozen]))
        bottom, top = lr_limits
        self.lr.set_ylim(10.0**bottom, 10.0**top)
        decades = range(math.ceil(bottom), math.floor(top) + 1, max(1, round((top - bottom) / 6)))
        self.lr.yaxis.set_major_locator(FixedLocator([10.0**e for e in decades]))
        self._no_momentum.set_text("" if plan.moves_momentum else "left to the optimizer")
        low, high = sorted((plan.base_momentum, plan.max_momentum))
        room = max(0.01, (high - low) * 0.25)
        self.momentum.set_ylim(low - room, high + room)
        self.momentum.set_yticks(sorted({low, high}))
        for axes in self.all:
            axes.set_xlim(0, plan.epochs)

    def _dress(self) -> None:
        momentum, strip, lr = self.momentum, self.strip, self.lr
        log_of_rates(lr)
        lr.set_ylabel("learning rate", fontsize=12)
        strip.set_ylim(len(self._labels), 0)
        rows = [i + 0.5 for i in range(len(self._labels))]
        strip.set_yticks(rows, self._labels, parse_math=False)
        momentum.set_ylabel("momentum", fontsize=10)
        momentum.set_xlabel("epoch", fontsize=12)
        momentum.xaxis.set_major_locator(MaxNLocator(12, integer=True))
        for axes in self.all:
            axes.tick_params(labelsize=11)
            axes.set_autoscale_on(False)
            axes.spines[["top", "right"]].set_visible(False)
        for axes in (lr, strip):
            axes.xaxis.set_major_locator(NullLocator())  # not drawn, ticks would still take time
        strip.tick_params(axis="y", length=0, pad=19, labelsize=self.text_size)


_POINTS = 240  # in a plan; more cannot be told apart on a screen, and each costs time


@dataclass(frozen=True)
class PlanCurves:
    """Learning rates and momentum of a plan at some of its steps, phase by phase.

    ``x`` (points) is in epochs, ``lrs`` is (points, splits), ``momentum`` (points). All are NaN in the
    gap between two phases, a learning rate also where its split is frozen, the momentum wherever it
    is left to the optimizer. ``phases`` holds the first point of each phase and the one after its
    last; ``lr_limits`` are powers of ten that hold what matters of the learning rates.
    """

    x: NDArray[Any]
    lrs: NDArray[Any]
    momentum: NDArray[Any]
    phases: tuple[tuple[int, int], ...]
    lr_limits: tuple[float, float]

    def points(self, share: float) -> list[int]:
        """Return one point in each phase, at a share of its points from 0 to 1."""
        return [begin + int(share * (end - begin)) for begin, end in self.phases]


def plan_curves(plan: Plan, steps_per_epoch: int) -> PlanCurves:
    """Return the curves of a plan whose epochs have ``steps_per_epoch`` optimizer steps."""
    steps, breaks = _steps(plan, steps_per_epoch)
    points = [plan.at(step, steps_per_epoch) for step in steps]
    x = np.insert(np.array(steps) / steps_per_epoch, breaks, np.nan)
    lrs = np.array([point.lrs for point in points])
    lrs = np.insert(np.where(lrs > 0, lrs, np.nan), breaks, np.nan, axis=0)
    momentum = np.insert(np.array([p.momentum for p in points], float), breaks, np.nan)
    ends = [*(b + i for i, b in enumerate(breaks)), len(x)]
    begins = [0, *(end + 1 for end in ends[:-1])]
    return PlanCurves(
        x,
        lrs,
        momentum if plan.moves_momentum else momentum * np.nan,
        tuple(zip(begins, ends, strict=True)),
        _lr_limits(plan, lrs),
    )


def _steps(plan: Plan, steps_per_epoch: int) -> tuple[list[int], list[int]]:
    """Return the steps to draw, and the positions in that list at which a new phase begins."""
    steps: list[int] = []
    breaks = []
    share = max(8, _POINTS // len(plan.phases))
    for start, phase in zip(plan.starts, plan.phases, strict=True):
        count = phase.epochs * steps_per_epoch
        inside = set(np.linspace(0, count - 1, min(share, count)).round().astype(int).tolist())
        peak = math.floor(phase.pct_start * count - 1)
        # The peak, and the end of a fall over decades, must not lie between two drawn steps.
        inside |= {s for s in (peak, peak + 1, count - 2, count - 3) if 0 <= s < count}
        if isinstance(phase.shape, Steps):  # a stair has edges, not ramps
            rise = math.ceil(phase.shape.warmup * count)
            edges = range(rise, count, phase.shape.every * steps_per_epoch)
            inside |= {s for edge in edges for s in (edge - 1, edge) if 0 <= s < count}
        if steps:
            breaks.append(len(steps))
        steps += [start * steps_per_epoch + s for s in sorted(inside)]
    return steps, breaks


def _lr_limits(plan: Plan, lrs: NDArray[Any]) -> tuple[float, float]:
    used = [
        (lr, lr / (phase.div_factor if phase.shape is None else 25))
        for phase in plan.phases
        for lr in phase.lrs
        if lr
    ]
    # The last steps of a phase fall by further decades, which would press all else together.
    low = min(max(start, peak / 30) for peak, start in used)
    # A phase of one step trains at its minimum, however low that is: show it all the same.
    drawn = [column[column > 0] for column in lrs.T]  # NaN is not above 0
    low = min([low, *(max(rates) for rates in drawn if len(rates))])
    bottom = math.floor(2 * math.log10(low)) / 2  # half decades, not to jump at every move
    top = math.ceil(2 * math.log10(max(peak for peak, _ in used)) + 0.3) / 2
    return bottom, top


def plot_plan(plan: Plan, names: Sequence[str] | None = None, steps_per_epoch: int = 50) -> Figure:
    """Draw a plan before training: LR per split on a log axis, momentum, and what is frozen.

    Args:
        plan: the plan; every number drawn is ``plan.lrs(step, steps_per_epoch)``.
        names: of the splits, shallow to deep.
        steps_per_epoch: optimizer steps in one epoch.

    Returns:
        A matplotlib figure; ``figure.savefig("plan.png")`` writes it.

    Raises:
        DifflrError: for another number of names than splits.
    """
    return PlanFigure(plan, split_names(plan, names), steps_per_epoch, dpi=120).figure
