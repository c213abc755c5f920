"""Which Lightning: ``pytorch_lightning`` and ``lightning.pytorch`` hold the same classes twice.

A Trainer takes modules of its own package alone. difflr's classes belong to the one already imported; where
that is neither or both, to ``pytorch_lightning`` if installed. The rest of difflr takes ``pl`` from here.
"""

import sys
from importlib import import_module
from importlib.util import find_spec
from operator import attrgetter
from typing import TYPE_CHECKING, Any

__all__ = ["PACKAGES", "either", "package_of", "pl"]

PACKAGES = ("pytorch_lightning", "lightning.pytorch")


def _imported() -> list[str]:
    return [name for name in PACKAGES if sys.modules.get(name)]


def _chosen() -> Any:
    imported = _imported()
    names = imported if len(imported) == 1 else PACKAGES
    return import_module(next(name for name in names if find_spec(name)))


def either(path: str) -> tuple[type, ...]:
    """Return the class ``path`` of each Lightning that is imported, for ``isinstance``.

    >>> [found.__name__ for found in either("callbacks.ModelCheckpoint")][0]
    'ModelCheckpoint'
    """
    return tuple(attrgetter(path)(sys.modules[name]) for name in _imported())


def package_of(thing: object) -> str | None:
    """Return the Lightning package that the class of ``thing`` derives from."""
    for base in type(thing).__mro__:
        for name in PACKAGES:
            if base.__module__.startswith(f"{name}."):
                return name
    return None


if TYPE_CHECKING:
    import pytorch_lightning as pl
else:
    pl = _chosen()
