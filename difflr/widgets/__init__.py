"""Widgets for notebooks: set each split's learning rate by hand and see at once what it does.

What is named here is the whole surface. Only ipywidgets (7.7 or 8) and matplotlib are needed, and
nothing is imported before it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from difflr.extras import require

require("difflr.widgets", "ipywidgets")

if TYPE_CHECKING:
    from difflr.widgets._panel import Panel, button, message_html
    from difflr.widgets.editor import PlanEditor
    from difflr.widgets.explorer import SplitExplorer
    from difflr.widgets.live import LiveView
    from difflr.widgets.rangepanel import RangePanel
    from difflr.widgets.replay import Replay

__all__ = [
    "LiveView",
    "Panel",
    "PlanEditor",
    "RangePanel",
    "Replay",
    "SplitExplorer",
    "button",
    "message_html",
]

_HOME = {
    "PlanEditor": "editor",
    "SplitExplorer": "explorer",
    "LiveView": "live",
    "RangePanel": "rangepanel",
    "Replay": "replay",
    "Panel": "_panel",
    "button": "_panel",
    "message_html": "_panel",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'difflr.widgets' has no attribute {name!r}")
    return getattr(import_module(f"difflr.widgets.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
