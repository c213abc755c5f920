"""The rows in which splits are shown: each alone where they are few, else neighbours together."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from difflr.written.tables import aligned

__all__ = ["FEW", "name_span", "rate_columns", "rate_span", "spans"]

FEW = 12  # as many as there are markers to tell them apart
_RUNS = 6


def spans(n: int) -> list[range]:
    """Return the indices of ``n`` splits in rows: many make eight, the first and the last alone.

    The input's and the head's rate are looked at most, and the plans of recipes treat them apart.

    >>> spans(3)
    [range(0, 1), range(1, 2), range(2, 3)]
    >>> spans(48)[:2], spans(48)[-1]
    ([range(0, 1), range(1, 8)], range(47, 48))
    """
    runs = range(_RUNS + 1)
    edges = range(n + 1) if n <= FEW else [0, *(1 + i * (n - 2) // _RUNS for i in runs), n]
    return [range(start, end) for start, end in pairwise(edges)]


def name_span(names: Sequence[str], *, brief: bool = False) -> str:
    """Return neighbours by their first and last name; ``brief``: of the last its number, if that is all.

    >>> blocks = ["blocks.7", "blocks.8", "blocks.9"]
    >>> name_span(blocks), name_span(blocks, brief=True), name_span(["head"])
    ('blocks.7 to blocks.9', 'blocks.7 to 9', 'head')
    """
    first, last = names[0], names[-1]
    if len(names) == 1:
        return first
    kinds = {name.rstrip("0123456789") for name in (first, last)}
    return f"{first} to {last.removeprefix(kinds.pop()) if brief and len(kinds) == 1 else last}"


def rate_span(lrs: Sequence[float], write: Callable[[float], str]) -> str:
    """Return the learning rates of neighbours from the smallest to the largest; 0 is frozen.

    >>> rate_span([0.1, 0.2], str), rate_span([0, 0.2], str), rate_span([0, 0], str)
    ('0.1 to 0.2', 'partly 0.2', 'frozen')
    """
    used = [lr for lr in lrs if lr]
    if not used:
        return "frozen"
    text = name_span(list(dict.fromkeys((write(min(used)), write(max(used))))))
    return text if len(used) == len(lrs) else f"partly {text}"


def rate_columns(phases: Sequence[Sequence[float]], write: Callable[[float], str]) -> list[str]:
    """Return the title of a table of rates, then for each phase its rates, a column for each span."""
    rows = [slice(row[0], row[-1] + 1) for row in spans(len(phases[0]))]
    rates = [[rate_span(lrs[row], write) for row in rows] for lrs in phases]
    if len(rows) == len(phases[0]):
        return ["maximum LR per split (shallow to deep)", *aligned(rates, narrowest=7)]
    numbers = [f"{i}" for i in range(len(phases[0]))]
    first, *others = (name_span(numbers[row]) for row in rows)
    return aligned([[f"split {first}", *others], *rates], narrowest=7)
