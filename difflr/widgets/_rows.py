"""A row of controls for each split; where splits are many, for each span of them, which can be opened."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import ipywidgets as w
from matplotlib.colors import to_hex

from difflr.figures.style import SIGNS, split_colours
from difflr.figures.words import short
from difflr.widgets._draft import PhaseDraft, round_lr
from difflr.widgets._native import Slider
from difflr.widgets._panel import inked
from difflr.written.spans import FEW, name_span, spans

__all__ = ["RowControls", "SplitRows", "notches", "put", "reveal"]

_PER_DECADE = 20  # notches of a slider


class RowControls(NamedTuple):
    """The controls of one row: does it train, and how fast (slider and number box)."""

    trains: w.Checkbox
    slider: Slider
    box: w.Text


class SplitRows:
    """The rows of all splits; ``box`` is what to display.

    ``rows[i]`` moves the splits ``spans[i]``, all in proportion, and shows the largest of their learning
    rates. Of many splits the first rows are those of ``difflr.written.spans``, those of several with a button
    in ``openers``; the others are lent to the splits of the row that is open.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names, self._colours = names, [to_hex(c) for c in split_colours(len(names))]
        own = spans(len(names))
        longest = max(map(len, own))
        lent = longest if longest > 1 else 0
        self.spans = own + [range(0)] * lent
        self.opened: int | None = None
        self._many = len(names) > FEW
        looks = _Looks(self._many)
        # With their names from the start: to set them later is a message to the browser each.
        self.rows = [_row(looks, self._label(span), self._colour(span)) for span in self.spans]
        signs: list[w.Widget] = [
            w.Button(
                description="▸",
                tooltip=f"Show {self._label(span)} one by one, or together again",
                layout=looks.opener,
            )
            if len(span) > 1
            else inked(w.HTML(self._mark(span), layout=looks.sign))
            for span in self.spans
        ]
        self._lines = [
            w.HBox([sign, *row], layout=looks.line)
            for sign, row in zip(signs, self.rows, strict=True)
        ]
        self._own = len(own)
        self.openers = {i: sign for i, sign in enumerate(signs) if isinstance(sign, w.Button)}
        self.box = w.VBox(self._lines[: self._own])

    def open(self, index: int) -> None:
        """Show the splits of a row one by one below it, in place of those of another; once more: no longer.

        What the new rows hold is set by ``show``.
        """
        self.opened = opened = None if index == self.opened else index
        members = [] if opened is None else [range(i, i + 1) for i in self.spans[opened]]
        self.spans[self._own :] = members + [range(0)] * (
            len(self.spans) - self._own - len(members)
        )
        for i in range(self._own, self._own + len(members)):
            self._name(i)
        for i, press in self.openers.items():
            press.description = "▾" if i == opened else "▸"
        at = 0 if opened is None else opened + 1
        lent = self._lines[self._own : self._own + len(members)]
        self.box.children = (*self._lines[:at], *lent, *self._lines[at : self._own])

    def together(self, split: int) -> range:
        """Return the splits that move with one: those of the smallest row that shows it."""
        return min((span for span in self.spans if split in span), key=len)

    def show(self, draft: PhaseDraft) -> None:
        """Set the rows to a phase."""
        trainable = draft.phase.trainable
        for row, span in zip(self.rows, self.spans, strict=True):
            if not span:
                continue
            awake = [i for i in span if trainable[i]]
            lr = max(draft.wishes[i] for i in awake or span)
            used = bool(awake) or draft.train_bn
            row.trains.value = bool(awake)
            if len(span) > 1:
                part = f" ({len(awake)} of {len(span)})" if 0 < len(awake) < len(span) else ""
                row.trains.description = self._label(span) + part
            row.box.value = short(lr) if used else "frozen"
            row.box.disabled = not used
            put(row.slider, lr)
            reveal(row.slider, used)

    def _label(self, span: range) -> str:
        return name_span(self._names[span[0] : span[-1] + 1], brief=True) if span else ""

    def _colour(self, span: range) -> str:
        return self._colours[span[len(span) // 2]] if span else ""

    def _mark(self, span: range) -> str:
        """Return the sign that a split has in the picture; where they are many, its colour alone."""
        if not span:
            return ""
        mark, side = ("■", "auto") if self._many else (SIGNS[span[0]], "0")
        style = f"width:16px;color:{self._colour(span)};margin-left:{side}"
        return f'<div aria-hidden="true" style="{style}">{mark}</div>'

    def _name(self, index: int) -> None:
        """Give a row that is lent the name and the colour of its split."""
        row, span, sign = self.rows[index], self.spans[index], self._lines[index].children[0]
        label = self._label(span)
        sign.value = self._mark(span)
        row.trains.description, row.trains.tooltip = label, f"Train {label}"
        row.slider.colour, row.slider.name = self._colour(span), f"Learning rate of {label}"
        row.box.description = f"Learning rate of {label}, as a number"


class _Looks:
    """What all rows share: each layout is a message to the browser, and notches take time to write."""

    def __init__(self, many: bool) -> None:
        self.line = w.Layout(align_items="center")
        width = "2em" if many else None  # beside the buttons of other rows
        place = {"flex": "0 0 auto", "margin": "0 4px 0 2px"}
        self.sign = w.Layout(width=width, **place)
        self.opener = w.Layout(width="2em", padding="0", **place)
        self.trains = w.Layout(width="11em" if many else "7em", margin="0", flex="0 0 auto")
        self.box = w.Layout(width="5.5em", margin="0", flex="0 0 auto")
        self.notches = notches(-7, 0, short)


def _row(looks: _Looks, label: str, colour: str) -> RowControls:
    row = RowControls(
        w.Checkbox(description=label, indent=False, layout=looks.trains),
        Slider(
            options=looks.notches, readout=False, colour=colour,
            name=f"Learning rate of {label}",
            layout=w.Layout(flex="1 1 7em", width="auto", min_width="5em", margin="0 8px"),
        ),
        w.Text(
            continuous_update=False, description=f"Learning rate of {label}, as a number",
            layout=looks.box,
        ),
    )  # fmt: skip
    row.trains.tooltip = f"Train {label}"
    inked(row.slider)
    row.box.add_class("difflr-named")
    return row


def notches(low: int, high: int, write: Any) -> list[tuple[str, float]]:
    """Return the notches between two powers of ten, each with how it is written."""
    values = [
        round_lr(10 ** (i / _PER_DECADE)) for i in range(low * _PER_DECADE, high * _PER_DECADE + 1)
    ]
    return [(write(value), value) for value in values]


def put(slider: Slider, value: float) -> None:
    """Move a slider to the notch that is nearest to a value."""
    low = round(math.log10(slider.options[0][1]) * _PER_DECADE)
    index = round(math.log10(value) * _PER_DECADE) - low
    slider.index = min(max(index, 0), len(slider.options) - 1)


def reveal(control: w.Widget, seen: bool) -> None:
    """Show a control or keep its place empty, so that nothing jumps."""
    control.disabled = not seen
    control.layout.visibility = "visible" if seen else "hidden"
