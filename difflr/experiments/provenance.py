"""Where runs come from: the pictures that they saw, the machine and the versions that made them."""

import datetime
import hashlib
import os
import platform
from collections.abc import Sequence
from importlib import metadata
from typing import Any

import numpy as np
import torch

from difflr.experiments.data import Images
from difflr.lightning.package import pl
from difflr.written.files import user_path

__all__ = ["data_name", "describe_machine", "hash_pictures", "versions"]

_PACKAGES = ("difflr", "torch", "torchvision", "numpy")
_LIGHTNING = {"pytorch_lightning": "pytorch-lightning", "lightning.pytorch": "lightning"}


def hash_pictures(*parts: Images) -> str:
    """Return the SHA-256 of all pixels and labels, in this order."""
    found = hashlib.sha256()
    for images in parts:
        found.update(np.ascontiguousarray(images.pixels.numpy()).data)
        found.update(np.ascontiguousarray(images.labels.numpy()).data)
    return found.hexdigest()


def data_name(source: str) -> str:
    """Return the name of a source of data: of a folder the last part, however its path was written."""
    return user_path(source).resolve().name or source


def describe_machine() -> dict[str, Any]:
    """Return the date, and the machine that makes runs from now on."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "gpu": gpu,
    }


def versions(packages: Sequence[str] = ()) -> dict[str, str]:
    """Return the versions of Python, of what decides a run's numbers, and of other packages."""
    own = (*_PACKAGES, _LIGHTNING[pl.__name__])
    found = {name: metadata.version(name) for name in (*own, *packages)}
    return {"python": platform.python_version(), **found}
