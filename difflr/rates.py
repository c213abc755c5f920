"""Short ways to write one learning rate per split, each with its source."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from difflr.errors import DifflrError, as_int, as_number, as_plain, short_repr

__all__ = ["MOST_SPLITS", "LRs", "LayerDecay", "Ratio", "Ulmfit", "expand_lrs", "per_split"]

MOST_SPLITS = 100_000  # a number beyond it is a slip


@dataclass(frozen=True)
class Ulmfit:
    """``lr`` for the last split, divided by ``factor`` once per split towards the input.

    Source: ULMFiT (arXiv 1801.06146), section 3.2, which recommends 2.6.
    """

    lr: float
    factor: float = 2.6


@dataclass(frozen=True)
class Ratio:
    """``lr`` for the last split, ``lr / ratio`` for the first, geometric in between.

    A ratio of 1 is uniform; below 1 the first split learns fastest.
    """

    lr: float
    ratio: float = 100.0


@dataclass(frozen=True)
class LayerDecay:
    """``lr`` for the last split, times ``decay`` once per split towards the input.

    With one split per block (``split_model(model, "blocks")``) it is timm's layer decay. Source:
    BEiT (arXiv 2106.08254), MAE (arXiv 2111.06377).
    """

    lr: float
    decay: float = 0.75


LRs = float | Sequence[float] | slice | Ulmfit | Ratio | LayerDecay


def expand_lrs(lrs: LRs, n_splits: int) -> list[float]:
    """Return one learning rate per split, shallow to deep.

    Args:
        lrs: one number for all; a list, array or tensor with one per split; as in fastai
            ``slice(lo, hi)``, geometric from the first split to the last, or ``slice(hi)``, ``hi`` for
            the last and ``hi / 10`` for the others; ``Ulmfit``, ``Ratio`` or ``LayerDecay``.
        n_splits: at least 1.

    Raises:
        DifflrError: for a wrong length, a negative or non-finite number, or another type.

    >>> expand_lrs(slice(1e-5, 1e-3), 3)
    [1e-05, 0.0001, 0.001]
    >>> expand_lrs(slice(1e-3), 3)
    [0.0001, 0.0001, 0.001]
    """
    n = as_int("n_splits", n_splits, 1, MOST_SPLITS)
    if isinstance(lrs, slice | Ulmfit | LayerDecay | Ratio):
        try:
            rates = _spread(lrs, n)
        except ArithmeticError:  # beyond what a float can hold
            rates = [math.inf]
        if not all(0 < lr < math.inf for lr in rates):
            raise DifflrError(
                f"{short_repr(lrs)} gives learning rates {short_repr(rates)}, expected numbers above 0.",
                "Pass a larger lr or a factor nearer to 1.",
            )
        return rates
    return per_split("lr", lrs, n)


def per_split(name: str, value: Any, n: int, below: float = math.inf) -> list[float]:
    """Return one number per split, from 0 to ``below``, of one for all or of a list."""
    value = as_plain(value)
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        value = [value] * n
    if len(value) != n:
        raise DifflrError(
            f"Received {len(value)} values of {name}, expected {n}: one per split.",
            "Pass one for all splits, or one for each.",
        )
    return [as_number(name, entry, 0.0, below, below=True) for entry in value]


def _spread(lrs: slice | Ulmfit | Ratio | LayerDecay, n: int) -> list[float]:
    if isinstance(lrs, slice):
        if lrs.step is not None or lrs.stop is None:
            raise DifflrError(
                f"Received {lrs!r}, expected slice(hi) or slice(lo, hi).", "Pass one."
            )
        hi = _positive("hi", lrs.stop)
        if lrs.start is None:
            return [hi / 10] * (n - 1) + [hi]
        lo = _positive("lo", lrs.start)
    else:
        hi, by = (_positive(name, value) for name, value in vars(lrs).items())
        below = range(n - 1, -1, -1)  # the distance of each split from the last
        if isinstance(lrs, Ulmfit):
            return [hi / by**i for i in below]
        if isinstance(lrs, LayerDecay):
            return [hi * by**i for i in below]
        lo = hi / by
    if n == 1:
        return [hi]
    # Not by evenly spaced exponents: this keeps lo and hi exact.
    return [lo, *(lo * (hi / lo) ** (i / (n - 1)) for i in range(1, n - 1)), hi]


def _positive(name: str, value: float) -> float:
    return as_number(name, value, 0.0, above=True)
