"""Folders of pictures for lesson 8: one to begin with, and a folder for what comes of any."""

import hashlib
import shutil
from contextlib import suppress
from pathlib import Path

from PIL import Image

from difflr.errors import DifflrError
from difflr.experiments.data import Data
from difflr.experiments.folder import is_plain, picture_files
from difflr.experiments.picturefile import Skipped, read_picture
from difflr.experiments.provenance import data_name, hash_pictures
from difflr.experiments.reading import Reading
from difflr.experiments.strokes import target_task

__all__ = ["results_folder", "without_copies", "write_example"]

_CLASSES = (0, 1, 5, 6)  # of the target task: two pairs that resemble each other
_COUNTS = {"train": (40, 40, 40, 20), "test": (60, 60, 60, 20)}
_COPIED = 6  # test pictures that are in train/ as well


def write_example(folder: Path) -> Path:
    """Write a small tree of PNG files into ``folder``, with two faults that real folders have.

    One class has fewer pictures than the others, and six test pictures lie in ``train/`` too, under
    another name. Returns ``folder``, made where it is missing.
    """
    for part, counts in _COUNTS.items():
        for label, pictures in zip(_CLASSES, _drawn(part), strict=True):
            home = folder / part / f"drawing-{label}"
            home.mkdir(parents=True, exist_ok=True)
            for number, picture in enumerate(pictures[: counts[_CLASSES.index(label)]]):
                picture.save(home / f"{number:03d}.png")
    for number in range(_COPIED):
        name = f"drawing-{_CLASSES[number % 3]}"
        with Image.open(folder / "test" / name / f"{10 + number:03d}.png") as picture:
            picture.save(folder / "train" / name / f"from-anna-{number}.png")
    return folder


def _drawn(part: str) -> list[list[Image.Image]]:
    """Return for each class more pictures than are needed."""
    pixels, labels = target_task(part, 10 * max(_COUNTS[part]))
    return [
        [Image.fromarray(picture.transpose(1, 2, 0)) for picture in pixels[labels == label]]
        for label in _CLASSES
    ]


def results_folder(home: Path, data: Data) -> Path:
    """Return the folder below ``home`` for what comes of these pictures, and of no others.

    It is named after the source and its pixels: another folder, or the same one after a picture was
    deleted, has another place.
    """
    return home / f"{data_name(data.name)}-{hash_pictures(data.train, data.test)[:8]}"


def without_copies(folder: Path, to: Path) -> tuple[Path, list[str]]:
    """Return a folder none of whose training pictures are test pictures, and what was left out.

    Pictures are the same when their pixels are. Without such copies, or without ``train`` and ``test``,
    the folder itself is returned; otherwise a copy of its other pictures in ``to``, which is made anew.
    ``folder`` is never changed.

    Raises:
        DifflrError: when ``to`` is there and was not made by this function.
    """
    if is_plain(folder):
        return folder, []
    files = {part: _pixels(folder, part) for part in ("train", "test")}
    tested = set(files["test"].values())
    copies = [file for file, pixels in files["train"].items() if pixels in tested]
    if not copies:
        return folder, []
    mark = to.with_name(f"{to.name}.copied")
    if to.exists():
        if not mark.exists():
            raise DifflrError(f"{to} is there already.", "Pass a folder that is not there yet.")
        shutil.rmtree(to)
    for file in {**files["train"], **files["test"]}.keys() - {*copies}:
        place = to / file.relative_to(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)
    mark.touch()
    return to, [file.relative_to(folder).as_posix() for file in copies]


def _pixels(folder: Path, part: str) -> dict[Path, tuple[tuple[int, ...], bytes]]:
    """Return size and a hash of the pixels of each picture that can be read, in the order of names."""
    reading, found = Reading(folder), {}
    for home in sorted(path for path in (folder / part).iterdir() if path.is_dir()):
        for file in sorted(picture_files(home, reading)):
            with suppress(Skipped):
                pixels = read_picture(file, None).pixels
                found[file] = (pixels.shape, hashlib.sha256(pixels.tobytes()).digest())
    return found
