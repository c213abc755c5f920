"""Which Lightning: ``pytorch_lightning`` and ``lightning.pytorch`` hold the same classes twice.

A Trainer takes modules of its own package alone. difflr's classes belong to the one that the program has
imported already; where that is neither or both, to ``pytorch_lightning`` if it is installed. The rest of
difflr takes ``pl`` from here.
"""

import sys
from importlib import import_module
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from difflr.extras import MissingExtra

__all__ = ["PACKAGES", "either", "package_of", "pl"]

PACKAGES = ("pytorch_lightning", "lightning.pytorch")


def _imported() -> list[str]:
    return [name for name in PACKAGES if sys.modules.get(name)]


def _chosen() -> Any:
    imported = _imported()
    for name in imported if len(imported) == 1 else PACKAGES:
        try:
            return import_module(name)
        except ModuleNotFoundError as error:
            if error.name not in (name, name.partition(".")[0]):
                raise
    raise MissingExtra("difflr.lightning", PACKAGES[0])


def either(path: str) -> tuple[type, ...]:
    """Return the class ``path`` of each Lightning that is imported, for ``isinstance``.

    >>> [found.__name__ for found in either("callbacks.ModelCheckpoint")][0]
    'ModelCheckpoint'
    """
    return tuple(attrgetter(path)(sys.modules[name]) for name in _imported())


def package_of(thing: object) -> str | None:
    """Return the name of the Lightning package that the class of ``thing`` derives from."""
    for base in type(thing).__mro__:
        for name in PACKAGES:
            if base.__module__.startswith(f"{name}."):
                return name
    return None


if TYPE_CHECKING:
    import pytorch_lightning as pl
else:
    pl = _chosen()
