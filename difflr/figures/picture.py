"""A figure as a notebook shows it: PNG bytes, with a text for those who do not see them."""

import base64
import io
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

__all__ = ["Drawing", "Picture", "canvas_png", "figure_png", "picture_bundle"]


class Picture:
    """A picture that a notebook shows with a text for those who do not see it.

    Args:
        figure: a matplotlib figure, or a picture as PNG.
        alt: what it shows, in words.
    """

    def __init__(self, figure: Figure | bytes, alt: str) -> None:
        self.png = figure_png(figure) if isinstance(figure, Figure) else figure
        self.alt = alt

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return picture_bundle(self.png, self.alt)


class Drawing:
    """A picture of a fixed size that is drawn again and again; ``figure`` is its matplotlib figure."""

    figure: Figure

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture in pixels."""
        return self.figure.canvas.get_width_height()

    def png(self) -> bytes:
        """Draw the picture and return it as PNG."""
        return figure_png(self.figure)


def canvas_png(canvas: FigureCanvasAgg) -> bytes:
    """Return what is on a canvas as PNG, without drawing it once more."""
    buffer = io.BytesIO()
    # The default compression level, 6, takes twice as long.
    Image.fromarray(np.asarray(canvas.buffer_rgba())[:, :, :3]).save(
        buffer, "png", compress_level=1
    )
    return buffer.getvalue()


def figure_png(figure: Figure) -> bytes:
    """Draw a figure, once, and return it as PNG."""
    canvas = figure.canvas
    if not isinstance(canvas, FigureCanvasAgg):  # as of one that was made without pyplot
        canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas_png(canvas)


def picture_bundle(png: bytes, alt: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a notebook displays for a picture with a text for those who do not see it."""
    data = {"image/png": base64.b64encode(png).decode(), "text/plain": alt}
    return data, {"image/png": {"alt": alt}}
