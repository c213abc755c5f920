"""What the pictures of difflr share: colours that everybody can tell apart, numbers, PNG bytes."""

import base64
import io
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

__all__ = [
    "GREY",
    "MARKERS",
    "RED",
    "Colour",
    "canvas_png",
    "figure_png",
    "ink_on",
    "picture_bundle",
    "short",
    "split_colours",
    "stacked",
]

Colour = tuple[float, float, float, float]

GREY = "#5f5f5f"
RED = "#c1121f"  # the marker of "now"; nothing else is red
MARKERS = "osD^vP*Xh<>p"  # a second cue beside the colour


def split_colours(n: int) -> list[Colour]:
    """Return one colour per split, dark for shallow; printed in grey they still differ."""
    # The yellow end of viridis cannot be read on white.
    return [matplotlib.colormaps["viridis"](x) for x in np.linspace(0.0, 0.75, n)]


def ink_on(colour: Colour) -> str:
    """Return black or white, whichever reads better on ``colour``."""
    red, green, blue, _ = colour
    return "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.5 else "black"


def short(lr: float) -> str:
    """Write a learning rate with two digits and no zeros to count.

    >>> short(0.001), short(0.00025)
    ('1e-3', '2.5e-4')
    """
    mantissa, exponent = f"{lr:.1e}".split("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"


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


def stacked(pngs: Sequence[bytes]) -> bytes:
    """Put pictures below one another."""
    images = [Image.open(io.BytesIO(png)) for png in pngs]
    size = max(image.width for image in images), sum(image.height for image in images)
    whole = Image.new("RGB", size, "white")
    top = 0
    for image in images:
        whole.paste(image, (0, top))
        top += image.height
    buffer = io.BytesIO()
    whole.save(buffer, "png")
    return buffer.getvalue()


def picture_bundle(png: bytes, alt: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a notebook displays for a picture with a text for those who do not see it."""
    data = {"image/png": base64.b64encode(png).decode(), "text/plain": alt}
    return data, {"image/png": {"alt": alt}}
