"""A slider and a picture of the browser's own kind, which screen readers can read.

ipywidgets gives its sliders no name and speaks the number of a notch, and its pictures have no text.
Where anywidget is installed, both are drawn here as the browser's own ``<input type="range">`` and
``<img alt="…">``; else they are those of ipywidgets, used in the same way.
"""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import ipywidgets as w
from traitlets import Dict, Unicode

__all__ = ["NATIVE", "PictureWidget", "Slider"]

_HERE = Path(__file__).parent


#: Whether they are the browser's own.
NATIVE = find_spec("anywidget") is not None


class _Nothing:
    """What ipywidgets' own get where there is no anywidget."""


_Drawn: Any = import_module("anywidget").AnyWidget if NATIVE else _Nothing


class Slider(_Drawn, w.SelectionSlider):
    """A slider over ``options``; what is spoken is the option's label.

    ``name`` is spoken where no ``description`` is seen; ``colour`` fills it up to its value.
    """

    _esm = _HERE / "slider.js"
    _css = _HERE / "slider.css"
    name = Unicode().tag(sync=True)
    colour = Unicode().tag(sync=True)


class PictureWidget(_Drawn, w.Image):
    """A PNG with its text ``alt``, which may be dragged on.

    ``grip`` says what a drag does; empty, there is none. ``pointed`` is where somebody drags: ``x`` and
    ``y``, and ``x0`` and ``y0`` where the drag began, as shares of width and height from the upper left
    corner, with the drag's number ``drag``.
    """

    _esm = _HERE / "picture.js"
    alt = Unicode().tag(sync=True)
    grip = Unicode().tag(sync=True)
    pointed: Any = Dict().tag(sync=True)

    def show(self, png: bytes, alt: str) -> None:
        """Show another picture, with its text, in one message to the browser."""
        with self.hold_sync():
            self.alt, self.value = alt, png
