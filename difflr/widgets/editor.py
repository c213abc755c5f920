"""The plan editor: drag a split's learning rate and see the whole schedule change."""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import ipywidgets as w
from torch import nn

from difflr.errors import DifflrError
from difflr.plan import Plan
from difflr.recipes import gradual
from difflr.splits import Splits, split_model
from difflr.widgets._controls import PhaseControls, notch
from difflr.widgets._draft import Draft, round_lr
from difflr.widgets._panel import Panel, button, message_html
from difflr.widgets._planview import PlanView

__all__ = ["Edits", "PlanEditor"]


class Edits:
    """The changes of a draft that the controls of its selected phase stand for.

    A browser moves a slider to its nearest notch, and a box shows three digits: both report a value
    that nobody chose. Such a value changes nothing here.

    Args:
        controls: whose values are read.
        draft: that is changed, always inside its ``edit``.
    """

    def __init__(self, controls: PhaseControls, draft: Draft) -> None:
        self._controls, self._draft = controls, draft

    def __iter__(self) -> Iterator[tuple[w.Widget, Callable[[Any], None]]]:
        """Yield each control with the change that its new ``value`` makes."""
        controls, draft = self._controls, self._draft
        n = len(controls.rows)
        yield controls.freeze_to, lambda i: draft.set(freeze_to=i - n if i else 0)
        yield controls.epochs, lambda value: draft.set(epochs=value)
        yield controls.pct_start, self._slid_pct
        for i, row in enumerate(controls.rows):
            yield row.slider, partial(self._slid, i)
            yield row.box, partial(self._typed, i)
            yield row.trains, lambda _: draft.set(frozen=self._unticked())
        yield controls.shape, lambda _: self._choose_shape()
        for control in (controls.base, controls.ratio):
            yield control, lambda _: self._shape()

    def _typed(self, split: int, lr: float) -> None:
        if lr != round_lr(self._draft.current.wishes[split]):  # what the box shows by itself
            self._draft.set_lr(split, lr)

    def _slid(self, split: int, lr: float) -> None:
        if notch(lr) != notch(self._draft.current.wishes[split]):
            self._draft.set_lr(split, lr, rounded=True)

    def _slid_pct(self, share: float) -> None:
        if round(share, 2) != round(self._draft.current.phase.pct_start, 2):
            self._draft.set(pct_start=round(share, 2))

    def _unticked(self) -> list[int]:
        rows = self._controls.rows
        first = self._draft.current.phase.freeze_to % len(rows)
        return [i for i, row in enumerate(rows) if i >= first and not row.trains.value]

    def _choose_shape(self) -> None:
        # From the largest LR as it is, on a notch: the browser would move it there in any case.
        base = self._controls.base
        base.value = 10 ** (notch(base.value) * base.step)
        self._shape()

    def _shape(self) -> None:
        controls = self._controls
        if controls.shape.value in controls.SHAPES:
            ratio = max(1.0, controls.ratio.value)
            self._draft.set_shape(controls.shape.value, controls.base.value, ratio)


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
        splits: Splits | nn.Module | Sequence[str],
        plan: Plan | None = None,
        steps_per_epoch: int = 50,
        input_shape: Sequence[int] | None = (3, 224, 224),
    ) -> None:
        super().__init__()
        if isinstance(splits, nn.Module):
            splits = split_model(splits)
        plan = plan or gradual(len(splits))
        plan.check(len(splits))
        self._draft = Draft(plan)
        self._view = view = PlanView(splits, plan, steps_per_epoch, input_shape)
        self.names, self.figure, self.picture = view.names, view.figure, view.picture
        self.table, self.code = view.table, view.code
        self.milestones, self.words = view.milestones, view.words
        self._loading = False
        self._last: tuple[Any, float] = (None, 0.0)
        self.controls = PhaseControls(self.names)
        self.phases = w.ToggleButtons(options=[], tooltips=[], style={"button_width": "5.5em"})
        self.add = button("Add phase", "Put a copy of this phase after it")
        self.remove = button("Remove phase", "Take this phase out")
        self.earlier = button("◀ Earlier", "Exchange with the phase before")
        self.later = button("Later ▶", "Exchange with the phase after")
        self.undo = button("Undo", "Take the last change back")
        self.reset = button("Reset", "Go back to the plan this editor began with")
        self.message = w.HTML(layout=w.Layout(min_height="3em"))
        self._connect()
        self.widget = self._assemble()
        self._show()
        self._say(view.note)

    @property
    def plan(self) -> Plan:
        """The plan as it stands: always a valid one."""
        return self._draft.plan

    @plan.setter
    def plan(self, plan: Plan) -> None:
        with self._lock:
            self._draft.replace(plan)
            self._last = (None, 0.0)
            self._show()
            self._say("Plan set from code.")

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
            press.on_click(partial(self._pressed, change))
        self.undo.on_click(lambda _: self._go_back(draft.undo, "Last change taken back."))
        self.reset.on_click(lambda _: self._go_back(draft.reset, "Back at the first plan."))
        for control, apply in Edits(self.controls, draft):
            control.observe(partial(self._changed, control, apply), "value")

    def _pressed(self, change: Callable[[], None], _: w.Button) -> None:
        self._edit(None, change)

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
            self._loading = True  # a change may move other controls: still one change
            try:
                self._draft.edit(change, remember=not same)
            except DifflrError as error:
                self._say(f"Not used: {error} The picture shows the plan as it was.", bad=True)
                return
            finally:
                self._loading = False
            self._last = (control, now)
            self._show(keep_shape=control in self.controls.shape_controls)
            self._say("")

    def _go_back(self, step: Callable[[], None], said: str) -> None:
        with self._lock:
            step()
            self._last = (None, 0.0)
            self._show()
            self._say(said)

    def _select(self, index: int | None) -> None:
        with self._lock:
            if not self._loading and index is not None:
                self._draft.selected = index
                self._last = (None, 0.0)
                self._show(picture=False)

    def _say(self, text: str, *, bad: bool = False) -> None:
        if not text:
            selected = self._draft.selected
            first = self.plan.starts[selected] + 1
            last = self.plan.starts[selected] + self.plan.phases[selected].epochs
            text = f"Valid plan of {self.plan.epochs} epochs. Phase {selected + 1}: "
            text += f"epoch {last}" if first == last else f"epochs {first} to {last}"
        self.message.value = message_html(text, bad=bad)

    def _show(self, *, picture: bool = True, keep_shape: bool = False) -> None:
        """Bring every control, the picture and the texts to what the draft says."""
        draft = self._draft
        self._loading = True
        try:
            count = len(draft.phases)
            if len(self.phases.options) != count:
                self.phases.options = [f"Phase {i + 1}" for i in range(count)]
            self.phases.index = draft.selected
            self.controls.show(draft.current, draft.plan.train_bn, keep_shape=keep_shape)
            self._show_largest()
            self.undo.disabled = not draft.can_undo
            self.remove.disabled = count == 1
            self.earlier.disabled = draft.selected == 0
            self.later.disabled = draft.selected == count - 1
        finally:
            self._loading = False
        if picture:
            self._view.draw(self.plan)
            self.alt = self._view.alt
        self._view.tabulate(self.plan, draft.selected)

    def _show_largest(self) -> None:
        """While rates are set by hand, let the greyed slider say what the largest one is."""
        controls = self.controls
        by_hand = controls.shape.value not in controls.SHAPES
        # The browser moves a slider to its nearest notch, and reports it at once if it may.
        controls.base.continuous_update = not by_hand
        if by_hand:
            controls.base.value = max(self._draft.current.phase.lrs)

    def _assemble(self) -> w.VBox:
        bar = w.HBox(
            [self.add, self.remove, self.earlier, self.later, self.undo, self.reset],
            layout=w.Layout(flex_flow="row wrap", align_items="center"),
        )
        controls, texts = self.controls.widget, self._view.texts
        return w.VBox(
            [self.picture, self.phases, bar, controls, self.message, self.table, texts],
            layout=w.Layout(max_width="100%"),
        )
