"""How runs were made: what decides their numbers, and where and with what they ran."""

import datetime
import hashlib
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import joblib
import torch

from difflr.experiments.versions import versions
from difflr.splits import split_model
from difflr.studies.design import Task
from difflr.studies.material import load_parts, load_source, load_start

__all__ = ["describe_session", "describe_task"]


def describe_task(task: Task) -> dict[str, Any]:
    """Return what decides the numbers and is the same for all runs; no path of this machine."""
    parts, start, source = load_parts(task), load_start(task), load_source(task)
    pixels = hashlib.sha256()
    for images in (parts.pool, parts.validation, parts.test):
        pixels.update(images.pixels.numpy().tobytes())
        pixels.update(images.labels.numpy().tobytes())
    return {
        "data": Path(parts.name).name,
        "data_sha256": pixels.hexdigest(),
        "pictures": [len(parts.pool), len(parts.validation), len(parts.test)],
        "classes": parts.n_classes,
        "image_size": task.image_size or parts.pool.pixels.shape[-1],
        "backbone": start.name,
        "weights": start.weights,
        "weights_sha256": start.sha256,
        "clean_sha256": load_start(task, clean=True).sha256 if task.clean else None,
        "source": Path(task.source).name if task.source and source else None,
        "source_pictures": len(source) if source else 0,
        "splits": list(split_model(start.build(2)).names),
        "optimizer": "AdamW",
        "batch_size": task.batch_size,
        "weight_decay": task.weight_decay,
        "precision": task.precision,
        "augmentation": "shift by up to 4 pixels" + (", flip" if parts.flip else ""),
        "shift_strength": task.shift_strength,
        "probes": task.probes,
        "curve": task.curve,
    }


def describe_session(
    jobs: int, threads: int, backend: str, packages: Sequence[str] = ()
) -> dict[str, Any]:
    """Return when, where and with which versions runs are made, those of other packages too."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}, {joblib.cpu_count()} cores",
        "gpu": gpu,
        "jobs": jobs,
        "threads": threads,
        "backend": backend,
        "versions": versions(["joblib", *packages]),
    }
