"""Pictures from a folder: ``train/<class>/*.jpg`` and ``test/<class>/*.jpg``, read with every check."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from difflr.errors import DifflrError, first_few

__all__ = ["read_folder", "read_tree"]


def read_folder(
    root: Path, size: int | None
) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], tuple[str, ...]]:
    """Return pictures and labels of ``train`` and ``test``, and the names of the classes.

    Pictures are uint8 (N, 3, H, W), resized to ``size`` pixels a side; labels int64 (N,).

    Raises:
        DifflrError: for a folder without the tree it should have, or a picture that cannot be read.
    """
    if not root.is_dir():
        raise DifflrError(
            f"Received data {str(root)!r}, which is no data set of difflr and no folder.",
            "Use strokes, cifar10, or the path of a folder with train/ and test/ in it.",
        )
    parts, classes = {}, {}
    for part in ("train", "test"):
        parts[part], classes[part] = _list_pictures(root / part)
    if unknown := [name for name in classes["test"] if name not in classes["train"]]:
        raise DifflrError(
            f"{root / 'test'} has classes that train/ does not have: {first_few(unknown)}.",
            "Give both folders the same class folders.",
        )
    label = {name: i for i, name in enumerate(classes["train"])}
    images = {
        part: (
            _read([file for file, _ in files], size),
            np.array([label[name] for _, name in files], dtype=np.int64),
        )
        for part, files in parts.items()
    }
    sides = {f"{pixels.shape[-1]}x{pixels.shape[-2]}" for pixels, _ in images.values()}
    if len(sides) > 1:
        raise _uneven(root, sorted(sides))
    return images, tuple(classes["train"])


def read_tree(folder: Path, size: int | None) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Return pictures, labels and sorted classes of one class-per-folder tree (no train/, test/).

    Raises:
        DifflrError: for a folder without class folders, or a picture that cannot be read.
    """
    files, classes = _list_pictures(folder)
    label = {name: i for i, name in enumerate(classes)}
    labels = np.array([label[name] for _, name in files], dtype=np.int64)
    return _read([file for file, _ in files], size), labels, tuple(classes)


def _list_pictures(folder: Path) -> tuple[list[tuple[Path, str]], list[str]]:
    """Return (file, class) pairs and the sorted classes of a class-per-folder tree."""
    from torchvision.datasets.folder import IMG_EXTENSIONS

    names = sorted(p.name for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []
    if len(names) < 2:
        raise DifflrError(
            f"{folder} has {len(names)} class folders, expected at least two.",
            "Put the pictures of each class into a folder of its own: train/cat/…, train/dog/….",
        )
    files = []
    for name in names:
        own = sorted(p for p in (folder / name).iterdir() if p.suffix.lower() in IMG_EXTENSIONS)
        if not own:
            raise DifflrError(
                f"{folder / name} holds no picture.",
                f"Add pictures ({', '.join(IMG_EXTENSIONS)}) or delete the folder.",
            )
        files += [(file, name) for file in own]
    return files, names


def _read(files: Sequence[Path], size: int | None) -> np.ndarray:
    from PIL import Image

    pictures = []
    for file in files:
        try:
            with Image.open(file) as opened:
                picture = opened.convert("RGB")
                if size is not None and picture.size != (size, size):
                    picture = picture.resize((size, size), Image.Resampling.BILINEAR)
                pictures.append(np.asarray(picture))
        except Exception as error:
            raise DifflrError(
                f"{file} cannot be read as a picture: {error}.", "Replace or delete it."
            ) from error
    shapes = {picture.shape[:2] for picture in pictures}
    if len(shapes) > 1 or len(set(next(iter(shapes)))) > 1:
        raise _uneven(files[0].parents[1], sorted(f"{w}x{h}" for h, w in shapes))
    return np.stack(pictures).transpose(0, 3, 1, 2).copy()


def _uneven(folder: Path, sizes: Sequence[str]) -> DifflrError:
    return DifflrError(
        f"The pictures in {folder} are not squares of one size: {first_few(sizes)}.",
        "Pass --image-size, e.g. --image-size 64, to resize them.",
    )
