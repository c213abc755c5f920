"""Pictures: three sources behind one interface, kept as uint8 tensors in memory.

``strokes`` is made by difflr itself, ``cifar10`` is downloaded with its checksum, anything else is a
folder with ``train/<class>/`` and ``test/<class>/``, or with one folder per class.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from difflr.errors import DifflrError, as_int
from difflr.experiments.division import Division, divide_tree
from difflr.experiments.folder import is_plain, read_folder, read_tree
from difflr.experiments.needs import MAX_IMAGE_SIZE
from difflr.experiments.reading import Reading
from difflr.written.files import user_path

__all__ = ["Data", "Images", "load_data"]

_CROPPED = 96  # pixels a side: a part of a smaller picture of a folder would show too little


@dataclass(frozen=True)
class Images(Dataset[Any]):
    """Pictures with labels: ``pixels`` uint8 (N, 3, H, W), ``labels`` int64 (N,)."""

    pixels: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, indices: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return a whole batch at once: what makes torch's DataLoader as fast as plain indexing."""
        index = torch.as_tensor(indices)
        return self.pixels[index], self.labels[index]

    def subset(self, size: int, seed: int) -> "Images":
        """Return ``size`` pictures drawn by ``seed``, as many of each class as possible."""
        return self.divide(size, seed)[0]

    def divide(self, size: int, seed: int) -> tuple["Images", "Images"]:
        """Return ``size`` pictures drawn by ``seed`` as ``subset`` does, and all the others."""
        classes = len(torch.unique(self.labels))
        if not classes <= size <= len(self):
            raise DifflrError(
                f"Received a training size of {size}, expected one from {classes} (one per class) to "
                f"{len(self)} (all there are).",
                "Change --train-size.",
            )
        dealt, _ = self._dealt(seed)
        return self._at(dealt[:size]), self._at(dealt[size:])

    def hold_out(self, share: float, seed: int) -> tuple["Images", "Images"]:
        """Return a share of each class, drawn by ``seed``, and all the others.

        At least one picture of each class is on either side; that needs two.
        """
        labels, counts = torch.unique(self.labels, return_counts=True)
        if int(counts.min()) < 2:
            raise DifflrError(
                f"Class {int(labels[counts.argmin()])} has a single training picture, which cannot be both "
                "held out and trained on.",
                "Add pictures of it, or leave it out.",
            )
        quota = torch.zeros(int(labels.max()) + 1, dtype=torch.long)
        quota[labels] = (share * counts.double() + 1e-9).long().clamp(min=1)
        dealt, rank = self._dealt(seed)
        held = rank[dealt] < quota[self.labels[dealt]]
        return self._at(dealt[held]), self._at(dealt[~held])

    def _dealt(self, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return an order that deals the classes out in turn, and each picture's place in its class."""
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))
        rank = torch.zeros(len(self), dtype=torch.long)
        for label in torch.unique(self.labels):
            own = order[self.labels[order] == label]
            rank[own] = torch.arange(len(own))
        # Every prefix is as balanced as it can be.
        return order[torch.argsort(rank[order], stable=True)], rank

    def _at(self, indices: torch.Tensor) -> "Images":
        return Images(self.pixels[indices], self.labels[indices])

    def resized(self, size: int | None) -> "Images":
        """Return the pictures at ``size`` × ``size`` pixels (unchanged for None or their own size)."""
        if size is None or self.pixels.shape[-2:] == (size, size):
            return self
        parts = [
            torch.nn.functional.interpolate(
                part.float(), (size, size), mode="bilinear", antialias=True, align_corners=False
            )
            .round_()
            .clamp_(0, 255)
            .to(torch.uint8)
            for part in self.pixels.split(500)  # in parts: floats take four times the room
        ]
        return Images(torch.cat(parts), self.labels)

    def batches(self, batch_size: int, *, seed: int | None = None) -> DataLoader[Any]:
        """Return a loader of whole batches, shuffled by ``seed`` or in order for None."""
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        return DataLoader(
            self,
            batch_size=batch_size,
            shuffle=seed is not None,
            generator=generator,
            collate_fn=_as_is,
        )


def _as_is(batch: Any) -> Any:  # a lambda would not reach another process
    return batch


@dataclass(frozen=True)
class Data:
    """A data set: ``flip`` says whether a mirrored picture keeps its label.

    ``crop`` says whether pictures are large enough to train on random crops of them, ``division`` which
    pictures of a plain tree went where, ``reading`` what became of the files of a folder.
    """

    name: str
    train: Images
    test: Images
    classes: tuple[str, ...]
    flip: bool
    crop: bool = False
    division: Division | None = None
    reading: Reading | None = None


def load_data(
    source: str,
    *,
    image_size: int | None = None,
    data_dir: str | None = None,
    division_seed: int = 0,
) -> Data:
    """Return the pictures of ``source``.

    Args:
        source: ``"strokes"`` (with dials of ``strokes.target_task`` after colons, such as
            ``"strokes:input_shift=0.8:shift_kind=noise"``), ``"cifar10"`` or the path of a folder
            with ``train/`` and ``test/``, each with one folder per class, or of a folder with one
            folder per class, of which a fifth is put aside to test on (see ``division``), or what
            ``parts.csv`` in that folder says.
        image_size: side in pixels that a folder's pictures are fitted into: the shorter side is
            resized and the middle kept. None takes them as they are, which needs all of them to be
            squares of one size. For CIFAR10 use
            ``Images.resized`` on the subset that you train on: all of it would not fit in memory.
        data_dir: where CIFAR10 is kept (default: ``$DIFFLR_DATA`` or ``~/.cache/difflr``).
        division_seed: draws the test pictures of a folder without ``train/`` and ``test/``, and
            without ``parts.csv``.

    Raises:
        DifflrError: when the source is unknown, empty, unreadable or cannot be downloaded.
    """
    size = None if image_size is None else as_int("image_size", image_size, 8, MAX_IMAGE_SIZE)
    if source.partition(":")[0] == "strokes":
        return _strokes(source)
    if source == "cifar10":
        return _cifar10(data_dir)
    root = user_path(source)
    division = None
    if is_plain(root):
        seed = as_int("division_seed", division_seed, 0)
        reading = Reading(root)
        tree = read_tree(root, size, reading)
        division = divide_tree(tree, reading, seed)
        sides = (~division.is_test, division.is_test)
        train, test = (_images(tree.pixels[own], tree.labels[own]) for own in sides)
    else:
        trees, reading = read_folder(root, size)
        tree = trees["train"]
        train, test = (
            _images(trees[part].pixels, trees[part].labels) for part in ("train", "test")
        )
    crop = train.pixels.shape[-1] >= _CROPPED
    return Data(source, train, test, tree.classes, True, crop, division, reading)


def _images(pixels: np.ndarray, labels: np.ndarray) -> Images:
    return Images(torch.from_numpy(pixels), torch.from_numpy(labels))


def _strokes(source: str) -> Data:
    from difflr.experiments.strokes import PICTURES, TARGET_CLASSES, read_dials, target_task

    dials = read_dials(source)
    train, test = (_images(*target_task(part, PICTURES, **dials)) for part in ("train", "test"))
    names = tuple(f"drawing {i}" for i in range(TARGET_CLASSES))
    return Data(source, train, test, names, flip=False)


def _cifar10(data_dir: str | None) -> Data:
    from difflr.experiments.cifar import CLASSES, read_cifar10

    root = user_path(data_dir or os.environ.get("DIFFLR_DATA", "~/.cache/difflr"))
    parts = read_cifar10(root)
    train, test = (_images(*parts[part]) for part in ("train", "test"))
    return Data("cifar10", train, test, CLASSES, flip=True)
