"""A figure as a notebook shows it: PNG bytes, with a text for those who do not see them."""

import base64
import io
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

__all__ = ["Picture", "canvas_png", "figure_png", "figure_size", "picture_bundle"]


class Picture:
    """A picture that a notebook shows with a text for those who do not see it.

    Args:
        figure: a matplotlib figure, or a picture as PNG.
        alt: what it shows, in words.
    """

    def __init__(self, figure: Figure | bytes, alt: str) -> None:
        if isinstance(figure, Figure):
            FigureCanvasAgg(figure)  # a figure made without pyplot has no canvas to draw on
            figure = figure_png(figure)
        self.png, self.alt = figure, alt

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return picture_bundle(self.png, self.alt)


def figure_size(figure: Figure) -> tuple[int, int]:
    """Return width and height in pixels of a figure that has an Agg canvas."""
    canvas: Any = figure.canvas
    return canvas.get_width_height()


def canvas_png(figure: Figure) -> bytes:
    """Return what is on the figure's canvas as PNG, without drawing it once more."""
    canvas: Any = figure.canvas
    buffer = io.BytesIO()
    # The default compression level, 6, takes twice as long.
    Image.fromarray(np.asarray(canvas.buffer_rgba())[:, :, :3]).save(
        buffer, "png", compress_level=1
    )
    return buffer.getvalue()


def figure_png(figure: Figure) -> bytes:
    """Draw a figure that has an Agg canvas, once, and return it as PNG."""
    canvas: Any = figure.canvas
    canvas.draw()
    return canvas_png(figure)


def picture_bundle(png: bytes, alt: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a notebook displays for a picture with a text for those who do not see it."""
    data = {"image/png": base64.b64encode(png).decode(), "text/plain": alt}
    return data, {"image/png": {"alt": alt}}
