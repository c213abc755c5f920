"""The picture of the replay: the grid of a recording, and the runs of one of its points."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from difflr.evidence.grids import Grid, Point, row_lines, sides
from difflr.evidence.plateau import draw_heat
from difflr.evidence.summaries import drawn, estimate
from difflr.figures.picture import Drawing
from difflr.figures.style import GREY, OKABE_ITO, RED, split_colours
from difflr.figures.words import short
from difflr.runs.statistics import format_estimate
from difflr.studies.recordings import Recording, Run

__all__ = ["ReplayFigure"]

_LABELS = {  # of the grid's axes, by what its rows are
    "ratio": ("base LR (of the last split)", "ratio last / first LR"),
    "decay": ("base LR (of the last split)", "layer decay (1: uniform)"),
    "recipe": ("base LR", ""),
}


class ReplayFigure(Drawing):
    """Heat map, accuracy and loss per epoch, displacement and CKA per split, of a fixed size."""

    def __init__(self, recording: Recording, rows: str) -> None:
        self.recording, self.rows = recording, rows
        # Ten names of a transformer's blocks have to stand beside each other.
        self.names = [x if len(x) < 10 else f"…{x[-2:]}" for x in recording.splits]
        self.figure = Figure(figsize=(12, 5.6), dpi=80)  # laid out by hand: four times as fast
        moved = sorted(v for run in recording.runs for v in run.displacement if v) or [1e-3, 1.0]
        self._moved = moved[len(moved) // 100] / 2, 2 * moved[-1]  # one range for all points
        peaks = [lr for plan in recording.plans.values() for p in plan.phases for lr in p.lrs if lr]
        self._peaks = min(peaks, default=1e-4) / 2, 2 * max(peaks, default=1e-1)
        self._grid: tuple[Any, list[float], list[Any]] | None = None

    def draw(
        self,
        cells: Grid,
        condition: str,
        point: Point,
        epochs: tuple[int, int],
        prediction: Point | None,
        *,
        revealed: bool,
    ) -> bytes:
        """Draw the point's runs, the phase's epochs marked, and return the PNG.

        Unless ``revealed``, the numbers stay covered: the grid shows only where the point lies.
        """
        self.figure.clear()
        runs = cells.get(point, [])
        names = [row for row in sides(cells)[1] if isinstance(row, str)]
        wide = max((len(part) for name in names for part in row_lines(name, len(names))), default=0)
        left = max(0.07, 0.02 + 0.0072 * wide)  # shares of the picture's width
        axes = self.figure.add_axes((left, 0.2, 0.53 - left, 0.72))
        rates, rows, _ = draw_heat(axes, cells, size=10.5)
        across, up = _LABELS[self.rows]
        axes.set_xlabel(across)
        axes.set_ylabel(up)
        if (0.53 - left) / len(rates) < 0.045:
            axes.tick_params("x", rotation=30)
        title = f"accuracy (%), {condition}"
        self._grid = axes, rates, rows
        if not revealed:
            for number in axes.texts:
                number.set(text="?", color=GREY)
            axes.images[0].set_visible(False)
            axes.set_xticks([i + 0.5 for i in range(len(rates) - 1)], minor=True)
            axes.set_yticks([i + 0.5 for i in range(len(rows) - 1)], minor=True)
            axes.grid(which="minor", color="0.85")
            axes.tick_params(which="minor", length=0)
            title = "Where is the best accuracy? Predict, then look."
        # A long one has to end before the panel on the right.
        axes.set_title(title, size=min(13, 800 / len(title)), x=(0.3 - left) / (0.53 - left))
        if prediction is not None:  # in the corner, so that the number can be read
            x, y = rates.index(prediction[0]) + 0.32, rows.index(prediction[1]) + 0.28
            axes.plot(x, y, "*", ms=16, mfc="white", mec="black", ls="", label="your prediction")
        axes.plot(
            rates.index(point[0]), rows.index(point[1]), "s", ms=30, mfc="none", mec=RED, mew=3,
            ls="", label="this point",
        )  # fmt: skip
        self.figure.legend(loc="lower left", ncols=2, frameon=False, fontsize=12, markerscale=0.5)
        if revealed and runs:
            places = [(x, y, 0.17, 0.28) for y in (0.64, 0.2) for x in (0.59, 0.815)]
            panels = [self.figure.add_axes(place) for place in places]
            self._curves(panels[:2], runs, epochs)
            self._splits(panels[2:], runs)
            held, old = (estimate(runs, f"source_{of}") for of in ("accuracy", "old_bn"))
            if not math.isnan(held.mean):
                text = f"source task: {format_estimate(held)}"
                if not math.isnan(old.mean):
                    text += f" (old BatchNorm statistics: {100 * old.mean:.1f}%)"
                self.figure.text(0.99, 0.025, text, size=11, ha="right")
        elif runs:
            self._rates(self.figure.add_axes((0.64, 0.3, 0.3, 0.5)), runs, epochs)
        else:
            self.figure.text(0.6, 0.55, "no runs at this point", size=14)
        return self.png()

    def point_at(self, x: float, y: float) -> Point | None:
        """Return the point of the grid at a place in the picture, in shares from its upper left corner."""
        if self._grid is None:
            return None
        axes, rates, rows = self._grid
        wide, tall = self.size
        column, row = axes.transData.inverted().transform((x * wide, (1 - y) * tall)).round()
        if 0 <= column < len(rates) and 0 <= row < len(rows):
            return rates[int(column)], rows[int(row)]
        return None

    def _rates(self, axes: Any, runs: Sequence[Run], epochs: tuple[int, int]) -> None:
        """Draw what is predicted about, while the numbers are covered: the LR of each split."""
        axes.set_title("What this point means: the LR of each split", size=13)
        if runs[0].plan is None:
            _say(axes, "a schedule of another package")
            return
        plan, names = self.recording.plan_of(runs[0]), self.names
        rates = plan.phases[plan.starts.index(epochs[0])].lrs
        axes.bar(range(len(names)), rates, color=split_colours(len(names)))
        axes.set_yscale("log")
        axes.set_ylim(*self._peaks)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda lr, _: short(lr)))
        axes.set_xticks(range(len(names)), names, size=11, rotation=60 if len(names) > 6 else 0)

    def _curves(self, panels: Any, runs: Sequence[Run], epochs: tuple[int, int]) -> None:
        count = runs[0].cell.epochs
        x = np.arange(1, count + 1)
        for axes, measure, title, scale, colour in zip(
            panels, ("curve_accuracy", "curve_loss"), ("accuracy (%)", "training loss"), (100, 1),
            OKABE_ITO, strict=False,
        ):  # fmt: skip
            means, halves = drawn((estimate(runs, measure, i) for i in range(count)), scale)
            axes.set_title(title, size=12)
            if np.isnan(means).all():
                _say(axes, "not recorded")
                continue
            axes.axvspan(epochs[0] + 0.5, epochs[1] + 0.5, color="#fff2c4", lw=0)
            axes.plot(x, means, color=colour, marker="o", lw=2)
            axes.fill_between(x, means - halves, means + halves, color=colour, alpha=0.25, lw=0)
            axes.set_xlabel("epoch (shaded: the phase)", size=10)
            axes.set_xlim(0.5, count + 0.5)
            axes.set_ylim(0, 100 if scale == 100 else None)
            axes.set_xticks(x[:: max(1, count // 6)])

    def _splits(self, panels: Any, runs: Sequence[Run]) -> None:
        names = self.names
        for axes, measure, title in zip(
            panels, ("displacement", "cka"), ("weights moved (relative)", "CKA before / after"),
            strict=True,
        ):  # fmt: skip
            means, halves = drawn((estimate(runs, measure, i) for i in range(len(names))), 1)
            colours = split_colours(len(names))
            axes.bar(range(len(names)), means, color=colours, yerr=halves, capsize=3)
            axes.set_xticks(range(len(names)), names, rotation=60, size=10)
            axes.set_title(title, size=12)
        panels[0].set_yscale("log")
        panels[0].set_ylim(*self._moved)
        panels[1].set_ylim(0, 1.05)


def _say(axes: Any, text: str) -> None:
    """Let a panel say why it is empty."""
    axes.axis("off")
    axes.text(0.5, 0.5, text, size=11, ha="center", transform=axes.transAxes)
