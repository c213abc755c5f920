"""The controls of one phase: what trains, for how long, and one learning rate per split."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import ipywidgets as w
from matplotlib.colors import to_hex

from difflr.figures.style import split_colours
from difflr.widgets._draft import SHAPES, PhaseDraft, round_lr

__all__ = ["PhaseControls", "SplitRow", "notch"]

_BY_HAND = "by hand"
_STEP, _LOWEST, _HIGHEST = 0.05, -7, 0  # of the sliders, in powers of ten


class SplitRow(NamedTuple):
    """The controls of one split: does it train, and how fast (slider and number box)."""

    trains: w.Checkbox
    slider: w.FloatLogSlider
    box: w.FloatText


class PhaseControls:
    """Controls for a ``PhaseDraft``; ``show`` sets them, their ``value`` says what a person chose."""

    SHAPES = SHAPES

    def __init__(self, names: Sequence[str]) -> None:
        n = len(names)
        style = {"description_width": "6.5em"}
        wide = w.Layout(width="24em")
        first = [f"{name} (all train)" if i == 0 else name for i, name in enumerate(names)]
        first[-1] += " (only this)" if n > 1 else ""
        self.freeze_to = w.Dropdown(
            options=list(zip(first, range(n), strict=True)),
            description="Train from",
            style=style,
            layout=wide,
        )
        self.epochs = w.BoundedIntText(
            value=1,
            min=1,
            max=1000,
            description="Epochs",
            style=style,
            layout=w.Layout(width="13em"),
        )
        self.pct_start = w.FloatSlider(
            value=0.3, min=0, max=1, step=0.01, description="pct_start", style=style, layout=wide
        )
        self.shape = w.Dropdown(
            options=[_BY_HAND, *SHAPES], description="Set all", style=style, layout=wide
        )
        self.base = _log_slider("Largest LR", 1e-3, -6, 0, ".1e", style, wide)
        self.ratio = _log_slider("Ratio", 100.0, 0, 4, ".0f", style, wide)
        self.shape_controls = (self.shape, self.base, self.ratio)
        self.rows = [
            SplitRow(
                w.Checkbox(
                    value=True, description="trains", indent=False, layout=w.Layout(width="5em")
                ),
                w.FloatLogSlider(
                    value=1e-3, base=10, min=_LOWEST, max=_HIGHEST, step=_STEP, readout=False,
                    layout=w.Layout(width="17em"),
                ),
                w.FloatText(value=1e-3, step=None, layout=w.Layout(width="8em")),
            )
            for _ in names
        ]  # fmt: skip
        self.widget = self._assemble(names)

    def show(self, draft: PhaseDraft, train_bn: bool, *, keep_shape: bool) -> None:
        """Set the controls to a phase. The shape stays only if it made the learning rates."""
        phase = draft.phase
        n = len(self.rows)
        self.freeze_to.value = phase.freeze_to % n
        self.epochs.value = phase.epochs
        self.pct_start.value = phase.pct_start
        if not keep_shape:
            self.shape.value = _BY_HAND
        self.base.disabled = self.shape.value == _BY_HAND
        self.ratio.disabled = self.shape.value not in ("geometric", "falling with depth")
        for i, (row, trains) in enumerate(zip(self.rows, phase.trainable, strict=True)):
            row.trains.value = trains
            row.trains.disabled = i < phase.freeze_to % n
            row.box.value = round_lr(draft.wishes[i])
            row.slider.value = 10 ** (notch(draft.wishes[i]) * _STEP)
            row.slider.disabled = row.box.disabled = not (trains or train_bn)

    def _assemble(self, names: Sequence[str]) -> w.HBox:
        left = w.VBox(
            [self.freeze_to, self.epochs, self.pct_start, self.shape, self.base, self.ratio]
        )
        lines = []
        for name, colour, row in zip(names, split_colours(len(names)), self.rows, strict=True):
            label = w.HTML(
                f'<div style="border-left:12px solid {to_hex(colour)};padding-left:6px;'
                f'font-size:14px;white-space:nowrap"><b>{name}</b></div>',
                layout=w.Layout(width="6.5em"),
            )
            lines.append(w.HBox([label, *row], layout=w.Layout(align_items="center")))
        return w.HBox([left, w.VBox(lines)], layout=w.Layout(flex_flow="row wrap"))


def notch(lr: float) -> int:
    """Return the notch of its slider at which a learning rate lies.

    A browser moves a slider to its nearest notch and reports that as a new value; a value on the
    same notch is therefore no change that anybody made.
    """
    return round(min(max(math.log10(lr), _LOWEST), _HIGHEST) / _STEP)


def _log_slider(
    text: str,
    value: float,
    low: float,
    high: float,
    readout: str,
    style: dict[str, str],
    layout: w.Layout,
) -> w.FloatLogSlider:
    return w.FloatLogSlider(
        value=value, base=10, min=low, max=high, step=0.05, description=text,
        readout_format=readout, style=style, layout=layout,
    )  # fmt: skip
