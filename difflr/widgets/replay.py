"""The replay: predict the best point of a recorded study, then look at what really happened."""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import ipywidgets as w

from difflr.errors import DifflrError, short_repr
from difflr.evidence.grids import (
    CONDITION,
    Condition,
    Grid,
    Point,
    condition_words,
    grids,
    point_words,
    sides,
)
from difflr.evidence.summaries import Estimate, describe_difference, difference, estimate
from difflr.figures.words import count, short
from difflr.runs.statistics import format_estimate
from difflr.studies.recordings import Recording, Run, load_recording
from difflr.widgets._native import Slider
from difflr.widgets._panel import Panel, button, framed, message_html, picture_box, table_html
from difflr.widgets._replayfigure import ReplayFigure

__all__ = ["Replay", "score"]

_NAMES = ("Training size", "Epochs", "Input shift", "BatchNorm", "Augmented", "Optimizer")


class Replay(Panel):
    """Explore a recording over base LR and ratio, decay or recipe; the numbers are real runs.

    Args:
        recording: a ``Recording``, or the name or path of one.
        covered: hide the numbers until a prediction is marked (or ``look`` is pressed).

    ``point`` can be read and set: base LR, and ratio or decay where the recording is of one recipe that
    has it, else a recipe with its options, such as ``"two_rates:ratio=10"``. So can ``condition``, which
    is all else in which runs may differ; ``conditions`` lists those that were run. ``prediction`` is the
    point that was marked for this condition, ``score`` says in words how good it was.
    """

    def __init__(
        self, recording: Recording | str | os.PathLike[str] = "plateau", *, covered: bool = True
    ) -> None:
        super().__init__()
        if not isinstance(recording, Recording):
            recording = load_recording(recording)
        self.rows, self._grids = grids(recording)
        if not self._grids:
            raise DifflrError(
                f"The recording {recording.study} has no base learning rates on validation pictures.",
                "Pass a recording of a study that chooses them.",
            )
        self.recording = recording
        self.prediction: Point | None = None
        self.score = ""
        self._revealed = not covered
        self._predicted: dict[Condition, Point] = {}
        self.figure = ReplayFigure(recording, self.rows)
        self.picture = picture_box(*self.figure.size)
        style = {"description_width": "8em"}
        self.condition_controls = {
            tag: w.Dropdown(description=name, style=style, layout=w.Layout(width="18em"))
            for i, (tag, name) in enumerate(zip(CONDITION, _NAMES, strict=True))
            if len({condition[i] for condition in self._grids}) > 1
        }
        self.lr_control, self.row_control, self.phase_control = (
            Slider(options=[("", 0)], description=name, style=style, layout=w.Layout(width="32em"))
            for name in ("Base LR", self.rows.capitalize(), "Phase")
        )
        self.predict = button("I predict: this is the best point", "Mark it, then see the numbers")
        self.look = button("Look without predicting", "Show the numbers")
        self.message = w.HTML(layout=w.Layout(min_height="2.6em"))
        self.table = w.HTML()
        self.picture.grip = "Click on a point to choose it"
        self.picture.observe(lambda change: self._click(change["new"]), "pointed")
        self._busy = False
        for control in (self.lr_control, self.row_control, self.phase_control):
            control.observe(lambda _: self._update(), "value")
        for tag, control in self.condition_controls.items():
            control.observe(lambda _, tag=tag: self._turn(tag), "value")
        self.predict.on_click(lambda _: self._predict())
        self.look.on_click(lambda _: self.reveal())
        row = w.Layout(flex_flow="row wrap")
        others = [*self.condition_controls.values(), self.phase_control]
        self.widget = w.VBox(
            [
                framed(self.picture),
                self.message,
                w.HBox([self.lr_control, self.row_control], layout=row),
                w.HBox([self.predict, self.look, *others], layout=row),
                self.table,
            ]
        )
        self._go(next(iter(self._grids)))

    @property
    def conditions(self) -> list[dict[str, Any]]:
        """All conditions that the recording has runs of."""
        return [dict(zip(CONDITION, condition, strict=True)) for condition in self._grids]

    @property
    def condition(self) -> dict[str, Any]:
        """Number of training pictures, epochs and so on that are looked at; to be set whole or in part."""
        return dict(zip(CONDITION, self._condition, strict=True))

    @condition.setter
    def condition(self, value: Mapping[str, Any]) -> None:
        wished = {**self.condition, **value}
        if wished not in self.conditions:
            raise DifflrError(
                f"Received the condition {short_repr(dict(value))}, of which there are no runs.",
                "Pass one of those in conditions.",
            )
        self._go(tuple(wished.values()))

    @property
    def point(self) -> Point:
        """Base LR and ratio, decay or recipe that are looked at."""
        return self.lr_control.value, self.row_control.value

    @point.setter
    def point(self, value: Point) -> None:
        lr, row = value
        with self._lock:
            with self._undrawn():
                self._set(self.lr_control, "base LR", lr)
                self._set(self.row_control, self.rows, row)
            self._update()

    @property
    def runs(self) -> Sequence[Run]:
        """The runs of the point, one per seed; empty where the grid has none."""
        return self._cells.get(self.point, [])

    @property
    def _cells(self) -> Grid:
        return self._grids[self._condition]

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

    def _set(self, control: w.Widget, name: str, value: float | str) -> None:
        values = [option[1] for option in control.options]
        if value not in values:
            raise DifflrError(
                f"Received {name} {short_repr(value)}, the recording has {', '.join(map(str, values))}.",
                "Pass one of them.",
            )
        control.value = value

    def _turn(self, tag: str) -> None:
        """Follow a control to the condition that was run and is nearest to what the others say."""
        if self._busy:
            return
        last = CONDITION.index(tag)
        wish = list(self._condition)
        wish[last] = self.condition_controls[tag].value
        fitting = [c for c in self._grids if [*c[: last + 1]] == wish[: last + 1]]
        self._go(max(fitting, key=lambda c: [a == b for a, b in zip(c, wish, strict=True)]))

    def _go(self, condition: Condition) -> None:
        """Offer what was run of this condition, and stay near the point looked at."""
        with self._lock:
            lr, row = self.point
            self._condition = condition
            with self._undrawn():
                for tag, control in self.condition_controls.items():
                    at = CONDITION.index(tag)
                    values = dict.fromkeys(c[at] for c in self._grids if c[:at] == condition[:at])
                    control.options = [(_written(value), value) for value in values]
                    control.value = condition[at]
                rates, rows = sides(self._cells)
                self.row_control.options = [(_written(value), value) for value in rows]
                self.row_control.value = row if row in rows else _nearest(rows, 1.0)
                self.row_control.layout.display = None if len(rows) > 1 else "none"
                own = [rate for rate in rates if (rate, self.row_control.value) in self._cells]
                self.lr_control.options = [(short(rate), rate) for rate in rates]
                self.lr_control.value = _nearest(own, lr or 1e-3)
            marked = self.prediction = self._predicted.get(condition)
            self.score = score(self._cells, marked, self.rows) if marked else ""
            self._update()

    def _predict(self) -> None:
        with self._lock:
            if not self.runs:
                self.message.value = message_html("The grid has no runs there.", good=False)
                return
            self.prediction = self._predicted[self._condition] = self.point
            self.score = score(self._cells, self.prediction, self.rows)
            self.reveal()

    def _update(self) -> None:
        if self._busy:
            return
        with self._lock:
            runs = self.runs
            epochs = self._phase(runs)
            here = point_words(self.rows, self.point)
            where = condition_words(self.recording, self._condition)
            text = f"{here[0].upper()}{here[1:]}, {where}"
            good = None
            if not self._revealed:
                said = "Which point gives the best accuracy? Choose it, then press “I predict”."
                text += f". Covered. {said}"
            elif not runs:
                said, good = "The grid has no runs there.", False
                text += ": the grid has no runs there."
            else:
                accuracy = format_estimate(estimate(runs))
                said = self.score or f"{accuracy} accuracy at {here}."
                good = True if self.score.endswith("the best point.") else None
                text += f" ({count(len(runs), 'seed')}): accuracy {accuracy}"
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
                self._cells, where, self.point, epochs, self.prediction, revealed=self._revealed
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
        cells = self._cells
        best = max(cells, key=lambda point: estimate(cells[point]).mean)
        seen: dict[Point, list[str]] = {}
        for name, point in (
            ("this point", self.point),
            ("your prediction", self.prediction),
            ("the best", best),
        ):
            if point and point in cells:
                seen.setdefault(point, []).append(name)
        measures = [("accuracy", "accuracy"), ("source task", "source_accuracy")]
        measures += [("source before", "source_before"), ("with old BatchNorm", "source_old_bn")]
        known = [
            (head, measure)
            for head, measure in measures
            if any(not math.isnan(estimate(cells[point], measure).mean) for point in seen)
        ]
        names = self.figure.names
        rows = [
            [
                ", ".join(titles).capitalize(), short(point[0]), _written(point[1]),
                *(format_estimate(estimate(cells[point], measure)) for _, measure in known),
                *(f"{estimate(cells[point], 'displacement', i).mean:.2g}" for i in range(len(names))),
            ]
            for point, titles in seen.items()
        ]  # fmt: skip
        measured = [*(name for name, _ in known), *(f"{n} moved" for n in names)]
        return table_html(["point", "base LR", self.rows, *measured], rows)

    def _phase(self, runs: Sequence[Run]) -> tuple[int, int]:
        """Offer the phases of the point's plan; return first and last epoch of the chosen one."""
        if not runs:
            return 0, 0
        spans = [(0, runs[0].cell.epochs)]
        if runs[0].plan is not None:
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


def score(cells: Grid, prediction: Point, rows: str = "ratio") -> str:
    """Say how far a predicted point lies below the best one, and where it ranks."""
    means: dict[Point, Estimate] = {point: estimate(runs) for point, runs in cells.items()}
    order = sorted(means, key=lambda point: -means[point].mean)
    best = order[0]
    rank = f"rank {order.index(prediction) + 1} of {len(order)}"
    text = f"Your prediction: {format_estimate(means[prediction])}, {rank}"
    if prediction == best:
        return text + ": the best point."
    gap = describe_difference(difference(cells[prediction], cells[best]))
    return f"{text}, {gap} against the best ({point_words(rows, best)})."


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return value if isinstance(value, str) else f"{value:g}"


def _nearest(values: Sequence[Any], wish: float) -> Any:
    """Return the number that is nearest on a log scale, or the first name."""
    if isinstance(values[0], str):
        return values[0]
    return min(values, key=lambda value: abs(math.log(value / wish)))
