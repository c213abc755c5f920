"""The replay: predict the best point of a recorded study, then look at what really happened."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager

import ipywidgets as w

from difflr.errors import DifflrError, short_repr
from difflr.evidence.summaries import Estimate, describe_difference, difference, estimate, grouped
from difflr.experiments.statistics import format_estimate
from difflr.figures.words import short
from difflr.studies.recordings import Recording, Run, load_recording
from difflr.widgets._native import Slider
from difflr.widgets._panel import Panel, button, framed, message_html, picture_box, table_html
from difflr.widgets._replayfigure import Point, ReplayFigure

__all__ = ["Replay", "score"]


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
        sizes = sorted({run.cell.train_size for run in runs})
        self.size_control = w.Dropdown(
            options=[(f"{size:,}", size) for size in sizes], description="Training size",
            style=style, layout=w.Layout(width="18em"),
        )  # fmt: skip
        self.lr_control, self.ratio_control, self.phase_control = (
            Slider(options=[("", 0)], description=name, style=style, layout=w.Layout(width="32em"))
            for name in ("Base LR", "Ratio", "Phase")
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
            with self._undrawn():
                self._set(self.lr_control, "base LR", lr)
                self._set(self.ratio_control, "ratio", ratio)
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

    @contextmanager
    def _undrawn(self) -> Iterator[None]:
        """Let controls be set without a drawing for each."""
        busy, self._busy = self._busy, True
        try:
            yield
        finally:
            self._busy = busy

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
            cells = self._cells()
            with self._undrawn():
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
            table = self._tabulated() if self._revealed else ""
            picture = self.figure.draw(
                self.train_size, self.point, runs, epochs, self.prediction, revealed=self._revealed
            )
            # Together, when all is ready: nobody is to see a verdict over the picture before it.
            self.picture.show(picture, f"Replay of the study {self.recording.study}. {text}")
            self.message.value = message_html(said, good=good)
            self.table.value = table
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
        measured = [*(name for name, _ in known), *(f"{n} moved" for n in names)]
        return table_html(["point", "base LR", "ratio", *measured], rows)

    def _phase(self, runs: list[Run]) -> tuple[int, int]:
        """Offer the phases of the point's plan; return first and last epoch of the chosen one."""
        if not runs:
            return 0, 0
        plan = self.recording.plan_of(runs[0])
        spans = [(s, s + p.epochs) for s, p in zip(plan.starts, plan.phases, strict=True)]
        options = [(f"{i + 1}: epochs {a + 1} to {b}", i) for i, (a, b) in enumerate(spans)]
        if tuple(self.phase_control.options) != tuple(options):
            with self._undrawn():
                chosen = min(self.phase_control.value or 0, len(options) - 1)
                self.phase_control.options = options
                shown = "visible" if len(options) > 1 else "hidden"
                self.phase_control.layout.visibility = shown
                self.phase_control.value = chosen
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
