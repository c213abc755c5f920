"""The plan editor: drag a split's learning rate and see the whole schedule change."""

import html
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import ipywidgets as w

from difflr.errors import DifflrError, short_repr
from difflr.figures.words import count
from difflr.plan import Plan
from difflr.rates import expand_lrs
from difflr.recipes import make_plan
from difflr.widgets._controls import PhaseControls
from difflr.widgets._draft import Draft, read_epochs, read_lr
from difflr.widgets._grab import Grab, grab
from difflr.widgets._native import NATIVE
from difflr.widgets._panel import Panel, beside, button, fold, message_html
from difflr.widgets._planview import PlanView, run_of

if TYPE_CHECKING:  # with names alone the editor runs where there is no torch
    from torch import nn

    from difflr.splits import Splits

__all__ = ["PlanEditor"]


class PlanEditor(Panel):
    """Edit a plan by hand; ``plan`` is what the next cell trains with, and can be set from code.

    Args:
        splits: the model or its splits, or only their names (then nothing is said about
            parameters and costs).
        plan: to begin with; by default gradual unfreezing.
        steps_per_epoch: optimizer steps in one epoch, for the picture.
        input_shape: of one picture, to estimate what a step costs; None does without.

    Raises:
        DifflrError: when the plan does not fit the splits.
    """

    def __init__(
        self,
        splits: "Splits | nn.Module | Sequence[str]",
        plan: Plan | None = None,
        steps_per_epoch: int = 50,
        input_shape: Sequence[int] | None = (3, 224, 224),
    ) -> None:
        super().__init__()
        if not isinstance(splits, Sequence):  # a model
            from difflr.splits import split_model

            splits = split_model(splits)
        names = not isinstance(splits, str) and all(isinstance(name, str) for name in splits)
        if not names and not hasattr(splits, "model"):
            raise DifflrError(
                f"Received {short_repr(splits)}, expected a model, its splits or their names.",
                "Pass e.g. difflr.split_model(model).",
            )
        plan = make_plan("gradual", len(splits)) if plan is None else plan
        self._draft = Draft(plan, len(splits))
        self._view = view = PlanView(splits, plan, steps_per_epoch, input_shape)
        self.names, self.figure, self.picture = view.names, view.figure, view.picture
        self.table, self.code = view.table, view.code
        self.milestones, self.words = view.milestones, view.words
        if NATIVE:
            self.picture.grip = (
                "Drag a curve up or down, or the border between phases; a click chooses a phase"
            )
        self._grab: tuple[Grab, Plan] | None = None
        self._loading = False
        self._last: tuple[Any, float] = (None, 0.0)
        self.controls = PhaseControls(self.names)
        self.phases = w.ToggleButtons(options=[], tooltips=[], style={"button_width": "5.6em"})
        self.now = w.HTML(layout=w.Layout(min_height="2.6em"))  # one line or two: no bar jumps
        self.add = button(
            "Add phase", "One more split trains; or, where all do, all at half the rates"
        )
        self.remove = button("Remove phase", "Take this phase out")
        self.earlier = button("◀ Earlier", "Exchange with the phase before")
        self.later = button("Later ▶", "Exchange with the phase after")
        self.undo = button("Undo", "Take the last change back")
        self.reset = button("Reset", "Go back to the plan this editor began with")
        self.message = w.HTML(layout=w.Layout(min_height="2.6em"))
        self._connect()
        self.widget = self._assemble()
        self._show(view.note, good=None if view.note else True)

    @property
    def plan(self) -> Plan:
        """The plan as it stands: always a valid one."""
        return self._draft.plan

    @plan.setter
    def plan(self, plan: Plan) -> None:
        with self._lock:
            self._draft.replace(plan)
            self._last = (None, 0.0)
            self._show("Plan set from code.")

    @property
    def selected(self) -> int:
        """Index of the phase whose controls are shown."""
        return self._draft.selected

    @selected.setter
    def selected(self, index: int) -> None:
        self.phases.index = index

    def scale(self, factor: float, every: bool = False) -> None:
        """Multiply the learning rates of the selected phase, or of every phase, by ``factor``."""
        self._edit(None, lambda: self._draft.scale(factor, every=every))

    def set_lrs(self, lrs: Sequence[float]) -> None:
        """Set the learning rates of the selected phase, one per split; 0 leaves that split's as it is.

        Raises:
            DifflrError: for another number of them, or what is no learning rate.
        """
        rates = expand_lrs(lrs, len(self.names))
        self._edit(None, lambda: self._draft.set_lrs(rates))

    def _connect(self) -> None:
        draft = self._draft
        self.phases.observe(lambda change: self._select(change["new"]), "index")
        changes: list[tuple[w.Button, Callable[[], None]]] = [
            (self.add, draft.add),
            (self.remove, draft.remove),
            (self.earlier, partial(draft.move, -1)),
            (self.later, partial(draft.move, 1)),
        ]
        for press, change in changes:
            press.on_click(lambda _, change=change: self._edit(None, change))
        for row, press in self.controls.splits.openers.items():
            press.on_click(partial(self._open, row))
        self.undo.on_click(lambda _: self._go_back(draft.undo, "Last change taken back."))
        self.reset.on_click(lambda _: self._go_back(draft.reset, "Back at the first plan."))
        self.picture.observe(lambda change: self._dragged(change["new"]), "pointed")
        for control, apply in self._edits():
            control.observe(partial(self._changed, control, apply), "value")

    def _edits(self) -> Iterator[tuple[w.Widget, Callable[[Any], None]]]:
        """Yield each control with the change of the draft that its new ``value`` makes."""
        controls, draft = self.controls, self._draft
        yield controls.freeze_to, draft.train_from
        yield controls.epochs, lambda text: draft.set(epochs=read_epochs(text))
        yield controls.moves, draft.set_moves
        yield controls.rise, lambda value: draft.set_moves(controls.moves.value, value)
        for i, row in enumerate(controls.rows):
            yield row.slider, partial(self._set_lr, i)
            yield row.box, partial(self._typed, i)
            yield row.trains, partial(self._set_trains, i)
        for control in (controls.shape, controls.base, controls.ratio):
            yield control, lambda _: draft.set_shape(controls.read_shape())

    def _set_lr(self, row: int, lr: float) -> None:
        self._draft.set_lr(self.controls.splits.spans[row], lr)

    def _typed(self, row: int, text: str) -> None:
        self._set_lr(row, read_lr(text))

    def _set_trains(self, row: int, trains: bool) -> None:
        self._draft.set_trains(self.controls.splits.spans[row], trains)

    def _changed(
        self, control: w.Widget, apply: Callable[[Any], None], event: dict[str, Any]
    ) -> None:
        self._edit(control, partial(apply, event["new"]))

    def _edit(self, control: Any, change: Callable[[], None]) -> None:
        with self._lock:
            if self._loading:
                return
            # A drag is one change for undo, not forty.
            now = time.monotonic()
            same = control is not None and control is self._last[0] and now - self._last[1] < 1.0
            before, said = self.plan, ""
            try:
                self._draft.edit(change, remember=not same)
                self._last = (control, now)
            except DifflrError as error:
                said = f"Not used: {error} The plan is as it was."
            # Also where nothing changed: the controls show what holds.
            self._show(said, good=not said, picture=self.plan != before)

    def _dragged(self, where: dict[str, float]) -> None:
        """Do what somebody does who drags on the picture: choose a phase, move a curve or a border."""
        with self._lock:
            if not where:
                return
            if self._grab is None or self._grab[0].drag != where["drag"]:
                held = grab(self.figure, int(where["drag"]), where["x0"], where["y0"])
                self._grab = (held, self.plan) if held else None
                if held is not None and held.phase != self.selected:
                    self._select(held.phase)
            if self._grab is None or (where["x"], where["y"]) == (where["x0"], where["y0"]):
                return
            held, before = self._grab  # from where the drag began, so that nothing adds up
            phase = before.phases[held.phase]
            if held.border:
                epochs = phase.epochs + round((where["x"] - where["x0"]) * held.epochs)
                self._edit(held, lambda: self._draft.set_border(held.phase, epochs))
            elif held.split is not None:
                up = 10 ** ((where["y0"] - where["y"]) * held.decades)
                splits = self.controls.splits.together(held.split)
                lr = min(max(max(phase.lrs[i] for i in splits) * up, 1e-7), 1.0)
                self._edit(held, partial(self._draft.set_lr, splits, lr))

    def _go_back(self, step: Callable[[], None], said: str) -> None:
        with self._lock:
            step()
            self._last = (None, 0.0)
            self._show(said)

    def _select(self, index: int | None) -> None:
        with self._lock:
            if not self._loading and index is not None:
                self._draft.selected = index
                self._last = (None, 0.0)
                self._show(picture=False)

    def _open(self, row: int, _: w.Button) -> None:
        with self._lock:
            self.controls.splits.open(row)
            self._last = (None, 0.0)  # the rows below it are those of other splits now
            self._show(picture=False)

    def _say(self, text: str, good: bool | None) -> None:
        if not text:
            phases, epochs = len(self.plan.phases), self.plan.epochs
            text = f"Valid plan: {count(phases, 'phase')}, {count(epochs, 'epoch')}."
            if not self._draft.can_undo:  # nobody has tried yet
                text += f" Drag a bar{', or a curve in the picture' if NATIVE else ''}."
        self.message.value = message_html(text, good=good)

    def _say_what_trains(self) -> None:
        """Say in one line what the selected phase trains, and how more of it would."""
        selected = self._draft.selected
        phase, first = self.plan.phases[selected], self.plan.starts[selected] + 1
        last = first + phase.epochs - 1
        span = f"epoch {last}" if first == last else f"epochs {first} to {last}"
        trained = "all splits"
        if len(phase.trained) < len(self.names):
            trained = f"only {run_of([self.names[i] for i in phase.trained], self.names)}"
        more = "" if trained == "all splits" else "; tick more to train them"
        self.now.value = (
            f'<div style="line-height:1.3">Phase {selected + 1}, {span}, trains '
            f"<b>{html.escape(trained)}</b>{more}.</div>"
        )

    def _show(
        self, said: str | None = None, *, good: bool | None = None, picture: bool = True
    ) -> None:
        """Bring the picture, every control and the texts to what the draft says, and ``said`` to it."""
        draft = self._draft
        if picture:  # first, for it takes its time: numbers and verdict are of the same plan
            self._view.draw(self.plan)
        self._loading = True
        try:
            count = len(draft.phases)
            if len(self.phases.options) != count:
                self.phases.options = [f"Phase {i + 1}" for i in range(count)]
            self.phases.index = draft.selected
            self.controls.show(draft.current)
            self.undo.disabled = not draft.can_undo
            self.remove.disabled = count == 1
            self.earlier.disabled = draft.selected == 0
            self.later.disabled = draft.selected == count - 1
        finally:
            self._loading = False
        self._say_what_trains()
        self._view.tabulate(self.plan, draft.selected)
        if said is not None:
            self._say(said, good)
        if picture:
            self._refresh_static()

    def _assemble(self) -> w.VBox:
        row = w.Layout(flex_flow="row wrap", align_items="center")
        bar = w.HBox([self.add, self.remove, self.undo, self.reset], layout=row)
        order = w.HBox([self.earlier, self.later], layout=row)
        controls = self.controls
        more = fold("More settings", [controls.settings, order])
        top = beside(
            [self.picture, self.message],
            [self.phases, self.now, controls.splits.box, bar, more],
            self.picture.layout.max_width,
        )
        return w.VBox([top, self.table, self._view.texts], layout=w.Layout(max_width="100%"))
