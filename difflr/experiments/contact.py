"""A contact sheet: what the network sees of each class, as it is read and as it is trained on."""

import numpy as np
import torch
from matplotlib.figure import Figure

from difflr.experiments.augmentation import augment, random_resized_crop
from difflr.experiments.data import Data

__all__ = ["contact_sheet"]

_EACH = 8  # pictures of a class


def contact_sheet(data: Data, most: int = 10, *, augmented: bool = False) -> Figure:
    """Draw a row per class (``most`` at most): its first eight training pictures.

    With ``augmented`` they are shown as one step of training sees them.
    """
    shown = data.classes[:most]
    figure = Figure(figsize=(8, 0.2 + 1.15 * len(shown)), dpi=100, layout="constrained")
    grid = figure.subplots(len(shown), 1, squeeze=False)[:, 0]
    numbers = torch.Generator().manual_seed(0)
    for label, (name, axes) in enumerate(zip(shown, grid, strict=True)):
        pixels = data.train.pixels[data.train.labels == label][:_EACH]
        if augmented:
            change = random_resized_crop if data.crop else augment
            pixels = change(pixels, numbers, flip=data.flip)
        own = pixels.numpy()
        side = own.shape[-1]
        row = np.full((_EACH, 3, side, side + 1), 255, dtype=np.uint8)  # a white line between two
        row[: len(own), :, :, :side] = own
        axes.imshow(row.transpose(2, 0, 3, 1).reshape(side, -1, 3), interpolation="nearest")
        axes.set_title(name, loc="left", size=11, pad=3)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    return figure
