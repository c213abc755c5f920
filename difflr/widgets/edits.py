"""What a new value of a control changes in the draft, told apart from what a browser reports by itself."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import ipywidgets as w

from difflr.widgets.controls import PhaseControls, notch
from difflr.widgets.draft import Draft, round_lr

__all__ = ["Edits"]


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
