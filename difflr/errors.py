"""The one exception that difflr raises for input it cannot use, and the checks that raise it."""

import math
import re
from collections.abc import Sequence
from contextlib import suppress
from numbers import Integral, Real
from typing import Any

__all__ = ["DifflrError", "as_index", "as_int", "as_number", "as_plain", "first_few", "short_repr"]


class DifflrError(ValueError):
    """Input that difflr cannot use: what was received and expected, then what to do.

    Every check raises this alone, so that the command line or a widget can show it and go on.

    >>> print(DifflrError("Received lr=-1, expected a number above 0.", "Pass e.g. lr=1e-3."))
    Received lr=-1, expected a number above 0. Pass e.g. lr=1e-3.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem} {self.remedy}"


def as_number(
    name: str,
    value: Any,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    above: bool = False,
    below: bool = False,
) -> float:
    """Return ``value``, of numpy or torch too, as a finite float from ``low`` to ``high``.

    ``above`` excludes ``low``, ``below`` excludes ``high``.
    """
    plain = as_plain(value)
    if isinstance(plain, Real) and not isinstance(plain, bool):
        with suppress(OverflowError):  # an int too large for a float
            number = float(plain)
            at_edge = (above and number == low) or (below and number == high)
            if math.isfinite(number) and low <= number <= high and not at_edge:
                return number
    bounds = f"{'above' if above else 'of at least'} {low:g}" if low > -math.inf else "(finite)"
    bounds += f" and {'below' if below else 'at most'} {high:g}" if high < math.inf else ""
    raise DifflrError(
        f"Received {name}={short_repr(value)}, expected a number {bounds}.", f"Change {name}."
    )


def as_plain(value: Any) -> Any:
    """Return arrays and tensors as numbers or lists, anything else as it is."""
    if hasattr(value, "tolist") and hasattr(value, "shape"):
        with suppress(Exception):  # a tensor without data, someone's own class
            return value.tolist()
    return value


def as_int(
    name: str, value: Any, low: float = -math.inf, high: float = math.inf, where: str = ""
) -> int:
    """Return ``value`` as an int from ``low`` to ``high``; a float or a bool is an error."""
    if isinstance(value, Integral) and not isinstance(value, bool) and low <= int(value) <= high:
        return int(value)
    bounds = f" of at least {short_repr(low)}" if low > -math.inf else ""
    if high < math.inf:
        bounds = f" from {low} to {high}"
    raise DifflrError(
        f"Received {name}={short_repr(value)}, expected a whole number{bounds}{where}.",
        f"Change {name}.",
    )


def as_index(name: str, value: Any, n_splits: int) -> int:
    """Return ``value`` as an index of a split; -1 is the last."""
    return as_int(name, value, -n_splits, n_splits - 1, f" for {n_splits} splits")


def short_repr(value: Any, width: int = 80) -> str:
    """Return ``repr(value)``, cut where it would flood a message."""
    try:
        text = repr(value)
    except Exception:  # an int of thousands of digits, a strange class
        text = f"<{type(value).__name__}>"
    text = re.sub(r"\s*\n\s*", " ", text)  # tensors and arrays write several lines
    return text if len(text) <= width else text[: width - 1] + "…"


def first_few(names: Sequence[str], most: int = 6) -> str:
    """Return the first names, and how many more there are."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
