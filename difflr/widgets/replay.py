"""The replay: predict the best point of a recorded study, then look at what really happened."""

import math
import os
from typing import Any

import ipywidgets as w
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from difflr.errors import DifflrError, short_repr
from difflr.evidence.plateau import draw_heat
from difflr.evidence.summaries import (
    Estimate,
    describe_difference,
    difference,
    estimate,
    grouped,
)
from difflr.experiments.statistics import format_estimate
from difflr.figures.picture import figure_png
from difflr.figures.style import GREY, OKABE_ITO, RED, split_colours
from difflr.figures.words import short
from difflr.studies.recordings import Recording, Run, load_recording
from difflr.widgets._native import Slider
from difflr.widgets._panel import Panel, button, framed, message_html, picture_box, table_html

__all__ = ["Replay", "ReplayFigure", "score"]

Point = tuple[float, float]  # base LR, ratio


class Replay(Panel):
    """Explore a recording over base LR, ratio, training size and phase; the numbers are real runs.

    Args:
        recording: a ``Recording``, or the name or path of one.
        covered: hide the numbers until a prediction is marked (or ``look`` is pressed).

    ``point`` (base LR, ratio) and ``train_size`` can be read and set; ``prediction`` is the point that
    was marked for this training size, ``score`` says in words how good it was.
    """

    def __init__(
        self, recording: Recording | str | os.PathLike[str] = "plateau", *, covered: bool = True
    ) -> None:
        super().__init__()
        if not isinstance(recording, Recording):
            recording = load_recording(recording)
        runs = recording.where(measured_on="validation")
        recipes = {run.cell.recipe for run in runs}
        if len(recipes) != 1 or any(run.tags["base_lr"] is None for run in runs):
            raise DifflrError(
                f"The recording {recording.study} is no grid of base learning rates of one recipe.",
                "Pass a recording of the study plateau.",
            )
        self.recording = recording
        self.prediction: Point | None = None
        self.score = ""
        self._revealed = not covered
        self._predicted: dict[int, Point] = {}
        self._sizes = grouped(runs, "train_size")
        self.figure = ReplayFigure(recording)
        self.picture = picture_box(*self.figure.size)
        style = {"description_width": "8em"}
        wide = w.Layout(width="32em")
        sizes = sorted({run.cell.train_size for run in runs})
        self.size_control = w.Dropdown(
            options=[(f"{size:,}", size) for size in sizes], description="Training size",
            style=style, layout=w.Layout(width="18em"),
        )  # fmt: skip
        self.lr_control = Slider(
            options=[("", 0.0)], description="Base LR", style=style, layout=wide
        )
        self.ratio_control = Slider(
            options=[("", 0.0)], description="Ratio last/first", style=style, layout=wide
        )
        self.phase_control = Slider(
            options=[("1", 0)], description="Phase", style=style, layout=wide
        )
        self.predict = button("I predict: this is the best point", "Mark it, then see the numbers")
        self.look = button("Look without predicting", "Show the numbers")
        self.message = w.HTML(layout=w.Layout(min_height="2.6em"))
        self.table = w.HTML()
        self.picture.grip = "Click on a point to choose it"
        self.picture.observe(lambda change: self._click(change["new"]), "pointed")
        self._busy = False
        for control in (self.lr_control, self.ratio_control, self.phase_control):
            control.observe(lambda _: self._update(), "value")
        self.size_control.observe(lambda _: self._resize(), "value")
        self.predict.on_click(lambda _: self._predict())
        self.look.on_click(lambda _: self.reveal())
        row = w.Layout(flex_flow="row wrap")
        self.widget = w.VBox(
            [
                framed(self.picture),
                self.message,
                w.HBox([self.lr_control, self.ratio_control], layout=row),
                w.HBox(
                    [self.predict, self.look, self.size_control, self.phase_control], layout=row
                ),
                self.table,
            ]
        )
        self._resize()

    @property
    def train_size(self) -> int:
        """Number of training pictures that is looked at."""
        return self.size_control.value

    @train_size.setter
    def train_size(self, value: int) -> None:
        self._set(self.size_control, "train_size", value)

    @property
    def point(self) -> Point:
        """Base LR and ratio that are looked at."""
        return self.lr_control.value, self.ratio_control.value

    @point.setter
    def point(self, value: Point) -> None:
        lr, ratio = value
        with self._lock:
            self._busy = True  # one drawing for both
            try:
                self._set(self.lr_control, "base LR", lr)
                self._set(self.ratio_control, "ratio", ratio)
            finally:
                self._busy = False
            self._update()

    @property
    def runs(self) -> list[Run]:
        """The runs of the point, one per seed; empty where the grid has none."""
        return self._cells().get(self.point, [])

    def reveal(self) -> None:
        """Show the numbers."""
        with self._lock:
            self._revealed = True
            self._update()

    def _set(self, control: w.Widget, name: str, value: float) -> None:
        values = [option[1] for option in control.options]
        if value not in values:
            raise DifflrError(
                f"Received {name} {short_repr(value)}, the recording has {', '.join(map(str, values))}.",
                "Pass one of them.",
            )
        control.value = value

    def _cells(self) -> dict[Point, list[Run]]:
        cells = grouped(self._sizes[(self.train_size,)], "base_lr", "ratio")
        return {(lr, ratio): runs for (lr, ratio), runs in cells.items()}

    def _resize(self) -> None:
        """Offer the points that this training size has, and stay near the one looked at."""
        with self._lock:
            lr, ratio = self.point
            self._busy = True  # one drawing at the end
            try:
                cells = self._cells()
                for control, index, wish, write in (
                    (self.lr_control, 0, lr or 1e-3, short),
                    (self.ratio_control, 1, ratio or 1.0, "{:g}".format),
                ):
                    values = sorted({point[index] for point in cells})
                    near = min(values, key=lambda v: abs(math.log(v / wish)))
                    control.options = [(write(value), value) for value in values]
                    control.value = near
                self.prediction = self._predicted.get(self.train_size)
                self.score = score(cells, self.prediction) if self.prediction else ""
            finally:
                self._busy = False
            self._update()

    def _predict(self) -> None:
        with self._lock:
            cells = self._cells()
            if self.point not in cells:
                self.message.value = message_html("The grid has no runs there.", good=False)
                return
            self.prediction = self._predicted[self.train_size] = self.point
            self.score = score(cells, self.prediction)
            self.reveal()

    def _update(self) -> None:
        if self._busy:
            return
        with self._lock:
            runs = self.runs
            epochs = self._phase(runs)
            lr, ratio = self.point
            text = f"Base LR {short(lr)}, ratio {ratio:g}, {self.train_size:,} training pictures"
            good = None
            if not self._revealed:
                said = "Which point gives the best accuracy? Choose it, then press “I predict”."
                text += f". Covered. {said}"
            elif not runs:
                said, good = "The grid has no runs there.", False
                text += ": the grid has no runs there."
            else:
                accuracy = format_estimate(estimate(runs))
                said = self.score or f"{accuracy} accuracy at base LR {short(lr)}, ratio {ratio:g}."
                good = True if self.score.endswith("the best point.") else None
                text += f" ({len(runs)} seeds): accuracy {accuracy}"
                source = estimate(runs, "source_accuracy")
                if not math.isnan(source.mean):
                    before = estimate(runs, "source_before").mean
                    text += f"; source task {format_estimate(source)} (before: {100 * before:.1f}%"
                    old = estimate(runs, "source_old_bn").mean
                    if not math.isnan(old):
                        text += f", with BatchNorm's old statistics put back: {100 * old:.1f}%"
                    text += ")"
                moved = ", ".join(
                    f"{name} {estimate(runs, 'displacement', i).mean:.2g}"
                    for i, name in enumerate(self.recording.splits)
                )
                text += f". Weights moved: {moved}. {self.score}"
            self.message.value = message_html(said, good=good)
            self.table.value = self._tabulated() if self._revealed else ""
            picture = self.figure.draw(
                self.train_size, self.point, runs, epochs, self.prediction, revealed=self._revealed
            )
            with self.picture.hold_sync():
                self.picture.alt = f"Replay of the study {self.recording.study}. {text}"
                self.picture.value = picture
            self._refresh_static()

    def _click(self, where: dict[str, float]) -> None:
        """Go to the point of the grid that somebody clicked on."""
        point = self.figure.point_at(where["x"], where["y"]) if where else None
        if point is not None and point != self.point:
            self.point = point

    def _tabulated(self) -> str:
        """Return the numbers of this point, of the predicted and of the best one."""
        cells = self._cells()
        best = max(cells, key=lambda point: estimate(cells[point]).mean)
        seen: dict[Point, list[str]] = {}
        for name, point in (
            ("this point", self.point),
            ("your prediction", self.prediction),
            ("the best", best),
        ):
            if point in cells:
                seen.setdefault(point, []).append(name)
        measures = [("accuracy", "accuracy"), ("source task", "source_accuracy")]
        measures += [("source before", "source_before"), ("with old BatchNorm", "source_old_bn")]
        known = [
            (head, measure)
            for head, measure in measures
            if any(not math.isnan(estimate(cells[point], measure).mean) for point in seen)
        ]
        names = self.recording.splits
        rows = [
            [
                ", ".join(titles).capitalize(), short(point[0]), f"{point[1]:g}",
                *(format_estimate(estimate(cells[point], measure)) for _, measure in known),
                *(f"{estimate(cells[point], 'displacement', i).mean:.2g}" for i in range(len(names))),
            ]
            for point, titles in seen.items()
        ]  # fmt: skip
        head = [
            "",
            "base LR",
            "ratio",
            *(name for name, _ in known),
            *(f"{n} moved" for n in names),
        ]
        return table_html(head, rows)

    def _phase(self, runs: list[Run]) -> tuple[int, int]:
        """Offer the phases of the point's plan; return first and last epoch of the chosen one."""
        if not runs:
            return 0, 0
        plan = self.recording.plan_of(runs[0])
        spans = [(s, s + p.epochs) for s, p in zip(plan.starts, plan.phases, strict=True)]
        options = [(f"{i + 1}: epochs {a + 1} to {b}", i) for i, (a, b) in enumerate(spans)]
        if tuple(self.phase_control.options) != tuple(options):
            busy, self._busy = self._busy, True
            try:
                chosen = min(self.phase_control.value or 0, len(options) - 1)
                self.phase_control.options = options
                self.phase_control.value = chosen
            finally:
                self._busy = busy
        return spans[self.phase_control.value]


def score(cells: dict[Point, list[Run]], prediction: Point) -> str:
    """Say how far a predicted point lies below the best one, and where it ranks."""
    means: dict[Point, Estimate] = {point: estimate(runs) for point, runs in cells.items()}
    order = sorted(means, key=lambda point: -means[point].mean)
    best = order[0]
    rank = f"rank {order.index(prediction) + 1} of {len(order)}"
    text = f"Your prediction: {format_estimate(means[prediction])}, {rank}"
    if prediction == best:
        return text + ": the best point."
    gap = describe_difference(difference(cells[prediction], cells[best]))
    return f"{text}, {gap} against the best (base LR {short(best[0])}, ratio {best[1]:g})."


class ReplayFigure:
    """Heat map, accuracy and loss per epoch, displacement and CKA per split, of a fixed size."""

    def __init__(self, recording: Recording, dpi: float = 80) -> None:
        self.recording = recording
        self.figure = Figure(figsize=(12, 5.6), dpi=dpi)  # laid out by hand: four times as fast
        FigureCanvasAgg(self.figure)
        moved = sorted(v for run in recording.runs for v in run.displacement if v) or [1e-3, 1.0]
        self._moved = moved[len(moved) // 100] / 2, 2 * moved[-1]  # one range for all points
        peaks = [lr for plan in recording.plans.values() for p in plan.phases for lr in p.lrs if lr]
        self._peaks = min(peaks) / 2, 2 * max(peaks)
        self._grid: tuple[Any, list[float], list[float]] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture in pixels."""
        canvas: Any = self.figure.canvas
        return canvas.get_width_height()

    def draw(
        self,
        train_size: int,
        point: Point,
        runs: list[Run],
        epochs: tuple[int, int],
        prediction: Point | None,
        *,
        revealed: bool,
    ) -> bytes:
        """Draw the point's runs, the phase's epochs marked, and return the PNG.

        Unless ``revealed``, the numbers stay covered: the grid shows only where the point lies.
        """
        self.figure.clear()
        axes = self.figure.add_axes((0.07, 0.2, 0.46, 0.72))
        rates, ratios, _ = draw_heat(axes, self.recording, train_size, size=10.5)
        axes.set_title(f"accuracy (%), {train_size:,} training pictures", size=13)
        self._grid = axes, rates, ratios
        if not revealed:
            for number in axes.texts:
                number.set(text="?", color=GREY)
            axes.images[0].set_visible(False)
            axes.set_xticks([i + 0.5 for i in range(len(rates) - 1)], minor=True)
            axes.set_yticks([i + 0.5 for i in range(len(ratios) - 1)], minor=True)
            axes.grid(which="minor", color="0.85")
            axes.tick_params(which="minor", length=0)
            axes.set_title("Where is the best accuracy? Predict, then look.", size=13)
        if prediction is not None:  # in the corner, so that the number can be read
            x, y = rates.index(prediction[0]) + 0.32, ratios.index(prediction[1]) + 0.28
            axes.plot(x, y, "*", ms=16, mfc="white", mec="black", ls="", label="your prediction")
        axes.plot(
            rates.index(point[0]), ratios.index(point[1]), "s", ms=30, mfc="none", mec=RED, mew=3,
            ls="", label="this point",
        )  # fmt: skip
        self.figure.legend(loc="lower left", ncols=2, frameon=False, fontsize=12, markerscale=0.5)
        if revealed and runs:
            places = [(x, y, 0.17, 0.28) for y in (0.64, 0.2) for x in (0.59, 0.815)]
            panels = [self.figure.add_axes(place) for place in places]
            self._curves(panels[:2], runs, epochs)
            self._splits(panels[2:], runs)
            held = format_estimate(estimate(runs, "source_accuracy"))
            old = estimate(runs, "source_old_bn")
            if not math.isnan(old.mean):
                held += f" (old BatchNorm statistics: {100 * old.mean:.1f}%)"
            self.figure.text(0.99, 0.025, f"source task: {held}", size=11, ha="right")
        elif runs:
            self._rates(self.figure.add_axes((0.64, 0.3, 0.3, 0.5)), runs, epochs)
        else:
            self.figure.text(0.6, 0.55, "no runs at this point", size=14)
        return figure_png(self.figure)

    def point_at(self, x: float, y: float) -> Point | None:
        """Return the point of the grid at a place in the picture, in shares from its upper left corner."""
        if self._grid is None:
            return None
        axes, rates, ratios = self._grid
        wide, tall = self.size
        column, row = axes.transData.inverted().transform((x * wide, (1 - y) * tall)).round()
        if 0 <= column < len(rates) and 0 <= row < len(ratios):
            return rates[int(column)], ratios[int(row)]
        return None

    def _rates(self, axes: Any, runs: list[Run], epochs: tuple[int, int]) -> None:
        """Draw what is predicted about, while the numbers are covered: the LR of each split."""
        plan, names = self.recording.plan_of(runs[0]), self.recording.splits
        rates = plan.phases[plan.starts.index(epochs[0])].lrs
        axes.bar(range(len(names)), rates, color=split_colours(len(names)))
        axes.set_yscale("log")
        axes.set_ylim(*self._peaks)
        axes.set_xticks(range(len(names)), names, size=11)
        axes.set_title("What this point means: the LR of each split", size=13)

    def _curves(self, panels: Any, runs: list[Run], epochs: tuple[int, int]) -> None:
        count = runs[0].cell.epochs
        x = np.arange(1, count + 1)
        for axes, measure, title, scale, colour in zip(
            panels, ("curve_accuracy", "curve_loss"), ("accuracy (%)", "training loss"), (100, 1),
            OKABE_ITO, strict=False,
        ):  # fmt: skip
            values = [estimate(runs, measure, i) for i in range(count)]
            means = scale * np.array([value.mean for value in values])
            halves = scale * np.nan_to_num([value.half for value in values])
            axes.axvspan(epochs[0] + 0.5, epochs[1] + 0.5, color="#fff2c4", lw=0)
            axes.plot(x, means, color=colour, marker="o", lw=2)
            axes.fill_between(x, means - halves, means + halves, color=colour, alpha=0.25, lw=0)
            axes.set_title(title, size=12)
            axes.set_xlabel("epoch (yellow: the phase)", size=10)
            axes.set_xlim(0.5, count + 0.5)
            axes.set_ylim(0, 100 if scale == 100 else None)
            axes.set_xticks(x[:: max(1, count // 6)])

    def _splits(self, panels: Any, runs: list[Run]) -> None:
        names = self.recording.splits
        for axes, measure, title in zip(
            panels, ("displacement", "cka"), ("weights moved (relative)", "CKA before / after"),
            strict=True,
        ):  # fmt: skip
            values = [estimate(runs, measure, i) for i in range(len(names))]
            axes.bar(
                range(len(names)), [value.mean for value in values], color=split_colours(len(names)),
                yerr=np.nan_to_num([value.half for value in values]), capsize=3,
            )  # fmt: skip
            axes.set_xticks(range(len(names)), names, rotation=60, size=10)
            axes.set_title(title, size=12)
        panels[0].set_yscale("log")
        panels[0].set_ylim(*self._moved)
        panels[1].set_ylim(0, 1.05)
