"""How runs were made: what decides their numbers, and where and with what they ran."""

from collections.abc import Sequence
from typing import Any

from difflr.experiments.provenance import data_name, describe_machine, hash_pictures, versions
from difflr.splits import split_model
from difflr.studies.design import Task
from difflr.studies.material import load_parts, load_source, load_start

__all__ = ["describe_session", "describe_task"]


def describe_task(task: Task) -> dict[str, Any]:
    """Return what decides the numbers and is the same for all runs; no path of this machine."""
    parts, start, source = load_parts(task), load_start(task), load_source(task)
    return {
        "data": data_name(parts.name),
        "data_sha256": hash_pictures(parts.pool, parts.validation, parts.test),
        "pictures": [len(parts.pool), len(parts.validation), len(parts.test)],
        "classes": parts.n_classes,
        "image_size": None if task.text else task.image_size or parts.pool.pixels.shape[-1],
        "backbone": start.name,
        "weights": start.weights,
        "weights_sha256": start.sha256,
        "clean_sha256": load_start(task, clean=True).sha256 if task.clean else None,
        "source": data_name(task.source) if task.source and source else None,
        "source_pictures": len(source.measured) if source else 0,
        "splits": list(split_model(start.build(2), task.cut).names),
        "optimizer": "AdamW",
        "batch_size": task.batch_size,
        "weight_decay": task.weight_decay,
        "precision": task.precision,
        "augmentation": "none"
        if task.text
        else "shift by up to 4 pixels" + (", flip" if parts.flip else ""),
        "shift_strength": task.shift_strength,
        "probes": task.probes,
        "curve": task.curve,
        **({"files": dict(parts.files)} if parts.files else {}),
        **({"division": parts.division} if parts.division else {}),
    }


def describe_session(
    jobs: int, threads: int, backend: str, packages: Sequence[str] = ()
) -> dict[str, Any]:
    """Return when, where and with which versions runs are made, those of other packages too."""
    how = {"jobs": jobs, "threads": threads, "backend": backend}
    return {**describe_machine(), **how, "versions": versions(["joblib", *packages])}
