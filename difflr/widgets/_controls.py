"""The controls of one phase: what trains, for how long, and one learning rate per split."""

from collections.abc import Sequence

import ipywidgets as w

from difflr.figures.words import short
from difflr.widgets._draft import MOVES, SHAPES, PhaseDraft, RateShape, moves_of
from difflr.widgets._native import Slider
from difflr.widgets._rows import SplitRows, notches, put, reveal

__all__ = ["PhaseControls"]

_BY_HAND = "by hand"
_RATED = ("geometric", "falling with depth")  # the shapes that have a ratio


class PhaseControls:
    """Controls for a ``PhaseDraft``; ``show`` sets them, their ``value`` says what a person chose.

    Sliders send the number of a notch. A slider of floats would move itself to its nearest notch in
    the browser and report that as a new value, which nobody chose.

    ``splits`` holds a row for each split (see ``SplitRows``), ``rows`` the controls in them; its ``box`` and
    ``settings`` are the boxes to display.
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
        self.base = Slider(options=notches(-7, 0, short), **_described("Largest LR"))
        self.ratio = Slider(
            options=notches(0, 4, "{:g}".format), value=100.0, **_described("Ratio")
        )
        self.splits = SplitRows(names)
        self.rows = self.splits.rows
        self.settings = w.VBox(
            [self.freeze_to, self.epochs, self.moves, self.rise, self.shape, self.base, self.ratio]
        )

    def show(self, draft: PhaseDraft) -> None:
        """Set the controls to a phase. What would show nothing that holds is not shown."""
        phase, shape = draft.phase, draft.shape
        self.freeze_to.value = phase.freeze_to % len(phase.lrs)
        self.epochs.value = f"{phase.epochs}"
        kind, rise = moves_of(phase)
        self.moves.value = kind
        self.rise.index = round(100 * rise)
        self.rise.description = "pct_start" if kind == MOVES[0] else "Warm-up"
        self.shape.value = shape.name if shape else _BY_HAND
        # While rates are set by hand: where a shape would begin.
        put(self.base, shape.lr if shape else max(phase.lrs))
        if shape:
            put(self.ratio, shape.ratio)
        reveal(self.base, shape is not None)
        reveal(self.ratio, shape is not None and shape.name in _RATED)
        self.splits.show(draft)

    def read_shape(self) -> RateShape | None:
        """Return what the controls for all splits say."""
        if self.shape.value == _BY_HAND:
            return None
        return RateShape(self.shape.value, self.base.value, self.ratio.value)


def _described(text: str, width: str = "100%") -> dict[str, object]:
    layout = w.Layout(width=width, max_width="26em", margin="0 2px")
    return {"description": text, "style": {"description_width": "5.5em"}, "layout": layout}
