"""Tables of text."""

from collections.abc import Collection, Sequence

__all__ = ["aligned"]


def aligned(
    rows: Sequence[Sequence[str]], words: Collection[int] = (), narrowest: int = 0
) -> list[str]:
    """Return rows of cells as lines: the columns with these indices to the left, numbers to the right.

    >>> aligned([["split", "tensors"], ["stem", "3"]], words={0})
    ['split  tensors', 'stem         3']
    """
    widths = [max(narrowest, *map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if i in words else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
