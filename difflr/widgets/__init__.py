"""Widgets for notebooks: set each split's learning rate by hand and see at once what it does.

What ``__init__.pyi`` names is the whole surface. Only ipywidgets (7.7 or 8) and matplotlib are needed, and
nothing is imported before it is used.
"""

from importlib import import_module
from typing import Any

from difflr.extras import homes, require

require("difflr.widgets", "ipywidgets")

_HOME = homes(__name__)
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'difflr.widgets' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
