"""The grids of a recording: one for each condition, over base LR and recipe; a point is one cell."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from difflr.figures.words import count, short
from difflr.studies.cell import Cell
from difflr.studies.recordings import Recording, Run

__all__ = [
    "CONDITION",
    "Condition",
    "Grid",
    "Point",
    "condition_words",
    "grids",
    "point_words",
    "row_lines",
    "sides",
    "tag_words",
]

CONDITION = ("train_size", "epochs", "shift", "bn", "augment", "optimizer")

Condition = tuple[Any, ...]  # the values of these tags
Point = tuple[float, float | str]  # base LR; ratio, decay, or a recipe with its options
Grid = Mapping[Point, Sequence[Run]]


def grids(
    recording: Recording, measured_on: str = "validation"
) -> tuple[str, dict[Condition, Grid]]:
    """Return what the rows of the grids are, and by condition the runs of each point.

    Rows are ``"ratio"`` or ``"decay"`` where all runs are of one recipe that has this option, else
    ``"recipe"``: its name with all its options but the base LR. So no point holds runs of two cells.
    Conditions are in order, defaults first; runs without a base LR are left out.
    """
    runs = [r for r in recording.runs if r.measured_on == measured_on and "lr" in r.cell.options]
    kinds = {(run.cell.recipe, *sorted(run.cell.options.keys() - {"lr"})) for run in runs}
    alone = next(iter(kinds))[1:] if len(kinds) == 1 else ()
    rows = alone[0] if alone in (("ratio",), ("decay",)) else "recipe"
    found: dict[Condition, dict[Point, list[Run]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        cell = run.cell
        row: Any = _with_options(cell) if rows == "recipe" else cell.options[rows]
        condition = tuple(getattr(cell, tag) for tag in CONDITION)
        found[condition][float(cell.options["lr"]), row].append(run)
    return rows, {condition: dict(found[condition]) for condition in sorted(found, key=_place)}


def _with_options(cell: Cell) -> str:
    """Write a recipe as the command line takes it; a second LR by what it is of the base LR."""
    lr = float(cell.options["lr"])
    parts = [cell.recipe]
    for name, value in sorted(cell.options.items()):
        if name.endswith("_lr"):
            parts.append(f"{name}={float(value) / lr:.3g}×lr")
        elif name != "lr":
            parts.append(
                f"{name}={value}" if isinstance(value, str | bool) else f"{name}={value:g}"
            )
    return ":".join(parts)


def _place(condition: Condition) -> tuple[Any, ...]:
    plain = (getattr(Cell("uniform"), tag) for tag in CONDITION)
    return tuple((isinstance(v, str) and v != p, v) for v, p in zip(condition, plain, strict=True))


def sides(grid: Grid) -> tuple[list[float], list[Any]]:
    """Return the base LRs of a grid and its rows, from below: numbers, or names with ``uniform`` first."""
    rows = {row for _, row in grid}
    return sorted({lr for lr, _ in grid}), sorted(rows, key=_in_order)


def _in_order(row: float | str) -> tuple[Any, ...]:
    if not isinstance(row, str):
        return (row,)
    name, *options = row.split(":")
    # Of one recipe the ratio of 3 stands before that of 10.
    numbers = [float(x) for x in re.findall(r"=([0-9.e+-]+)$", row)]
    return row != "uniform", name, numbers, options


def row_lines(row: str, rows: int) -> list[str]:
    """Return a recipe with its options in the lines in which a grid of so many rows has room for it."""
    return row.split(":") if rows <= 8 else [row]


def point_words(rows: str, point: Point) -> str:
    """Return a point of a grid in words: ``base LR 1e-3, ratio 100``."""
    lr, row = point
    return f"base LR {short(lr)}, " + (row if isinstance(row, str) else f"{rows} {row:g}")


def condition_words(recording: Recording, condition: Condition) -> str:
    """Return in words the number of training pictures, and in what else the recording's runs vary."""
    return ", ".join(
        tag_words(recording, tag, value)
        for tag, value in zip(CONDITION, condition, strict=True)
        if tag == "train_size" or len(recording.values(tag)) > 1
    )


def tag_words(recording: Recording, tag: str, value: Any) -> str:
    """Return in words the value of a tag in ``CONDITION``."""
    if tag == "train_size":
        text = recording.about.get("data") == "trec6"
        return f"{value:,} training {'questions' if text else 'pictures'}"
    if tag == "epochs":
        return count(value, "epoch")
    if tag == "shift":
        return "new labels" if value == "none" else f"input shift {value}"
    if tag == "augment":
        return "augmented" if value else "not augmented"
    return f"BatchNorm {value}" if tag == "bn" else str(value)
