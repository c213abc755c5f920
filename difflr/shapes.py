"""How a learning rate moves through its steps: torch's one cycle, or a shape, a share of the peak.

Against one cycle the momentum moves too. A shape of today's fine-tuning leaves it alone: a linear warm-up,
then a cosine, a line, steps or nothing.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

from difflr.checked import Checked
from difflr.errors import DifflrError, as_int, as_number, short_repr

__all__ = [
    "SHAPES",
    "Anneal",
    "Constant",
    "Cosine",
    "Linear",
    "Shape",
    "Steps",
    "one_cycle",
    "shape_from_dict",
]

Anneal = Literal["cos", "linear"]


def one_cycle(
    step: int, total_steps: int, pct_start: float, anneal: Anneal = "cos"
) -> tuple[bool, Callable[[float, float], float]]:
    """Return whether a cycle rises at ``step`` (from 0), and what interpolates between start and end.

    As in torch the peak is step ``pct_start * total_steps - 1``; where that is 0, torch divides by zero.

    >>> rises, between = one_cycle(1, 10, 0.3)
    >>> rises, between(0.0, 1.0), between(2.0, 4.0)
    (True, 0.5, 3.0)
    """
    peak = pct_start * total_steps - 1
    rises = step <= peak
    done, way = (step, peak) if rises else (step - peak, total_steps - 1 - peak)
    pct = done / way if way else 1.0
    if anneal == "cos":
        share = math.cos(math.pi * pct) + 1
        return rises, lambda start, end: end + (start - end) / 2.0 * share
    return rises, lambda start, end: (end - start) * pct + start


@dataclass(frozen=True, kw_only=True)
class Shape(Checked):
    """A linear warm-up from ``start_factor`` to 1; subclasses say what follows.

    Args:
        warmup: share of the steps in which the rate rises, 0 to 1, rounded up to whole steps.
        start_factor: share of the peak at the first step; at 0 it trains nothing.

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
                vars(self)[field.name] = as_number(field.name, value, 0.0, 1.0)

    def factor(self, step: int, total_steps: int, steps_per_epoch: int) -> float:
        """Return the share of the peak at ``step`` (from 0 to ``total_steps - 1``)."""
        rise = math.ceil(self.warmup * total_steps)
        if step < rise:
            return self.start_factor + (1 - self.start_factor) * step / rise
        return self._after(step - rise, total_steps - rise, steps_per_epoch)

    def _after(self, step: int, steps: int, per_epoch: int) -> float:
        return 1.0

    def to_dict(self) -> dict[str, Any]:
        """Return the shape as JSON-ready data; ``shape_from_dict`` reads it back."""
        return {"kind": self.kind, **self.entries()}


@dataclass(frozen=True, kw_only=True)
class Cosine(Shape):
    """Down to ``end_factor`` along half a cosine: torch's ``CosineAnnealingLR`` (arXiv 1608.03983)."""

    kind = "cosine"
    end_factor: float = 0.0

    def _after(self, step: int, steps: int, per_epoch: int) -> float:
        share = (1 + math.cos(math.pi * step / steps)) / 2
        return self.end_factor + (1 - self.end_factor) * share


@dataclass(frozen=True, kw_only=True)
class Linear(Shape):
    """Down to ``end_factor`` along a line: torch's ``LinearLR``, transformers' linear schedule."""

    kind = "linear"
    end_factor: float = 0.0

    def _after(self, step: int, steps: int, per_epoch: int) -> float:
        return 1 + (self.end_factor - 1) * step / steps


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

    def _after(self, step: int, steps: int, per_epoch: int) -> float:
        return self.gamma ** (step // (self.every * per_epoch))


SHAPES: dict[str, type[Shape]] = {shape.kind: shape for shape in (Cosine, Linear, Constant, Steps)}


def shape_from_dict(data: Any) -> Shape:
    """Return the shape that ``Shape.to_dict`` wrote, or the default one of a kind.

    Raises:
        DifflrError: for an unknown kind or entry, or a value out of range.

    >>> shape_from_dict("cosine") == shape_from_dict({"kind": "cosine", "end_factor": 0})
    True
    """
    if isinstance(data, Shape):
        return data
    entries = dict(data) if isinstance(data, Mapping) else {"kind": data}
    kind = entries.pop("kind", None)
    if not isinstance(kind, str) or kind not in SHAPES:
        raise DifflrError(
            f"Received shape {short_repr(data)}.", f"The shapes are {', '.join(SHAPES)}."
        )
    return SHAPES[kind].build(entries)
