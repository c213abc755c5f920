"""One run of a study, in whatever process or machine it is put."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from typing import Any, NamedTuple

import torch

from difflr.experiments.backbones import Backbone
from difflr.experiments.data import Images
from difflr.experiments.flops import count_costs
from difflr.experiments.training import Classifier, TrainingOptions, evaluate, train
from difflr.models.heads import HEADS
from difflr.models.interpolation import interpolate
from difflr.models.running_stats import recalibrate
from difflr.plan import Plan
from difflr.splits import split_model
from difflr.studies.cell import Cell
from difflr.studies.design import Task
from difflr.studies.material import Source, load_parts, load_source, load_start, sample
from difflr.studies.measures import (
    Curve,
    displacement,
    drift,
    similarity,
    split_features,
    training_flops,
    with_old_head,
)
from difflr.written.recipes import AUTO_RGN

__all__ = ["Staged", "as_run", "changes", "run_trial", "stage"]


class Staged(NamedTuple):
    """What a run is given: the network to start from, pictures to train and to be measured on.

    ``source`` are those of the task that the network comes from, and ``known`` its accuracy on them.
    """

    start: Backbone
    images: Images
    held: Images
    n_classes: int
    flip: bool
    source: Source | None
    known: float | None


def stage(task: Task, cell: Cell, seed: int, measured_on: str) -> Staged:
    """Return what the run of a cell is given; the seed decides which pictures it trains on."""
    data = load_parts(task, cell.shift)
    held = data.test if measured_on == "test" else data.validation
    return Staged(
        load_start(task, clean=cell.shift != "none"),
        data.pool.subset(cell.train_size, seed).resized(task.image_size),
        held.resized(task.image_size),
        data.n_classes,
        data.flip,
        *_source(task, cell.shift, measured_on),
    )


@lru_cache(maxsize=8)
def _source(task: Task, shift: str, measured_on: str) -> tuple[Source | None, float | None]:
    """Return the source task, if there is one, and the accuracy on it before any run: the same for all."""
    if shift == "none":
        source = load_source(task)
    else:
        clean = load_parts(task)  # what a network that went on knew are the clean pictures
        measured = clean.test if measured_on == "test" else clean.validation
        apart = sample(clean.clean, len(measured))
        source = Source(measured.resized(task.image_size), apart.resized(task.image_size))
    if source is None:
        return None, None
    start = load_start(task, clean=shift != "none")
    network = start.around(start.build(0, new_head=False))
    return source, evaluate(network, source.measured)[0]


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
        ``difflr.studies.recordings`` describes; None for a number that is not finite.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    given = stage(task, cell, seed, measured_on)
    torch.manual_seed(seed)  # as ``train`` does: the same new head
    network = given.start.build(given.n_classes)
    splits = split_model(network, task.cut)
    curve = Curve(sample(given.held, task.curve))
    outcome, model = train(
        given.start,
        cell.plan(splits),
        given.images,
        given.held,
        TrainingOptions(
            batch_size=task.batch_size,
            flip=given.flip and cell.augment,
            translate=4 if cell.augment else 0,
            weight_decay=task.weight_decay,
            precision=task.precision,
            optimizer=cell.optimizer,
            hold_norms=cell.bn == "frozen",
            cut=task.cut,
            auto_rgn=cell.recipe == AUTO_RGN,
        ),
        n_classes=given.n_classes,
        seed=seed,
        callbacks=[curve],
    )
    accuracy, loss = outcome.accuracy, outcome.loss
    if cell.recipe in ("wise_ft", "recalibrated") and not outcome.diverged:
        if cell.recipe == "wise_ft":
            _go_back(cell, network, model)
        if cell.bn != "frozen":  # held statistics never moved
            recalibrate(model, given.images.batches(task.batch_size))
        accuracy, loss = evaluate(model, given.held)
    pixels = given.images.pixels
    costs = count_costs(
        splits, pixels.shape[1:], torch.float32 if given.start.mean else pixels.dtype
    )
    measured = {
        "accuracy": accuracy,
        "loss": loss,
        "seconds": outcome.seconds - curve.seconds,
        "cpu_seconds": curve.cpu_seconds,
        "flops": training_flops(costs, model.plan, splits, len(given.images)),
        **changes(task, given, network, model.cpu().network),
        "curve_loss": curve.losses,
        "curve_accuracy": curve.accuracies,
    }
    return as_run(cell, seed, measured_on, model.plan, measured)


def _go_back(cell: Cell, before: torch.nn.Module, model: Classifier) -> None:
    """Put the network on the way from before to after training."""
    after = model.network.state_dict()
    start = dict(before.state_dict())
    if cell.shift == "none":  # the head is new: only the body has a before
        start |= {name: value for name, value in after.items() if name.partition(".")[0] in HEADS}
    model.network.load_state_dict(interpolate(start, after, float(cell.options["alpha"])))


def as_run(
    cell: Cell, seed: int, measured_on: str, plan: Plan | None, measured: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a run as a study's journal holds it; ``plan`` is None for another package's recipe."""
    what = {"seed": seed, "measured_on": measured_on, "plan": plan.to_dict() if plan else None}
    numbers = {name: _finite(value) for name, value in measured.items()}
    return {**asdict(cell), **what, **numbers}


def _finite(value: Any) -> Any:
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def changes(
    task: Task, given: Staged, before: torch.nn.Module, after: torch.nn.Module
) -> dict[str, Any]:
    """Return what training changed in a network: its splits, and what it knows of the source task.

    Args:
        task: as for ``run_trial``.
        given: what ``stage`` returned for the run.
        before: the network as the run started, its new head included.
        after: the same network, trained.
    """
    probes = sample(given.held, task.probes).pixels
    old, new = split_model(before, task.cut), split_model(after, task.cut)
    features = (
        split_features(given.start.around(network), splits, probes)
        for network, splits in ((before, old), (after, new))
    )
    return {
        **_source_accuracies(given, after),
        "displacement": displacement(old, new),
        "drift": drift(old, new),
        "cka": similarity(*features),
    }


def _source_accuracies(given: Staged, network: torch.nn.Module) -> dict[str, float | None]:
    """Return the accuracies on the source task (None where there is no such task)."""
    names = ("source_before", "source_accuracy", "source_old_bn", "source_recalibrated")
    if given.source is None:
        return dict.fromkeys(names)
    measured, apart = given.source
    own = given.start.around(with_old_head(network, given.start))
    old = given.start.around(with_old_head(network, given.start, old_statistics=True))
    accuracy, old_bn = evaluate(own, measured)[0], evaluate(old, measured)[0]
    recalibrated = None
    if apart is not None:
        recalibrate(own, apart.batches(100))
        recalibrated = evaluate(own, measured)[0]
    return dict(zip(names, (given.known, accuracy, old_bn, recalibrated), strict=True))
