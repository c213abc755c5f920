"""A small tree with copies, namesakes and look-alikes, and what is wrong with an answer on it."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from difflr.errors import short_repr
from difflr.lessons.checking import Wrong

__all__ = ["judge_leaks", "place", "write_trap"]


def write_trap(folder: Path) -> None:
    """Write the tree: three test pictures of it are in ``train/`` too."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (8, 8, 8, 3), dtype=np.uint8)
    pixels[0] = rng.integers(60, 190, (8, 8, 1))  # grey, for a look-alike in colour
    pixels[6] = np.where(rng.random((8, 8, 1)) < 0.5, 50, 200) + rng.integers(-9, 10, (8, 8, 1))
    shuffled = rng.permutation(pixels[0].reshape(-1, 3)).reshape(8, 8, 3)
    train = {"a/0.png": pixels[0], "a/1.png": pixels[1], "b/2.png": pixels[2], "a/3.png": pixels[3],
             "b/4.png": pixels[6]}  # fmt: skip
    test = {
        "a/0.png": pixels[4],
        "a/7.png": pixels[1],
        "b/9.bmp": pixels[2],
        "b/5.png": pixels[3],
        "b/3.png": shuffled,
        "b/6.png": _other_colours(pixels[0]),
        "b/7.png": _flatter(pixels[6]),
        "a/8.png": pixels[5],
        "a/6.png": pixels[5],
    }
    for part, files in (("train", train), ("test", test)):
        for name, picture in files.items():
            file = folder / part / name
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(file)


def _other_colours(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a coloured picture that PIL turns into just this grey one."""
    red, blue = np.meshgrid(np.arange(0, 256, 15), np.arange(0, 256, 15))
    colours = np.stack([red, np.zeros_like(red), blue], -1).reshape(-1, 3).repeat(256, 0)
    colours[:, 1] = np.tile(np.arange(256), len(colours) // 256)
    as_grey = (colours @ (19595, 38470, 7471) + 0x8000) >> 16
    picked = {value: colours[as_grey == value][0] for value in np.unique(grey)}
    return np.array([picked[value] for value in grey[..., 0].flat], np.uint8).reshape(grey.shape)


def _flatter(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the picture with half of its contrast: the same places are brighter than its mean."""
    mean = picture.mean()
    return np.round(mean + (picture - mean) / 2).astype(np.uint8)


def place(folder: Path, file: Any) -> str:
    """Return ``part/class/name`` of a path, however it was given."""
    if not isinstance(file, (str, Path)):
        raise Wrong(
            f"One of the answers is {short_repr(file)}, expected paths of test pictures.",
            "Return the files themselves, as `glob` gives them.",
        )
    path = Path(file)
    if len(path.parts) < 2:
        raise Wrong(
            f"`{path}` is a name, and files of this name may lie in several folders.",
            "Return the files themselves, as `glob` gives them.",
        )
    if path.is_absolute():
        return path.relative_to(folder).as_posix() if folder in path.parents else path.as_posix()
    return (
        path.as_posix() if path.parts[:1] in (("train",), ("test",)) else f"test/{path.as_posix()}"
    )


def judge_leaks(found: set[str]) -> None:
    """Raise ``Wrong`` for the first misconception that the files found show."""
    if any(place.startswith("train/") for place in found):
        raise Wrong(
            "Some of these files are in `train/`. Asked for are the test pictures.",
            'Go through `folder.glob("test/*/*")` and keep those whose picture is in `train/` too.',
        )
    if "test/a/0.png" in found and "test/a/8.png" in found:
        raise Wrong(
            "You find pictures that are not in `train/`, under any name.",
            "What a file is like (its size, its date, its format) says nothing about its picture. Open the "
            "files and compare what is in them.",
            "`Image.open(file)` reads one; `.tobytes()` makes its pixels comparable.",
        )
    if "test/a/0.png" in found:
        raise Wrong(
            "You take a name for a picture. Every camera has an `IMG_0001`; a copy has any name.",
            "Open the files and compare what is in them.",
            "`Image.open(file)` reads one; `.tobytes()` makes its pixels comparable.",
        )
    if "test/b/3.png" in found:
        raise Wrong(
            "Two pictures with the same colours in other places are not the same picture.",
            "Compare all pixels in their order, no sum and no mean of them.",
        )
    if "test/b/7.png" in found:
        raise Wrong(
            "Two pictures may have the same brighter and darker places and be as different as day and "
            "fog. You compare where a picture is brighter than its mean, not how bright it is.",
            "Compare the pixels themselves, or how far they are apart.",
        )
    if "test/b/6.png" in found:
        raise Wrong(
            "Two pictures in other colours are not the same picture, though they look alike in grey.",
            "Compare the pixels in colour: `picture.convert('RGB')`.",
        )
    if "test/a/8.png" in found:
        raise Wrong(
            "A picture that is in `test/` twice, but not in `train/`, is no leak.",
            "Collect the pictures of `train/` first, then ask for each test picture whether it is "
            "among them.",
        )
    if "test/a/7.png" not in found:
        raise Wrong(
            "An exact copy under another name is not found. A name says nothing of what is inside.",
            "Collect what the files in `train/` hold, not what they are called.",
        )
    if "test/b/5.png" not in found:
        raise Wrong(
            "A copy that lies in the folder of another class is not found. It is a leak, and a wrong "
            "label as well.",
            'Compare with all of `folder.glob("train/*/*")`, not with one class.',
        )
    if "test/b/9.bmp" not in found:
        raise Wrong(
            "A copy that was saved again in another format, here as BMP, is not found. It has another "
            "suffix and other bytes, and the same pixels.",
            "Look at files of every suffix, and read their pixels with PIL: `Image.open(file)`.",
            '`with Image.open(file) as picture: pixels = picture.convert("RGB").tobytes()`',
        )
