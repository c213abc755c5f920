"""What the runs of a task start from: its pictures, its network, the source task; and all of it described."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, NamedTuple

import torch

from difflr.errors import DifflrError
from difflr.experiments.backbones import Backbone, load_backbone
from difflr.experiments.data import Data, Images, load_data
from difflr.experiments.folder import read_tree
from difflr.experiments.provenance import data_name, hash_pictures
from difflr.splits import split_model
from difflr.studies.design import Task
from difflr.studies.shifts import shift_images
from difflr.studies.text import CLASSES, load_questions, load_text_backbone
from difflr.written.files import user_path

__all__ = ["Parts", "Source", "describe_task", "load_parts", "load_source", "load_start", "sample"]

_SOURCE_STROKES = 600
_CLEAN_SHARE = 0.75


def sample(images: Images, most: int | None) -> Images:
    """Return ``most`` of the pictures, always the same ones (None: all)."""
    return images if most is None or len(images) <= most else images.subset(most, seed=0)


@dataclass(frozen=True)
class Parts:
    """The pictures of a study: what runs train on (``pool``), choose by and report on.

    ``clean`` and ``rest`` share out the pool: the network that knows the clean pictures has seen the
    first, runs under an input shift train on the second. ``files`` counts what was skipped or changed
    while a folder was read (empty where nothing was), ``division`` says which of a plain tree's
    pictures are put aside to test on.
    """

    pool: Images
    clean: Images
    rest: Images
    validation: Images
    test: Images
    n_classes: int
    flip: bool
    name: str
    files: Mapping[str, Any] = field(default_factory=dict)
    division: str = ""


def _divided(data: Data, test_size: int | None) -> Parts:
    # As ``difflr compare --validate`` divides them.
    held, pool = data.train.hold_out(0.2, seed=0)
    clean, rest = pool.hold_out(_CLEAN_SHARE, seed=1)
    measured = sample(held, test_size), sample(data.test, test_size)
    told = data.reading is not None and (data.reading.skipped or data.reading.remarks)
    return Parts(
        pool,
        clean,
        rest,
        *measured,
        n_classes=len(data.classes),
        flip=data.flip,
        name=data.name,
        files=data.reading.to_dict() if data.reading and told else {},
        division=data.division.describe() if data.division else "",
    )


@lru_cache(maxsize=8)  # once per process, not once per run
def load_parts(task: Task, shift: str = "none") -> Parts:
    """Return the pictures of a task under an input shift, whose pool is then ``rest``."""
    size = None if task.data == "cifar10" else task.image_size
    if task.text:
        train, test = load_questions(task.data, str(task.weights))
        return _divided(Data("trec6", train, test, CLASSES, flip=False), task.test_size)
    if shift == "none":
        data = load_data(task.data, image_size=size, data_dir=task.data_dir)
        return _divided(data, task.test_size)
    if task.embedded:
        if ":" in task.data:
            raise DifflrError(
                f"Received data {task.data!r} for a study that shifts it.", "Pass strokes."
            )
        dials = f"strokes:input_shift={task.shift_strength}:shift_kind={shift}"
        parts = _divided(load_data(dials), task.test_size)
        return replace(parts, pool=parts.rest)
    parts = load_parts(task)
    pool, validation, test = (  # only what is used: a shifted copy of everything fills the memory
        shift_images(images, shift, task.shift_strength, seed)
        for seed, images in enumerate((parts.rest, parts.validation, parts.test))
    )
    return replace(parts, pool=pool, validation=validation, test=test)


@lru_cache(maxsize=4)
def load_start(task: Task, *, clean: bool = False) -> Backbone:
    """Return the network that runs start from: pre-trained, or already fine-tuned on clean pictures."""
    if task.text:
        return load_text_backbone(task.backbone, str(task.weights))
    if not clean:
        return load_backbone(task.backbone, task.weights)
    if task.clean is None:
        raise DifflrError(
            "A cell has an input shift, but there is no network that knows the clean pictures.",
            "Run it with run_study, or pass Task(clean=PATH).",
        )
    return replace(load_backbone(task.backbone, task.clean), keeps_head=True)


class Source(NamedTuple):
    """Pictures of the source task, labelled as the old head numbers them.

    ``measured`` are those that forgetting is measured on; on those ``apart`` BatchNorm's statistics can be
    estimated anew before that (None where all are measured).
    """

    measured: Images
    apart: Images | None


@lru_cache(maxsize=2)
def load_source(task: Task) -> Source | None:
    """Return the pictures of the source task, if there is one."""
    if task.source is None or task.weights == "none":
        return None
    if task.source == "strokes":
        from difflr.experiments.strokes import source_task

        size = min(_SOURCE_STROKES, task.test_size or _SOURCE_STROKES)
        parts = (source_task(part, size) for part in ("test", "train"))
        return Source(*(Images(*map(torch.from_numpy, part)) for part in parts))
    tree = read_tree(user_path(task.source), task.image_size)
    old = load_start(task).build(0, new_head=False)
    known = [m for m in old.modules() if isinstance(m, torch.nn.Linear)][-1].out_features
    if len(tree.classes) != known:
        raise DifflrError(
            f"{task.source} has {len(tree.classes)} classes, the head of the weights {known}.",
            "Pass the tree of the task that the weights were trained on, or no --source.",
        )
    images = Images(torch.from_numpy(tree.pixels), torch.from_numpy(tree.labels))
    most = len(images) if task.test_size is None else max(task.test_size, len(tree.classes))
    if most >= len(images):
        return Source(images, None)
    measured, rest = images.divide(most, seed=0)
    return Source(measured, sample(rest, None if len(rest) < most else most))


def describe_task(task: Task) -> dict[str, Any]:
    """Return what decides the numbers of a task's runs and is the same for all; no path of this machine."""
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
