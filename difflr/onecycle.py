"""The shape of one cycle as a pure function of the step.

Smith's 1cycle policy (arXiv 1708.07120) in the form of torch's ``OneCycleLR``: a rise from
``max / div_factor`` to ``max`` over the first ``pct_start`` of the steps, then a fall to
``max / div_factor / final_div_factor``. The arithmetic is torch's, operation by operation, so the
numbers are equal to the last bit.
"""

import math
from typing import Literal, NamedTuple

__all__ = ["Anneal", "Position", "anneal", "position"]

Anneal = Literal["cos", "linear"]


class Position(NamedTuple):
    """Where a step stands in its cycle: on the way up or down, and how far (0 to 1)."""

    rising: bool
    pct: float


def position(step: int, total_steps: int, pct_start: float) -> Position:
    """Return where ``step`` (from 0 to ``total_steps - 1``) stands in a cycle.

    The peak lies at step ``pct_start * total_steps - 1`` and the minimum at ``total_steps - 1``, as in
    torch. Where the rise has no length at all (``pct_start * total_steps == 1``) torch divides by
    zero; here the cycle then starts at its peak. A phase of a single step has, as in torch, its minimum
    there and next to nothing is learnt, unless ``pct_start`` is 1.

    >>> position(0, 10, 0.3), position(2, 10, 0.3), position(9, 10, 0.3)
    (Position(rising=True, pct=0.0), Position(rising=True, pct=1.0), Position(rising=False, pct=1.0))
    """
    peak = pct_start * total_steps - 1
    if step <= peak:
        return Position(True, step / peak if peak else 1.0)
    return Position(False, (step - peak) / (total_steps - 1 - peak))


def anneal(start: float, end: float, pct: float, how: Anneal = "cos") -> float:
    """Interpolate from ``start`` (``pct`` 0) to ``end`` (``pct`` 1) along a cosine or a line."""
    if how == "cos":
        return end + (start - end) / 2.0 * (math.cos(math.pi * pct) + 1)
    return (end - start) * pct + start
