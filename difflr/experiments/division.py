"""A plain tree, one folder per class, divided into training and test pictures: by itself, or by parts.csv.

That table says of each picture whether it is to train or to test on; what was divided is written as one.
"""

import csv
import io
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from difflr.errors import DifflrError, first_few, short_repr
from difflr.experiments.folder import PARTS_FILE, Tree
from difflr.experiments.reading import Reading
from difflr.experiments.series import COPIES, find_links, join
from difflr.written.files import read_within, write_whole, writing

__all__ = ["Division", "divide_tree"]

_SHARE = 0.2  # of each class, to test on
_LARGEST = 0.6  # of a class in one group: what links more is no series
_MOST_BYTES = 2**26  # of parts.csv
_REMEDY = "Correct it, or take the file out of the folder: then the pictures are divided anew."


@dataclass(frozen=True)
class Division:
    """Which pictures of a tree are test pictures, and which belong together.

    ``is_test`` and ``group`` have one entry per picture; ``together`` counts the links of each kind that
    made the groups, ``left_out`` those that would have put most of a class into one group. ``seed`` is
    None where a ``parts.csv`` of the folder says what goes where; ``across`` counts links of each kind
    between its two sides.
    """

    files: tuple[str, ...]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    is_test: NDArray[np.bool_]
    group: NDArray[np.int64]
    seed: int | None
    together: dict[str, int]
    left_out: dict[str, int]
    across: dict[str, int]

    def describe(self) -> str:
        """Return in words how many pictures of each class went where, and what kept some together."""
        sizes = np.bincount(self.group)
        lines = [
            f"One folder per class, divided as {PARTS_FILE} in it says; no seed was used."
            if self.seed is None
            else f"One folder per class: a fifth of each is put aside to test on (seed {self.seed}).",
            f"{len(self.files)} pictures in {len(sizes)} groups that stay together, the largest of "
            f"{sizes.max()}.",
        ]
        for links, said in (
            (self.together, ""),
            (self.left_out, "not kept together (it would be most of a class): "),
            (self.across, "pairs lie on both sides, and flatter the result: "),
        ):
            lines += [f"  {count:>5}  {said}{reason}" for reason, count in links.items()]
        for label, name in enumerate(self.classes):
            own = self.labels == label
            test = int((own & self.is_test).sum())
            lines.append(f"  {name}: {int(own.sum()) - test} to train on, {test} to test on")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return what holds for the whole of it, for a file of results; ``text`` is for readers."""
        return {
            "seed": self.seed,
            "groups": len(np.unique(self.group)),
            "together": self.together,
            "text": self.describe(),
        }

    def write(self, path: Path) -> Path:
        """Write a table of comma-separated values: file, class, part and group of each picture.

        Raises:
            DifflrError: when it cannot be written.
        """
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(("file", "class", "part", "group"))
        names = [self.classes[label] for label in self.labels]
        parts = np.where(self.is_test, "test", "train")
        table.writerows(zip(self.files, names, parts, self.group, strict=True))
        with writing(path):
            write_whole(path, text.getvalue().encode())
        return path


def divide_tree(tree: Tree, reading: Reading, seed: int = 0) -> Division:
    """Put a fifth of each class aside to test on; copies and series stay on one side.

    A ``parts.csv`` in the folder says what goes where instead, as ``Division.write`` has written it or
    by hand.

    Raises:
        DifflrError: for a class whose pictures are all copies of one another, or a table that does not
            fit the pictures.
    """
    n = len(tree.files)
    links = find_links(tree, reading.root)
    names = tuple(map(reading.name, tree.files))
    parts = reading.root / PARTS_FILE
    if parts.is_file():
        rows = _rows_of(names, parts, reading.root)
        is_test = np.array([row.is_test for row in rows])
        _need_both(tree, is_test, parts)
        across = _counted([(a, b, why) for a, b, why in links if is_test[a] != is_test[b]])
        return Division(
            names, tree.labels, tree.classes, is_test, _groups_said(rows), None, {}, {}, across
        )
    together, left_out = _counted(links), {}
    group = join(n, links)
    if _most_of_a_class(tree, group):  # a camera on a belt: then copies alone
        left_out = {reason: count for reason, count in together.items() if reason != COPIES}
        links = [link for link in links if link[2] == COPIES]
        together, group = _counted(links), join(n, links)
    is_test = _drawn(tree, group, seed)
    return Division(names, tree.labels, tree.classes, is_test, group, seed, together, left_out, {})


@dataclass(frozen=True)
class _Row:
    """What the table says of a picture, and in which line; ``group`` is "" where it says none."""

    is_test: bool
    group: str
    line: int


def _read_parts(path: Path) -> dict[str, _Row]:
    """Return the rows of a table with the columns ``file`` and ``part``, by file.

    A column ``group`` is read where there is one, all others are left alone. Values are separated by
    commas or by semicolons (as spreadsheets in some countries write them).

    Raises:
        DifflrError: for what is no such table; it names the line.
    """
    try:
        text = read_within(path, _MOST_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise DifflrError(f"{path} cannot be read: {error.strerror}.", _REMEDY) from error
    except ValueError as error:  # no UTF-8, or far too large
        raise DifflrError(f"{path} is no table of parts: {error}.", _REMEDY) from None
    head = text.partition("\n")[0].strip()
    separator = ";" if ";" in head and "," not in head else ","
    table = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, restval="")
    if not {"file", "part"} <= {*(table.fieldnames or ())}:
        raise DifflrError(
            f"{path} begins with {short_repr(head)}, expected the columns file and part.",
            "Let its first line be: file,class,part,group.",
        )
    found: dict[str, _Row] = {}
    try:
        for values in table:
            file, part = values["file"].strip(), values["part"].strip().casefold()
            file = PurePosixPath(file if "/" in file else file.replace("\\", "/")).as_posix()
            where = f"Line {table.line_num} of {path}"
            if part not in ("train", "test"):
                raise DifflrError(
                    f"{where} has the part {short_repr(part)}, expected train or test.", _REMEDY
                )
            if file in found:
                raise DifflrError(
                    f"{where} names {file} again, which line {found[file].line} names.",
                    "Leave one of the two.",
                )
            found[file] = _Row(part == "test", values.get("group", "").strip(), table.line_num)
    except csv.Error as error:
        raise DifflrError(f"Line {table.line_num} of {path}: {error}.", _REMEDY) from None
    return found


def _rows_of(names: tuple[str, ...], parts: Path, root: Path) -> list[_Row]:
    """Return what the table says of each picture; raise DifflrError where it does not fit the folder."""
    rows = _read_parts(parts)
    for file in rows.keys() - {*names}:  # one that is there cannot be read, and was counted
        if not os.path.exists(root / file):  # Path.exists raises for names that no file can have
            raise DifflrError(
                f"Line {rows[file].line} of {parts} names {file}, which is not in the folder.",
                "Delete the line, or put the picture back.",
            )
    if missing := [name for name in names if name not in rows]:
        raise DifflrError(
            f"{parts} says nothing of {len(missing)} pictures of the folder: {first_few(missing, 3)}.",
            "Add a line for each: its file, its class, train or test.",
        )
    return [rows[name] for name in names]


def _groups_said(rows: list[_Row]) -> NDArray[np.int64]:
    """Return the groups of the table, numbered from 0; a picture without one is a group by itself."""
    said = [row.group or f"line {row.line}" for row in rows]
    number = {name: i for i, name in enumerate(dict.fromkeys(said))}
    return np.array([number[name] for name in said])


def _need_both(tree: Tree, is_test: NDArray[np.bool_], parts: Path) -> None:
    for label, name in enumerate(tree.classes):
        for part, own in (("train", ~is_test), ("test", is_test)):
            if not (own & (tree.labels == label)).any():
                raise DifflrError(
                    f"{parts} gives no picture of class {name} to {part} on.",
                    f"Write {part} into the column part of some of its lines.",
                )


def _counted(links: list[tuple[int, int, str]]) -> dict[str, int]:
    return dict(Counter(reason for _, _, reason in links))


def _most_of_a_class(tree: Tree, group: NDArray[np.int64]) -> bool:
    counts = [np.bincount(group[tree.labels == label]) for label in range(len(tree.classes))]
    return any(own.max() > max(_LARGEST * own.sum(), 2) for own in counts)


def _drawn(tree: Tree, group: NDArray[np.int64], seed: int) -> NDArray[np.bool_]:
    """Return which pictures are test pictures: whole groups, drawn until each class has its share."""
    classes = len(tree.classes)
    held = np.zeros((group.max() + 1, classes), int)  # pictures of each class in each group
    np.add.at(held, (group, tree.labels), 1)
    wanted = np.maximum(1, np.round(_SHARE * held.sum(0)))
    order = np.random.default_rng(seed).permutation(len(held))
    chosen = np.zeros(len(held), bool)
    for g in order:
        chosen[g] = (held[chosen].sum(0) + held[g] <= wanted)[held[g] > 0].all()
    for label in range(classes):  # one whose groups are all too large
        if not held[chosen, label].any():
            own = [g for g in order if held[g, label]]
            chosen[min(own, key=lambda g: held[g].sum())] = True
        if not held[~chosen, label].any():
            raise DifflrError(
                f"All pictures of class {tree.classes[label]} are copies of one another, or belong "
                "together: none is left to train on.",
                "Add others, or put train/ and test/ into the folder yourself.",
            )
    return chosen[group]
