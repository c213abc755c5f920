"""Widgets for notebooks: set each split's learning rate by hand and see at once what it does.

Only ipywidgets (7.7 or 8) and matplotlib; nothing is imported before it is used.
"""

from importlib import import_module
from typing import Any

_HOME = {
    "PlanEditor": "editor",
    "SplitExplorer": "explorer",
    "LiveView": "live",
    "RangePanel": "rangepanel",
    "Replay": "replay",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'difflr.widgets' has no attribute {name!r}")
    return getattr(import_module(f"difflr.widgets.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
