"""Pictures from a folder: ``train/<class>/…`` and ``test/<class>/…``, or one class-per-folder tree."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from difflr.errors import DifflrError, first_few
from difflr.experiments.picturefile import PICTURE_SUFFIXES, DecodedPicture, Skipped, read_picture
from difflr.experiments.reading import Reading, readable

__all__ = ["PARTS_FILE", "Tree", "is_plain", "picture_files", "read_folder", "read_tree"]

PARTS_FILE = "parts.csv"  # what it says is for ``division``
_PARTS = ("train", "test")
_NAMES_OF_PARTS = {*_PARTS, "training", "testing", "val", "valid", "validation", "eval", "dev"}


@dataclass(frozen=True)
class Tree:
    """The pictures of one class-per-folder tree.

    ``pixels`` are uint8 (N, 3, H, W), ``labels`` int64 (N,) into ``classes``, ``files`` their paths;
    ``taken`` says by which camera and when, as far as their EXIF data tell.
    """

    pixels: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    files: tuple[Path, ...]
    taken: tuple[tuple[str, datetime | None], ...] = ()


def is_plain(root: Path) -> bool:
    """Whether a folder holds one folder per class, rather than ``train`` and ``test``.

    Raises:
        DifflrError: for no folder, or one with parts of other names: classes are not called ``Val``.
    """
    if not root.is_dir():
        raise DifflrError(
            f"Received data {str(root)!r}, which is no data set of difflr and no folder.",
            "Use strokes, cifar10, or the path of a folder with one folder per class, or train/ and test/.",
        )
    names = [path.name for path in sorted(root.iterdir()) if path.is_dir()]
    parts = [name for name in names if name.casefold() in _NAMES_OF_PARTS]
    if parts and not {*_PARTS} <= {*parts}:
        raise DifflrError(
            f"{root} has the folders {first_few(parts)}, expected train and test, or one folder per class.",
            "Name them train and test, or pass the folder that holds the class folders.",
        )
    return not parts


def read_folder(root: Path, size: int | None) -> tuple[dict[str, Tree], Reading]:
    """Return the pictures of ``train`` and ``test``, and what became of all files.

    Pictures are fitted into squares of ``size`` pixels a side: the shorter side is resized, the middle
    is kept. Both parts have the classes of ``train``.

    Raises:
        DifflrError: for a folder without the tree it should have, or a class without a picture.
    """
    reading = Reading(root)
    for path in sorted(root.iterdir()):
        if path.name not in _PARTS:
            reading.skip(path, "beside train/ and test/")
    trees = {part: read_tree(root / part, size, reading) for part in _PARTS}
    classes = trees["train"].classes
    if unknown := [name for name in trees["test"].classes if name not in classes]:
        raise DifflrError(
            f"{root / 'test'} has classes that train/ does not have: {first_few(unknown)}.",
            "Give both folders the same class folders.",
        )
    sides = {f"{tree.pixels.shape[-1]}x{tree.pixels.shape[-2]}" for tree in trees.values()}
    if len(sides) > 1:
        raise _uneven(root, sorted(sides))
    test = trees["test"]
    label = np.array([classes.index(name) for name in test.classes])
    trees["test"] = Tree(test.pixels, label[test.labels], classes, test.files)
    return trees, reading


def read_tree(folder: Path, size: int | None, reading: Reading | None = None) -> Tree:
    """Return the pictures of one class-per-folder tree, at any depth of each class folder.

    Args:
        folder: holds one folder per class; classes are sorted by name.
        size: side in pixels; None takes pictures as they are: squares of one size.
        reading: counts what is read, skipped and changed; made anew for None.

    Raises:
        DifflrError: for less than two class folders, a class without a picture, or uneven pictures.
    """
    reading = reading or Reading(folder)
    homes = list(_class_folders(folder, reading))
    if len(homes) < 2:
        raise DifflrError(
            f"{folder} has {len(homes)} class folders, expected at least two.",
            "Put the pictures of each class into a folder of its own: train/cat/…, train/dog/….",
        )
    pictures: list[DecodedPicture] = []
    files: list[Path] = []
    labels: list[int] = []
    for label, home in enumerate(homes):
        for file in sorted(picture_files(home, reading)):
            try:
                picture = read_picture(file, size)
            except Skipped as why:
                reading.skip(file, str(why))
                continue
            for remark in picture.remarks:
                reading.remark(file, remark)
            pictures.append(picture)
            files.append(file)
            labels.append(label)
        if label not in labels:
            why_none = reading.skipped_in(home)
            raise DifflrError(
                f"{home} holds no picture{f' that can be read ({why_none})' if why_none else ''}.",
                f"Add pictures ({', '.join(sorted(PICTURE_SUFFIXES))}) or delete the folder.",
            )
    reading.read += len(pictures)
    classes = tuple(readable(home.name) for home in homes)
    taken = tuple((picture.camera, picture.taken) for picture in pictures)
    return Tree(_stacked(pictures, folder), np.array(labels), classes, tuple(files), taken)


def _class_folders(folder: Path, reading: Reading) -> Iterator[Path]:
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if _hidden(path.name):
            reading.skip(path, "hidden")
        elif path.is_symlink() and _tangled(path, reading.root):
            reading.skip(path, "a link to a folder")
        elif path.is_dir():
            yield path
        elif path != reading.root / PARTS_FILE:
            reading.skip(path, "outside the class folders")


def picture_files(home: Path, reading: Reading) -> Iterator[Path]:
    """Yield the files at any depth that are named as pictures; all others are counted."""

    def unreadable(error: OSError) -> None:
        reading.skip(Path(os.fsdecode(error.filename)), "unreadable")

    for here, folders, names in os.walk(home, onerror=unreadable):
        for path in [Path(here, name) for name in folders]:
            if _hidden(path.name) or path.is_symlink():
                folders.remove(path.name)
                reading.skip(path, "hidden" if _hidden(path.name) else "a link to a folder")
        for path in [Path(here, name) for name in names]:
            if _hidden(path.name):
                reading.skip(path, "hidden")
            elif path.suffix.lower() not in PICTURE_SUFFIXES:
                reading.skip(path, "not named as a picture")
            else:
                if path.is_symlink() and not _below(path, reading.root):
                    reading.remark(path, "read through a link out of the folder")
                yield path


def _hidden(name: str) -> bool:
    """Whether a name is that of what a system keeps beside pictures: .cache, ._0.png, __MACOSX."""
    return name.startswith(".") or name == "__MACOSX"


def _below(link: Path, root: Path) -> bool:
    try:
        return root.resolve() in link.resolve().parents
    except (OSError, RuntimeError):  # a link to itself
        return True


def _tangled(link: Path, root: Path) -> bool:
    """Whether a class folder is a link that leads back into the folder, whose pictures it would repeat."""
    return link.is_dir() and (
        _below(link, root) or link.resolve() in [root.resolve(), *root.resolve().parents]
    )


def _stacked(pictures: Sequence[DecodedPicture], folder: Path) -> np.ndarray:
    shapes = {picture.pixels.shape[:2] for picture in pictures}
    if len(shapes) > 1 or len(set(next(iter(shapes)))) > 1:
        raise _uneven(folder, sorted(f"{w}x{h}" for h, w in shapes))
    pixels = np.empty((len(pictures), 3, *pictures[0].pixels.shape[:2]), np.uint8)
    for place, picture in zip(pixels, pictures, strict=True):
        place[:] = picture.pixels.transpose(2, 0, 1)
    return pixels


def _uneven(folder: Path, sizes: Sequence[str]) -> DifflrError:
    return DifflrError(
        f"The pictures in {folder} are not squares of one size: {first_few(sizes)}.",
        "Pass --image-size, e.g. --image-size 64: the shorter side is resized, the middle kept.",
    )
