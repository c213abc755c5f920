"""The versions that a run was made with."""

import platform
from collections.abc import Sequence
from importlib import metadata

__all__ = ["versions"]

_PACKAGES = ("difflr", "torch", "torchvision", "pytorch-lightning", "numpy")


def versions(packages: Sequence[str] = ()) -> dict[str, str]:
    """Return the versions of Python, of what decides a run's numbers, and of other packages."""
    found = {name: metadata.version(name) for name in (*_PACKAGES, *packages)}
    return {"python": platform.python_version(), **found}
