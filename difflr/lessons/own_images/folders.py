"""Folders of pictures for lesson 8: one to begin with, and a sheet to look at any."""

import shutil
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from difflr.experiments.data import Data
from difflr.experiments.strokes import target_task

__all__ = ["contact_sheet", "without_copies", "write_example"]

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


def without_copies(folder: Path, to: Path) -> tuple[Path, list[str]]:
    """Return a folder none of whose training pictures are test pictures, and what was left out.

    Pictures are the same when their pixels are. Without such copies the folder itself is returned;
    with them a copy of it in ``to``. ``folder`` is never changed.
    """
    tested = {_pixels(file) for file in _files(folder / "test")}
    copies = [file for file in _files(folder / "train") if _pixels(file) in tested]
    if not copies:
        return folder, []

    def left_out(where: str, names: list[str]) -> list[str]:
        return [name for name in names if Path(where) / name in copies]

    shutil.copytree(folder, to, ignore=left_out, dirs_exist_ok=True)
    return to, [file.relative_to(folder).as_posix() for file in copies]


def _files(part: Path) -> list[Path]:
    known = Image.registered_extensions()
    return sorted(file for file in part.glob("*/*") if file.suffix.lower() in known)


def _pixels(file: Path) -> tuple[tuple[int, int], bytes]:
    with Image.open(file) as picture:
        return picture.size, picture.convert("RGB").tobytes()


def contact_sheet(data: Data, each: int = 8, most: int = 10) -> Figure:
    """Draw a row per class (``most`` at most): its first ``each`` training pictures."""
    shown = data.classes[:most]
    figure = Figure(figsize=(8, 0.2 + 1.15 * len(shown)), dpi=100, layout="constrained")
    grid = figure.subplots(len(shown), 1, squeeze=False)[:, 0]
    for label, (name, axes) in enumerate(zip(shown, grid, strict=True)):
        own = data.train.pixels[data.train.labels == label][:each].numpy()
        side = own.shape[-1]
        row = np.full((each, 3, side, side + 1), 255, dtype=np.uint8)  # a white line between two
        row[: len(own), :, :, :side] = own
        axes.imshow(row.transpose(2, 0, 3, 1).reshape(side, -1, 3), interpolation="nearest")
        axes.set_title(name, loc="left", size=11, pad=3)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    return figure
