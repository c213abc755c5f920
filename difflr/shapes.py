"""How a learning rate moves through its steps, as pure functions: which share of the peak holds.

A phase without a shape is torch's one cycle, against which the momentum moves too. The shapes of today's
fine-tuning leave it alone: a linear warm-up, then a cosine, a line, steps or nothing.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

from difflr.checked import Checked
from difflr.errors import DifflrError, as_int, as_number, short_repr

__all__ = [
    "Anneal",
    "Constant",
    "Cosine",
    "Linear",
    "Shape",
    "Steps",
    "annealing",
    "position",
    "shape_from_dict",
]

Anneal = Literal["cos", "linear"]


def position(step: int, total_steps: int, pct_start: float) -> tuple[bool, float]:
    """Return whether a cycle rises at ``step`` (from 0), and how far it is on its way up or down (0 to 1).

    As in torch the peak lies at step ``pct_start * total_steps - 1``, the minimum at ``total_steps - 1``.
    Where the peak is step 0, torch divides by zero.

    >>> position(0, 10, 0.3), position(2, 10, 0.3), position(9, 10, 0.3)
    ((True, 0.0), (True, 1.0), (False, 1.0))
    """
    peak = pct_start * total_steps - 1
    if step <= peak:
        return True, step / peak if peak else 1.0
    return False, (step - peak) / (total_steps - 1 - peak)


def annealing(pct: float, how: Anneal = "cos") -> Callable[[float, float], float]:
    """Return what interpolates from a start (``pct`` 0) to an end (1), along a cosine or a line.

    >>> between = annealing(0.5)
    >>> between(0.0, 1.0), between(2.0, 4.0)
    (0.5, 3.0)
    """
    if how == "cos":
        share = math.cos(math.pi * pct) + 1
        return lambda start, end: end + (start - end) / 2.0 * share
    return lambda start, end: (end - start) * pct + start


@dataclass(frozen=True, kw_only=True)
class Shape(Checked):
    """A linear warm-up from ``start_factor`` to 1; what follows it is for the subclasses to say.

    Args:
        warmup: share of the steps in which the rate rises, 0 to 1, rounded up to whole steps.
        start_factor: share of the peak at the first step. At 0 it trains nothing.

    Source: transformers' ``warmup_ratio``.
    """

    kind: ClassVar[str]
    warmup: float = 0.0
    start_factor: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type is int:
                as_int(field.name, value, 1)
            else:
                self.normalise(**{field.name: as_number(field.name, value, 0.0, 1.0)})

    def factor(self, step: int, total_steps: int, steps_per_epoch: int) -> float:
        """Return the share of the peak at ``step`` (from 0 to ``total_steps - 1``)."""
        rise = math.ceil(self.warmup * total_steps)
        if step < rise:
            return self.start_factor + (1 - self.start_factor) * step / rise
        return self._after(step - rise, total_steps - rise, steps_per_epoch)

    def _after(self, step: int, total_steps: int, steps_per_epoch: int) -> float:
        return 1.0

    def to_dict(self) -> dict[str, Any]:
        """Return the shape as JSON-ready data; ``shape_from_dict`` reads it back."""
        return {"kind": self.kind, **self.entries()}


@dataclass(frozen=True, kw_only=True)
class Cosine(Shape):
    """Down to ``end_factor`` along half a cosine: torch's ``CosineAnnealingLR`` (arXiv 1608.03983)."""

    kind = "cosine"
    end_factor: float = 0.0

    def _after(self, step: int, total_steps: int, steps_per_epoch: int) -> float:
        share = (1 + math.cos(math.pi * step / total_steps)) / 2
        return self.end_factor + (1 - self.end_factor) * share


@dataclass(frozen=True, kw_only=True)
class Linear(Shape):
    """Down to ``end_factor`` along a line: torch's ``LinearLR``, transformers' linear schedule."""

    kind = "linear"
    end_factor: float = 0.0

    def _after(self, step: int, total_steps: int, steps_per_epoch: int) -> float:
        return 1 + (self.end_factor - 1) * step / total_steps


@dataclass(frozen=True, kw_only=True)
class Constant(Shape):
    """The peak itself, after the warm-up."""

    kind = "constant"


@dataclass(frozen=True, kw_only=True)
class Steps(Shape):
    """Times ``gamma`` after every ``every`` epochs: torch's ``StepLR``, stepped once an epoch."""

    kind = "steps"
    every: int = 1
    gamma: float = 0.1

    def _after(self, step: int, total_steps: int, steps_per_epoch: int) -> float:
        return self.gamma ** (step // (self.every * steps_per_epoch))


_KINDS: dict[str, type[Shape]] = {kind.kind: kind for kind in (Cosine, Linear, Constant, Steps)}


def shape_from_dict(data: Any) -> Shape:
    """Return the shape that ``Shape.to_dict`` wrote, or the default one of a kind.

    Raises:
        DifflrError: for an unknown kind or entry, or a value out of range.

    >>> shape_from_dict("cosine") == shape_from_dict({"kind": "cosine", "end_factor": 0})
    True
    """
    if isinstance(data, Shape):
        return data
    entries = {"kind": data} if isinstance(data, str) else data
    kind = entries.get("kind") if isinstance(entries, Mapping) else None
    if not isinstance(kind, str) or kind not in _KINDS:
        raise DifflrError(
            f"Received shape {short_repr(data)}.", f"The shapes are {', '.join(_KINDS)}."
        )
    return _KINDS[kind].build({key: value for key, value in entries.items() if key != "kind"})
