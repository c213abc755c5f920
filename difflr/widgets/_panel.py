"""What all widgets share: a picture that keeps its shape, a text for it, and a static copy."""

import html
import textwrap
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ipywidgets as w

from difflr.figures.picture import Picture, picture_bundle
from difflr.widgets import _native

__all__ = [
    "Panel",
    "beside",
    "button",
    "fold",
    "framed",
    "inked",
    "message_html",
    "picture_box",
    "table_html",
]


class Panel:
    """A widget with one picture: shown live in a notebook, and as picture and text elsewhere.

    ``widget`` is the ipywidgets box, ``picture`` the Image in it and ``alt`` what it shows in words.
    """

    widget: w.Box
    picture: _native.PictureWidget
    _shown: Sequence[Any] = ()

    def __init__(self) -> None:
        # Jupyter may answer widgets in a thread of their own while a cell runs in another.
        self._lock = threading.RLock()

    @property
    def alt(self) -> str:
        """What the picture shows, in words."""
        return self.picture.alt

    @property
    def png(self) -> bytes:
        """The picture as it is now."""
        return bytes(self.picture.value)

    def static(self) -> Picture:
        """Return the picture as it is now, with its text, to be displayed or kept without widgets."""
        return Picture(self.png, self.alt)

    def _ipython_display_(self, **_: Any) -> None:
        from IPython.display import display

        self._hide_the_copy()
        view, *copy = self._outputs()
        display(view[0], raw=True)
        handles = [  # the same names at every display: all copies are renewed together
            display(data, metadata=meta, raw=True, display_id=f"{self.widget.model_id}-{i}")
            for i, (data, meta) in enumerate(copy)
        ]
        self._shown = [handle for handle in handles if handle is not None]  # None outside IPython

    def _refresh_static(self) -> None:
        """Renew the picture and the words that are kept in the notebook after the widget."""
        for shown, (data, metadata) in zip(self._shown, self._outputs()[1:], strict=False):
            shown.update(data, metadata=metadata, raw=True)

    def _outputs(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Return what a cell holds: the live view, then its picture and its words.

        As outputs of their own: a front end that finds a live view in an output shows nothing else
        of that output, not even where the view has lost its kernel.
        """
        view = {"version_major": 2, "version_minor": 0, "model_id": self.widget.model_id}
        live = {"text/plain": "Run this cell to use the widget.", _VIEW: view}
        words = {"text/plain": textwrap.fill(self.alt, 100)}
        return [(live, {}), picture_bundle(self.png, self.alt), (words, {})]

    def _hide_the_copy(self) -> None:
        """Let the live view hide the two outputs after it, as long as it is there."""
        name = f"difflr-live-{self.widget.model_id}"
        if name not in self.widget._dom_classes:
            self.widget.add_class(name)
            hidden = ", ".join(
                f"{output}:has(.{name}) {following}" for output, following in _OUTPUTS
            )
            style = f"<style>{hidden} {{display: none !important}}{_STYLE}</style>"
            self.widget.children += (w.HTML(style, layout=w.Layout(display="none")),)


_VIEW = "application/vnd.jupyter.widget-view+json"

#: An output and the two after it: in JupyterLab and Notebook 7, Notebook 6, VS Code and Colab.
_OUTPUTS = [
    (output, after)
    for output in (".jp-OutputArea-child", ".output_area", ".output_container", "#output-body > *")
    for after in (f"+ {output.split()[-1]}", f"+ * + {output.split()[-1]}")
]

_STYLE = Path(__file__).with_name("panel.css").read_text("utf-8")


def picture_box(width: float, height: float, shown: float = 1.0) -> _native.PictureWidget:
    """Return an image widget for pictures of this size in pixels.

    It keeps their shape, so that nothing below it jumps, and shrinks where there is no room.

    Args:
        width, height: of the pictures.
        shown: width on the screen as a share of ``width``; below 1 for high resolutions.
    """
    layout = w.Layout(width="100%", max_width=f"{shown * width:.0f}px", height="auto")
    size = {"width": f"{width:.0f}", "height": f"{height:.0f}"}
    return inked(_native.PictureWidget(format="png", **size, layout=layout))


def inked(widget: Any) -> Any:
    """Let a dark theme turn a widget's colours to its own paper, as it does with pictures."""
    widget.add_class("difflr-inked")
    return widget


def framed(picture: w.Widget) -> w.Box:
    """Put a picture into a block: in a flexible box it loses its shape."""
    # Where something may scroll, it would have to be reached by keyboard.
    return w.Box([picture], layout=w.Layout(display="block", width="100%", overflow="hidden"))


def beside(picture: Sequence[w.Widget], controls: Sequence[w.Widget], width: str) -> w.HBox:
    """Put pictures and controls side by side where there is room, else below one another.

    Args:
        picture, controls: from top to bottom.
        width: that the picture has at most.
    """
    left = w.VBox(
        [framed(each) for each in picture],
        layout=w.Layout(flex="2 1 420px", max_width=width, min_width="0"),
    )
    right = w.VBox(controls, layout=w.Layout(flex="1 1 290px", max_width="38em", min_width="0"))
    return w.HBox([left, right], layout=w.Layout(flex_flow="row wrap", align_items="flex-start"))


def button(text: str, tip: str, width: str = "auto", **options: Any) -> w.Button:
    """Return a button that says in words what it does."""
    return w.Button(description=text, tooltip=tip, layout=w.Layout(width=width), **options)


def fold(title: str, content: Sequence[w.Widget]) -> w.VBox:
    """Put widgets behind a button that shows and hides them.

    The header of ipywidgets' ``Accordion`` cannot be reached by keyboard.
    """
    press = w.ToggleButton(layout=w.Layout(width="auto", align_self="flex-start"))
    inside = w.VBox()

    def turn(_: Any = None) -> None:
        press.description = f"{'▾' if press.value else '▸'} {title}"
        inside.children = content if press.value else ()  # what nobody sees, no browser draws

    press.observe(turn, "value")
    turn()
    return w.VBox([press, inside])


def message_html(text: str, *, good: bool | None = None) -> str:
    """Return a message for an HTML widget: good, bad, or (None) neither.

    Good and bad are told apart by more than their colour.
    """
    # In the ink of the theme, whichever it is; a tint that lets the paper through.
    sign, colour = {
        True: ("✓ ", "46, 139, 60"),
        False: ("✗ ", "211, 47, 47"),
        None: ("", "128, 128, 128"),
    }[good]
    return (
        f'<div role="status" aria-live="polite" style="background:rgba({colour}, 0.12);'
        f"border-left:4px solid rgb({colour});padding:0 8px;font-size:14px;"
        f'line-height:1.3">{sign}{html.escape(text)}</div>'
    )


def table_html(head: list[str], rows: list[list[str]], marked: int | None = None) -> str:
    """Return a table for an HTML widget, numbers to the right and each in one line, one row marked."""
    room = 10 if len(head) <= 12 else 4  # pixels: many columns are seen without scrolling

    def cells(kind: str, row: list[str]) -> str:
        written = []
        for i, cell in enumerate(row):
            style = f"text-align:{'right' if i else 'left'};padding:1px {room}px"
            if cell[:1].isdigit():  # else 5.6e-3 may be broken at its minus
                style += ";white-space:nowrap"
            written.append(f'<{kind} style="{style}">{html.escape(cell)}</{kind}>')
        return "".join(written)

    lines = [f"<tr>{cells('th', head)}</tr>"]
    for i, row in enumerate(rows):
        tint = "background:rgba(255, 190, 0, 0.25);font-weight:bold"
        style = f' style="{tint}"' if i == marked else ""
        lines.append(f"<tr{style}>{cells('td', row)}</tr>")
    return (
        '<table style="font-size:13px;line-height:1.35;border-collapse:collapse">'
        f"{''.join(lines)}</table>"
    )
