"""One run of a study, in whatever process or machine it is put."""

import math
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from difflr.backbones import Backbone, load_backbone
from difflr.cost import count_costs
from difflr.data import Data, Images, load_data
from difflr.errors import DifflrError
from difflr.folder import read_tree
from difflr.grid import Cell, Task
from difflr.measure import (
    Curve,
    displacement,
    drift,
    similarity,
    split_features,
    training_flops,
    with_old_head,
)
from difflr.shifts import shift_images
from difflr.splits import split_model
from difflr.training import Classifier, evaluate, train

__all__ = ["Parts", "load_parts", "load_source", "load_start", "run_trial"]

_SOURCE_STROKES = 600
_CLEAN_SHARE = 0.75


def run_trial(
    task: Task, cell: Cell, seed: int, measured_on: str, threads: int | None = None
) -> dict[str, Any]:
    """Train one cell from one seed and return what was measured, ready for JSON.

    Args:
        task, cell: what to do.
        seed: decides the training pictures, the new head, their order and their augmentation.
        measured_on: ``"validation"`` or ``"test"``.
        threads: of torch in this process; None leaves them alone.

    Returns:
        The cell's fields, ``seed``, ``measured_on``, ``plan`` and the measures that
        ``difflr.recordings`` describes; None for a number that is not finite.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    data = load_parts(task, cell.shift)
    start = load_start(task, clean=cell.shift != "none")
    held = data.test if measured_on == "test" else data.validation
    held = held.resized(task.image_size)
    images = data.pool.subset(cell.train_size, seed).resized(task.image_size)
    torch.manual_seed(seed)  # as ``train`` does: the same new head
    network = start.build(data.n_classes)
    before = _classifier(network, start, cell)
    splits = split_model(network)
    plan = cell.plan(splits)

    curve = Curve(_some(held, task.curve))
    outcome, model = train(
        start,
        plan,
        images,
        held,
        n_classes=data.n_classes,
        seed=seed,
        batch_size=task.batch_size,
        flip=data.flip,
        weight_decay=task.weight_decay,
        callbacks=[curve],
    )
    model.cpu()
    after = split_model(model.network)
    probes = _some(held, task.probes).pixels
    features = split_features(before, splits, probes), split_features(model, after, probes)
    side = images.pixels.shape[-2:]
    measured = {
        "accuracy": outcome.accuracy,
        "loss": outcome.loss,
        "seconds": outcome.seconds - curve.seconds,
        "cpu_seconds": curve.cpu_seconds,
        "flops": training_flops(count_costs(splits, (3, *side)), plan, splits, len(images)),
        **_source_accuracies(task, cell, measured_on, model),
        "displacement": displacement(splits, after),
        "drift": drift(splits, after),
        "cka": similarity(*features),
        "curve_loss": curve.losses,
        "curve_accuracy": curve.accuracies,
    }
    what = {**asdict(cell), "seed": seed, "measured_on": measured_on, "plan": plan.to_dict()}
    return {**what, **{name: _finite(value) for name, value in measured.items()}}


def _finite(value: Any) -> Any:
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _some(images: Images, most: int | None) -> Images:
    return images if most is None or len(images) <= most else images.subset(most, seed=0)


def _classifier(network: torch.nn.Module, start: Backbone, cell: Cell) -> Classifier:
    return Classifier(network, cell.plan(split_model(network)), mean=start.mean, std=start.std)


@dataclass(frozen=True)
class Parts:
    """The pictures of a study: what runs train on (``pool``), choose by and report on.

    ``clean`` and ``rest`` share out the pool: the network that knows the clean pictures has seen the
    first, runs under an input shift train on the second.
    """

    pool: Images
    clean: Images
    rest: Images
    validation: Images
    test: Images
    n_classes: int
    flip: bool
    name: str


def _divided(data: Data, test_size: int | None) -> Parts:
    # As ``difflr compare --validate`` divides them.
    size = max(len(data.train) // 5, len(data.classes))
    held, pool = data.train.divide(size, seed=0)
    clean, rest = pool.divide(int(_CLEAN_SHARE * len(pool)), seed=1)
    measured = _some(held, test_size), _some(data.test, test_size)
    return Parts(pool, clean, rest, *measured, len(data.classes), data.flip, data.name)


@lru_cache(maxsize=8)  # once per process, not once per run
def load_parts(task: Task, shift: str = "none") -> Parts:
    """Return the pictures of a task under an input shift, whose pool is then ``rest``."""
    size = None if task.data == "cifar10" else task.image_size
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


class _Continued(Backbone):
    """A network that goes on with the head it has: the classes stay the same."""

    def build(self, n_classes: int, *, new_head: bool = True) -> torch.nn.Module:
        return super().build(n_classes, new_head=False)


@lru_cache(maxsize=4)
def load_start(task: Task, *, clean: bool = False) -> Backbone:
    """Return the network that runs start from: pre-trained, or already fine-tuned on clean pictures."""
    if not clean:
        return load_backbone(task.backbone, task.weights)
    if task.clean is None:
        raise DifflrError(
            "A cell has an input shift, but there is no network that knows the clean pictures.",
            "Run it with run_study, or pass Task(clean=PATH).",
        )
    return _Continued(**vars(load_backbone(task.backbone, task.clean)))


@lru_cache(maxsize=2)
def load_source(task: Task) -> Images | None:
    """Return the pictures of the source task, labelled as the old head numbers them."""
    if task.source is None or task.weights == "none":
        return None
    if task.source == "strokes":
        from difflr.strokes import source_task

        size = min(_SOURCE_STROKES, task.test_size or _SOURCE_STROKES)
        return Images(*map(torch.from_numpy, source_task("test", size)))
    pixels, labels, classes = read_tree(Path(task.source).expanduser(), task.image_size)
    old = load_start(task).build(0, new_head=False)
    known = [m for m in old.modules() if isinstance(m, torch.nn.Linear)][-1].out_features
    if len(classes) != known:
        raise DifflrError(
            f"{task.source} has {len(classes)} classes, the head of the weights {known}.",
            "Pass the tree of the task that the weights were trained on, or no --source.",
        )
    images = Images(torch.from_numpy(pixels), torch.from_numpy(labels))
    return _some(images, None if task.test_size is None else max(task.test_size, len(classes)))


@lru_cache(maxsize=8)
def _source_pictures(task: Task, shift: str, measured_on: str) -> Images | None:
    if shift == "none":
        return load_source(task)
    clean = load_parts(task)  # what a network that went on knew are the clean pictures
    return (clean.test if measured_on == "test" else clean.validation).resized(task.image_size)


def _source_accuracies(
    task: Task, cell: Cell, measured_on: str, model: Classifier
) -> dict[str, float | None]:
    """Return the accuracies on the source task (None where there is no such task)."""
    pictures = _source_pictures(task, cell.shift, measured_on)
    if pictures is None:
        return dict.fromkeys(("source_before", "source_accuracy", "source_old_bn"))
    start = load_start(task, clean=cell.shift != "none")
    networks = {
        "source_accuracy": with_old_head(model.network, start),
        "source_old_bn": with_old_head(model.network, start, old_statistics=True),
    }
    after = {
        name: evaluate(_classifier(network, start, cell), pictures)[0]
        for name, network in networks.items()
    }
    return {"source_before": _source_before(task, cell.shift, measured_on), **after}


@lru_cache(maxsize=16)
def _source_before(task: Task, shift: str, measured_on: str) -> float | None:
    """Return the accuracy on the source task before any run: the same for all of them."""
    pictures = _source_pictures(task, shift, measured_on)
    if pictures is None:
        return None
    start = load_start(task, clean=shift != "none")
    network = start.build(0, new_head=False)
    return evaluate(_classifier(network, start, Cell("uniform")), pictures)[0]
