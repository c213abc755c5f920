"""The controls of one phase: what trains, for how long, and one learning rate per split."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import ipywidgets as w
from matplotlib.colors import to_hex

from difflr.figures.style import SIGNS, split_colours
from difflr.figures.words import short
from difflr.widgets._draft import MOVES, SHAPES, PhaseDraft, Shape, moves_of, round_lr
from difflr.widgets._native import Slider
from difflr.widgets._panel import inked

__all__ = ["PhaseControls", "SplitRow"]

_BY_HAND = "by hand"
_PER_DECADE = 20  # notches of a slider
_RATED = ("geometric", "falling with depth")  # the shapes that have a ratio


class SplitRow(NamedTuple):
    """The controls of one split: does it train, and how fast (slider and number box)."""

    trains: w.Checkbox
    slider: Slider
    box: w.Text


class PhaseControls:
    """Controls for a ``PhaseDraft``; ``show`` sets them, their ``value`` says what a person chose.

    Sliders send the number of a notch. A slider of floats would move itself to its nearest notch in
    the browser and report that as a new value, which nobody chose.

    ``rows`` holds the controls of each split; ``splits`` and ``settings`` are the boxes to display.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.freeze_to = w.Dropdown(
            options=[(name, i) for i, name in enumerate(names)], **_described("Train from")
        )
        # A box of whole numbers makes 25 of "2.5" in the browser, and 1 of "-5".
        self.epochs = w.Text(continuous_update=False, **_described("Epochs", "12em"))
        self.moves = w.Dropdown(options=MOVES, **_described("Moves as"))
        self.rise = Slider(
            options=[(f"{i / 100:.2f}", i / 100) for i in range(101)], **_described("pct_start")
        )
        self.shape = w.Dropdown(options=[_BY_HAND, *SHAPES], **_described("Set all"))
        looks = _Looks()
        self.base = Slider(options=looks.notches, **_described("Largest LR"))
        self.ratio = Slider(
            options=_notches(0, 4, "{:g}".format), value=100.0, **_described("Ratio")
        )
        colours = [to_hex(colour) for colour in split_colours(len(names))]
        self.rows = [_row(name, colour, looks) for name, colour in zip(names, colours, strict=True)]
        self.splits = w.VBox(
            [
                w.HBox([_sign(i, colours[i], looks), *row], layout=looks.line)
                for i, row in enumerate(self.rows)
            ]
        )
        self.settings = w.VBox(
            [self.freeze_to, self.epochs, self.moves, self.rise, self.shape, self.base, self.ratio]
        )

    def show(self, draft: PhaseDraft, train_bn: bool) -> None:
        """Set the controls to a phase. What would show nothing that holds is not shown."""
        phase, shape = draft.phase, draft.shape
        self.freeze_to.value = phase.freeze_to % len(self.rows)
        self.epochs.value = f"{phase.epochs}"
        kind, rise = moves_of(phase)
        self.moves.value = kind
        self.rise.index = round(100 * rise)
        self.rise.description = "pct_start" if kind == MOVES[0] else "Warm-up"
        self.shape.value = shape.name if shape else _BY_HAND
        # While rates are set by hand: where a shape would begin.
        _put(self.base, shape.lr if shape else max(phase.lrs))
        if shape:
            _put(self.ratio, shape.ratio)
        _reveal(self.base, shape is not None)
        _reveal(self.ratio, shape is not None and shape.name in _RATED)
        for row, lr, trains in zip(self.rows, draft.wishes, phase.trainable, strict=True):
            row.trains.value = trains
            used = trains or train_bn
            row.box.value = short(lr) if used else "frozen"
            row.box.disabled = not used
            _put(row.slider, lr)
            _reveal(row.slider, used)

    def read_shape(self) -> Shape | None:
        """Return what the controls for all splits say."""
        if self.shape.value == _BY_HAND:
            return None
        return Shape(self.shape.value, self.base.value, self.ratio.value)


def _described(text: str, width: str = "100%") -> dict[str, object]:
    layout = w.Layout(width=width, max_width="26em", margin="0 2px")
    return {"description": text, "style": {"description_width": "5.5em"}, "layout": layout}


def _notches(low: int, high: int, write: object) -> list[tuple[str, float]]:
    """Return the notches between two powers of ten, each with how it is written."""
    values = [
        round_lr(10 ** (i / _PER_DECADE)) for i in range(low * _PER_DECADE, high * _PER_DECADE + 1)
    ]
    return [(write(value), value) for value in values]  # type: ignore[operator]


class _Looks:
    """What all rows share: each layout is a message to the browser, and notches take time to write."""

    def __init__(self) -> None:
        self.line = w.Layout(align_items="center")
        self.sign = w.Layout(flex="0 0 auto", margin="0 4px 0 2px")
        self.trains = w.Layout(width="7em", margin="0", flex="0 0 auto")
        self.box = w.Layout(width="5.5em", margin="0", flex="0 0 auto")
        self.notches = _notches(-7, 0, short)


def _row(name: str, colour: str, looks: _Looks) -> SplitRow:
    row = SplitRow(
        w.Checkbox(description=name, indent=False, layout=looks.trains),
        Slider(
            options=looks.notches, readout=False, colour=colour,
            name=f"Learning rate of {name}",
            layout=w.Layout(flex="1 1 7em", width="auto", min_width="5em", margin="0 8px"),
        ),
        w.Text(
            continuous_update=False, description=f"Learning rate of {name}, as a number",
            layout=looks.box,
        ),
    )  # fmt: skip
    inked(row.slider)
    row.box.add_class("difflr-named")
    row.trains.tooltip = f"Train {name}"
    return row


def _sign(split: int, colour: str, looks: _Looks) -> w.HTML:
    """Return the sign that a split has in the picture, in its colour."""
    mark = f'<div aria-hidden="true" style="width:16px;color:{colour}">{SIGNS[split % len(SIGNS)]}</div>'
    return inked(w.HTML(mark, layout=looks.sign))


def _put(slider: Slider, value: float) -> None:
    """Move a slider to the notch that is nearest to a value."""
    low = round(math.log10(slider.options[0][1]) * _PER_DECADE)
    index = round(math.log10(value) * _PER_DECADE) - low
    slider.index = min(max(index, 0), len(slider.options) - 1)


def _reveal(control: w.Widget, seen: bool) -> None:
    """Show a control or keep its place empty, so that nothing jumps."""
    control.disabled = not seen
    control.layout.visibility = "visible" if seen else "hidden"
