"""Differential learning rates for transfer learning with PyTorch Lightning.

model → splits → plan (phases) → parameter groups and one scheduler → Lightning module → runs.
Public names are loaded when first used, from where ``__init__.pyi`` says: ``import difflr`` stays light.
"""

from importlib import import_module
from typing import Any

from difflr.extras import MissingExtra, extra_of, homes

_HOME = homes(__name__)
__all__ = sorted(_HOME)
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'difflr' has no attribute {name!r}")
    try:
        value = getattr(import_module(_HOME[name]), name)
    except ImportError as error:
        if extra_of(error.name) is None:
            raise
        raise MissingExtra(f"difflr.{name}", str(error.name)) from None
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
