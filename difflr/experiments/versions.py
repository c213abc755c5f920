"""The versions that a run was made with."""

import platform
from collections.abc import Sequence
from importlib import metadata

from difflr.lightning.package import pl

__all__ = ["versions"]

_PACKAGES = ("difflr", "torch", "torchvision", "numpy")
_LIGHTNING = {"pytorch_lightning": "pytorch-lightning", "lightning.pytorch": "lightning"}


def versions(packages: Sequence[str] = ()) -> dict[str, str]:
    """Return the versions of Python, of what decides a run's numbers, and of other packages."""
    own = (*_PACKAGES, _LIGHTNING[pl.__name__])
    found = {name: metadata.version(name) for name in (*own, *packages)}
    return {"python": platform.python_version(), **found}
