"""What all widgets share: a picture that keeps its height, a text for it, and a static copy."""

import html
import threading
from typing import Any

import ipywidgets as w

from difflr.figures.picture import Picture, picture_bundle

__all__ = ["Panel", "button", "message_html", "picture_box", "table_html"]


class Panel:
    """A widget with one picture: shown live in a notebook, and as picture and text elsewhere.

    ``widget`` is the ipywidgets box, ``picture`` the Image in it and ``alt`` what it shows in words.
    """

    widget: w.Box
    picture: w.Image
    alt: str
    _shown: Any = None

    def __init__(self) -> None:
        # Jupyter may answer widgets in a thread of their own while a cell runs in another.
        self._lock = threading.RLock()

    @property
    def png(self) -> bytes:
        """The picture as it is now."""
        return bytes(self.picture.value)

    def static(self) -> Picture:
        """Return the picture as it is now, with its text, to be displayed or kept without widgets."""
        return Picture(self.png, self.alt)

    def _ipython_display_(self, **_: Any) -> None:
        from IPython.display import display

        data, metadata = self._bundle()
        self._shown = display(data, metadata=metadata, raw=True, display_id=True)

    def _refresh_static(self) -> None:
        """Renew the picture that is kept in the notebook under the widget."""
        if self._shown is not None:
            data, metadata = self._bundle()
            self._shown.update(data, metadata=metadata, raw=True)

    def _bundle(self) -> tuple[dict[str, Any], dict[str, Any]]:
        # Both in one output: a viewer without widgets (GitHub, print) shows the picture instead.
        data, metadata = picture_bundle(self.png, self.alt)
        data["application/vnd.jupyter.widget-view+json"] = {
            "version_major": 2,
            "version_minor": 0,
            "model_id": self.widget.model_id,
        }
        return data, metadata


def picture_box(width: float, height: float) -> w.Image:
    """Return an image widget of a fixed size in pixels, so that nothing below it jumps."""
    layout = w.Layout(
        width=f"{width:.0f}px",
        height=f"{height:.0f}px",
        flex="0 0 auto",
        object_fit="contain",  # a narrow window makes it smaller, and not thinner
        object_position="left top",
    )
    return w.Image(format="png", layout=layout)


def button(text: str, tip: str, width: str = "auto", **options: Any) -> w.Button:
    """Return a button that says in words what it does."""
    result = w.Button(description=text, layout=w.Layout(width=width), **options)
    result.tooltip = tip
    return result


def message_html(text: str, *, bad: bool) -> str:
    """Return a message for an HTML widget; a bad one is marked by more than its colour."""
    sign, ink, paper = ("✗ ", "#9b0000", "#fdf0ef") if bad else ("✓ ", "#1b5e20", "#eef7ee")
    # Its own paper under its own ink, so that it can be read in a dark theme, too.
    return (
        f'<div role="status" aria-live="polite" style="color:{ink};background:{paper};'
        f"border-left:4px solid {ink};padding:0 8px;font-size:15px;"
        f'line-height:1.3">{sign}{html.escape(text)}</div>'
    )


def table_html(head: list[str], rows: list[list[str]], marked: int | None = None) -> str:
    """Return a table for an HTML widget, numbers to the right, one row marked."""

    def cells(kind: str, row: list[str]) -> str:
        sides = ["left" if i == 0 else "right" for i in range(len(row))]
        return "".join(
            f'<{kind} style="text-align:{side};padding:1px 10px">{html.escape(cell)}</{kind}>'
            for cell, side in zip(row, sides, strict=True)
        )

    lines = [f"<tr>{cells('th', head)}</tr>"]
    for i, row in enumerate(rows):
        style = ' style="background:#ffe9a8;color:black;font-weight:bold"' if i == marked else ""
        lines.append(f"<tr{style}>{cells('td', row)}</tr>")
    return (
        '<table style="font-size:14px;line-height:1.35;border-collapse:collapse">'
        f"{''.join(lines)}</table>"
    )
