"""What somebody takes hold of who drags on the picture of a plan."""

from dataclasses import dataclass

import numpy as np

from difflr.figures.plan import PlanFigure

__all__ = ["Grab", "grab"]

_BORDER = 0.015  # how far from a border it still is taken, as a share of the plan
_CURVE = 0.5  # how far from a curve it still is taken, in decades


@dataclass(frozen=True)
class Grab:
    """A drag that began at a place in the picture.

    ``phase`` is the one taken hold of: the one before the border where ``border``. ``split`` is whose
    curve follows the pointer, or None. ``decades`` and ``epochs`` are those of the picture's height and
    width.
    """

    drag: int
    phase: int
    split: int | None
    border: bool
    decades: float
    epochs: float


def grab(figure: PlanFigure, drag: int, x: float, y: float) -> Grab | None:
    """Return what is at a place in the picture, in shares from its upper left corner; None: nothing."""
    axes, plan = figure.lines[0].axes, figure.plan
    if axes is None:
        return None
    wide, tall = figure.size
    place = axes.transData.inverted()
    epoch, lr = place.transform((x * wide, (1 - y) * tall))
    if not 0 <= epoch <= plan.epochs:
        return None
    box, (low, high) = axes.get_position(), axes.get_ylim()
    decades = float(np.log10(high / low)) / box.height
    phase = plan.index_at(min(int(epoch), plan.epochs - 1))
    for i, start in enumerate(plan.starts[1:]):
        if abs(epoch - start) < _BORDER * plan.epochs:
            return Grab(drag, i, None, True, decades, plan.epochs / box.width)
    split = _nearest(figure, epoch, lr) if low <= lr <= high else None
    return Grab(drag, phase, split, False, decades, plan.epochs / box.width)


def _nearest(figure: PlanFigure, epoch: float, lr: float) -> int | None:
    """Return the split whose curve passes nearest; of those on one another the one drawn on top."""
    found, least = None, _CURVE
    for split, line in enumerate(figure.lines):
        x, y = (np.asarray(values, float) for values in line.get_data())
        here = np.argmin(np.where(np.isnan(y), np.inf, np.abs(x - epoch)))
        if abs(x[here] - epoch) < _BORDER * figure.plan.epochs:
            far = abs(float(np.log10(y[here] / lr)))
            if far <= least:
                found, least = split, far
    return found
