"""Pictures of the data in rows: clean and shifted, or one per class."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

__all__ = ["plot_pictures"]


def plot_pictures(rows: Mapping[str, NDArray[np.uint8]]) -> Figure:
    """Draw named rows of pictures, each an array (pictures, 3, H, W); columns show the same thing."""
    count = max(len(pictures) for pictures in rows.values())
    figure = Figure(figsize=(1 + count, 0.1 + len(rows)), dpi=100, layout="constrained")
    panels = figure.subplots(len(rows), count, squeeze=False)
    for line, (name, pictures) in zip(panels, rows.items(), strict=True):
        for axes, picture in zip(line, pictures, strict=True):
            axes.imshow(picture.transpose(1, 2, 0), interpolation="nearest")
            axes.set_xticks([])
            axes.set_yticks([])
        line[0].set_ylabel(name, size=12, rotation=0, ha="right", va="center")
    return figure
