"""Short ways to write one learning rate per split, each with its source."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from difflr.errors import DifflrError, as_int, as_number, as_plain, short_repr

__all__ = ["MOST_SPLITS", "LRs", "LayerDecay", "Ratio", "Ulmfit", "expand_lrs"]

MOST_SPLITS = 100_000  # any model has fewer; a number beyond it is a slip


@dataclass(frozen=True)
class Ulmfit:
    """``lr`` for the last split, divided by ``factor`` once per split towards the input.

    Source: Howard and Ruder 2018, "Universal Language Model Fine-tuning" (arXiv 1801.06146),
    section 3.2, which found a factor of 2.6 to work well.
    """

    lr: float
    factor: float = 2.6


@dataclass(frozen=True)
class Ratio:
    """``lr`` for the last split, ``lr / ratio`` for the first, geometric in between.

    A ratio of 1 is uniform; below 1 the first split learns fastest. The same as
    ``slice(lr / ratio, lr)``, written so that the base LR can be tuned on its own.
    """

    lr: float
    ratio: float = 100.0


@dataclass(frozen=True)
class LayerDecay:
    """``lr`` for the last split, multiplied by ``decay`` once per split towards the input.

    For one split per block (``split_model(model, "blocks")``), where it equals timm's layer decay.
    Source: BEiT (arXiv 2106.08254) and MAE (arXiv 2111.06377).
    """

    lr: float
    decay: float = 0.75


LRs = float | Sequence[float] | slice | Ulmfit | Ratio | LayerDecay


def expand_lrs(lrs: LRs, n_splits: int) -> list[float]:
    """Return one learning rate per split, shallow to deep.

    Args:
        lrs: one number for all splits; a list, array or tensor with one number per split;
            ``slice(lo, hi)``, geometric from the first split to the last (fastai's ``slice``);
            ``slice(hi)``, ``hi`` for the last split and ``hi / 10`` for the others (fastai);
            ``Ulmfit(lr)``; ``Ratio(lr)``; ``LayerDecay(lr)``.
        n_splits: how many splits the model has, at least 1.

    Raises:
        DifflrError: for a wrong length, a negative or non-finite number, or another type.

    >>> expand_lrs(slice(1e-5, 1e-3), 3)
    [1e-05, 0.0001, 0.001]
    >>> expand_lrs(slice(1e-3), 3)
    [0.0001, 0.0001, 0.001]
    """
    n = as_int("n_splits", n_splits, 1, MOST_SPLITS)
    if isinstance(lrs, Ulmfit | LayerDecay | Ratio):
        hi, by = (_positive(name, value) for name, value in vars(lrs).items())
        if isinstance(lrs, Ratio):
            return _geometric(hi / by, hi, n, lrs)
        below = range(n - 1, -1, -1)  # how many splits lie between each and the last
        if isinstance(lrs, Ulmfit):
            return _finite(lambda: [hi / by**i for i in below], lrs)
        return _finite(lambda: [hi * by**i for i in below], lrs)
    lrs = as_plain(lrs)
    if isinstance(lrs, slice):
        if lrs.step is not None or lrs.stop is None:
            raise DifflrError(
                f"Received {lrs!r}, expected slice(hi) or slice(lo, hi).", "Pass one of the two."
            )
        hi = _positive("hi", lrs.stop)
        if lrs.start is None:
            return [hi / 10] * (n - 1) + [hi]
        return _geometric(_positive("lo", lrs.start), hi, n, lrs)
    if isinstance(lrs, Sequence) and not isinstance(lrs, str | bytes):
        if len(lrs) != n:
            raise DifflrError(
                f"Received {len(lrs)} learning rates, expected {n}: one per split.",
                "Pass one number per split, or slice(lo, hi) to fill them in.",
            )
        return [as_number("lr", lr, 0.0) for lr in lrs]
    return [as_number("lr", lrs, 0.0)] * n


def _positive(name: str, value: float) -> float:
    return as_number(name, value, 0.0, above=True)


def _geometric(lo: float, hi: float, n: int, source: object) -> list[float]:
    if n == 1:
        return [hi]
    # Powers of ten of evenly spaced exponents lose the last digits; this keeps lo and hi exact.
    inner = range(1, n - 1)
    return _finite(lambda: [lo, *(lo * (hi / lo) ** (i / (n - 1)) for i in inner), hi], source)


def _finite(rates: Callable[[], list[float]], source: object) -> list[float]:
    try:
        lrs = rates()
    except ArithmeticError:  # beyond what a float can hold
        lrs = [math.inf]
    if not all(0 < lr < float("inf") for lr in lrs):
        raise DifflrError(
            f"{short_repr(source)} gives learning rates {short_repr(lrs)}, expected numbers above 0.",
            "Pass a larger lr or a factor nearer to 1.",
        )
    return lrs
