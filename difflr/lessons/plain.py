"""Answers as plain Python, in whatever type they came: iterators, arrays, scalars of numpy or torch."""

import sys
from collections.abc import Callable, ItemsView, Iterator, KeysView, Mapping, Sequence, ValuesView
from itertools import islice
from numbers import Real
from typing import Any

import numpy as np

from difflr.errors import short_repr
from difflr.lessons.feedback import Wrong

__all__ = [
    "arrays",
    "chosen",
    "keyed",
    "materialised",
    "number",
    "pair",
    "plain",
    "same",
    "torch_if_there",
    "unexpected",
]

_MOST = 10_000  # items taken from an iterator, which may never end
_LAZY = (Iterator, KeysView, ValuesView, ItemsView)


def torch_if_there() -> Any:
    """Return torch where something has imported it, else None: then no answer can hold a tensor."""
    return sys.modules.get("torch")


def arrays() -> tuple[Any, ...]:
    """Return the types of arrays: numpy's, and torch's where torch is there."""
    torch = torch_if_there()
    return (np.ndarray, torch.Tensor) if torch else (np.ndarray,)


def materialised(answer: Any, depth: int = 4, own: Callable[[Any], Any] = lambda leaf: leaf) -> Any:
    """Return ``answer`` with its iterators (generators, ``filter``, views, …) as lists, all else as it is.

    An iterator can be gone through once: whoever looks at an answer twice needs a list. ``own`` is
    called with what is in it, down to ``depth`` containers within one another.
    """
    answer = list(islice(answer, _MOST)) if isinstance(answer, _LAZY) else own(answer)
    if depth and type(answer) is dict:
        return {key: materialised(value, depth - 1, own) for key, value in answer.items()}
    if depth and type(answer) in (list, tuple):
        return type(answer)(materialised(each, depth - 1, own) for each in answer)
    return answer


def plain(answer: Any) -> Any:
    """Return ``answer`` with iterators and arrays as lists, and scalars as Python's own numbers."""
    return materialised(answer, own=_python)


def _python(leaf: Any) -> Any:
    torch = torch_if_there()
    # Parameters stay tensors: they are what an answer is about, not numbers that it gives.
    if torch and isinstance(leaf, torch.nn.Parameter):
        return leaf
    numbers: tuple[Any, ...] = (*arrays(), np.generic)
    if isinstance(leaf, numbers):
        return leaf.tolist()
    if isinstance(leaf, Real) and not isinstance(leaf, (bool, int, float)):
        return float(leaf)
    return leaf


def same(one: Any, other: Any) -> bool:
    """Whether two answers hold the same, arrays and tensors within them too; NaN is the same as NaN."""
    if type(one) is not type(other):
        return False
    if isinstance(one, arrays()):
        alike = one.shape == other.shape and one.dtype == other.dtype
        return alike and bool(((one == other) | ((one != one) & (other != other))).all())
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other or (one != one and other != other))


def chosen(answer: Any, names: Sequence[str]) -> str | None:
    """Return the name that a text means, in capitals or with blanks around it; ``None`` if none of them."""
    said = answer.strip().casefold() if isinstance(answer, str) else None
    return next((name for name in names if name.casefold() == said), None)


def keyed(answer: Any, *keys: Any) -> list[Any]:
    """Return the values of a dictionary that has just these keys, in their order, or raise ``Wrong``."""
    if not isinstance(answer, Mapping) or {*answer} != {*keys}:
        named = ", ".join(f"`{key}`" for key in keys)
        raise Wrong(
            f"Expected a dictionary with the keys {named}.", f"Received {short_repr(answer)}."
        )
    return [answer[key] for key in keys]


def number(value: Any) -> float:
    """Return a number of any type (also an array of one), or raise ``Wrong``."""
    value = plain(value)
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    raise unexpected(value, "a number", "Write e.g. 1e-3.")


def pair(answer: Any, what: str, *hints: str) -> tuple[float, float]:
    """Return two numbers, or raise ``Wrong``, which says that ``what`` was expected."""
    try:
        one, other = map(number, plain(answer))
    except (TypeError, ValueError, Wrong):
        raise unexpected(answer, what, *hints) from None
    return one, other


def unexpected(answer: Any, what: str, *hints: str) -> Wrong:
    """Say what was received where ``what`` was expected."""
    return Wrong(f"Received {short_repr(answer)}, expected {what}.", *hints)
