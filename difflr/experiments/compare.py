"""The main job: recipes side by side, on the same pictures, from the same seeds, for the same epochs."""

from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from tqdm.auto import tqdm

from difflr.errors import DifflrError
from difflr.experiments.augmentation import CROP_AREA
from difflr.experiments.backbones import Backbone, load_backbone
from difflr.experiments.data import Data, Images, load_data
from difflr.experiments.mistakes import find_mistakes
from difflr.experiments.provenance import data_name, hash_pictures, versions
from difflr.experiments.results import Results
from difflr.experiments.settings import Settings, fitting_batch
from difflr.experiments.training import Outcome, TrainingOptions, train
from difflr.experiments.unfinished import Unfinished
from difflr.lightning.package import pl
from difflr.plan import Plan
from difflr.runs.statistics import (
    describe_difference,
    describe_power,
    format_estimate,
    summarise,
)
from difflr.splits import split_model
from difflr.written.cuts import as_patterns
from difflr.written.files import holding, writing
from difflr.written.recipes import AUTO_RGN
from difflr.written.tables import aligned

__all__ = ["compare", "table"]


def compare(settings: Settings, out: Path, *, progress: bool = True) -> Results:
    """Train every recipe from every seed and return the runs, those of an earlier call included.

    For one seed all recipes get the same subset of the training pictures, the same new head and the
    same batches, so their accuracies can be compared in pairs.

    Args:
        settings: what is held fixed.
        out: folder for ``results.json`` and ``tensorboard/``, made where it is missing.
        progress: draw a progress bar over all steps.

    Raises:
        DifflrError: for input that cannot be used; finished runs stay in ``out``.
    """
    network = load_backbone(settings.backbone, "none").build(2)
    plans = settings.plans(split_model(network, as_patterns(settings.splits)))
    if settings.image_size:
        _check_size(settings.backbone, network, settings.image_size)
    data = load_data(
        settings.data,
        image_size=settings.image_size,
        data_dir=settings.data_dir,
        division_seed=settings.division_seed,
    )
    pictures = hash_pictures(data.train, data.test)
    if settings.validate:  # to choose learning rates without looking at the test pictures
        held_out, pool = data.train.hold_out(0.2, seed=0)
        data = replace(data, train=pool, test=held_out)
    settings = settings.for_pictures(len(data.train))
    train_size, batch_size = cast(int, settings.train_size), cast(int, settings.batch_size)
    data.train.subset(train_size, 0)  # complains now rather than after the weights
    size = settings.image_size or data.train.pixels.shape[-1]
    if not settings.image_size:
        _check_size(settings.backbone, network, size)
    if train_size % batch_size == 1 < batch_size:
        _check_lone_picture(network, size, train_size, batch_size)
    backbone = load_backbone(settings.backbone, settings.weights)
    made_with = {**versions(), "threads": str(torch.get_num_threads())}
    about = _about(settings, data, pictures, backbone)
    results = Results(out / "results.json", about, made_with)
    if data.division:
        data.division.write(out / "parts.csv")
    todo = [
        (recipe, seed)
        for seed in settings.seeds
        for recipe in plans
        if not _done(results, recipe, seed, plans[recipe])
    ]
    test = data.test.resized(settings.image_size) if todo else data.test
    options = TrainingOptions(
        batch_size=batch_size,
        flip=data.flip and settings.flip,
        crop=data.crop,
        weight_decay=settings.weight_decay,
        precision=settings.precision,
        cut=settings.splits,
    )
    steps = -(-train_size // batch_size) * settings.epochs
    drawn: dict[int, Images] = {}  # of the seed at hand: drawn and resized once for all recipes
    with (
        tqdm(total=steps * len(todo), unit="step", disable=not (progress and todo)) as bar,
        closing(_in_turn(out, todo)) as turns,  # a run that was stopped is no longer held
    ):
        count = pl.callbacks.LambdaCallback(
            on_train_start=lambda trainer, _: bar.update(trainer.global_step),  # made before a stop
            on_train_batch_end=lambda *_: bar.update(),
        )
        for recipe, seed, folder in turns:
            results.refresh()
            if _done(results, recipe, seed, plans[recipe]):
                bar.update(steps)
                continue
            bar.set_description(f"{recipe}, seed {seed}")
            if seed not in drawn:
                images = data.train.subset(train_size, seed)
                drawn = {seed: images.resized(settings.image_size)}
            origin = {**about, "recipe": recipe, "seed": seed, "versions": made_with}
            unfinished = Unfinished(folder, origin)
            outcome, model = train(
                backbone,
                plans[recipe],
                drawn[seed],
                test,
                replace(options, auto_rgn=_grades(recipe)),
                n_classes=len(data.classes),
                seed=seed,
                logger=_logger(folder),
                callbacks=[count],
                unfinished=unfinished,
            )
            run = _as_run(recipe, seed, outcome, model.plan)
            if not outcome.diverged:
                run["mistakes"] = find_mistakes(model, test, len(data.classes))
            results.add(run)
            unfinished.remove()
    return results


def _in_turn(
    out: Path, todo: list[tuple[str, int]]
) -> Generator[tuple[str, int, Path], None, None]:
    """Yield runs with their folders, held meanwhile; last those that another process is training now."""
    for wait in (False, True):
        left = []
        for recipe, seed in todo:
            name = recipe.replace(":", "_").replace("=", "")  # a file system may refuse them
            folder = out / "tensorboard" / f"{name}-{seed}"
            with writing(folder):
                folder.mkdir(parents=True, exist_ok=True)
            with holding(folder, wait=wait) as ours:
                if ours:
                    yield recipe, seed, folder
                else:
                    left.append((recipe, seed))
        todo = left


def _as_run(recipe: str, seed: int, outcome: Outcome, plan: Plan) -> dict[str, Any]:
    measured = {**vars(outcome), "diverged": outcome.diverged}
    if outcome.diverged:  # what such a network names is not a result
        measured.update(accuracy=None, loss=None)
    return {"recipe": recipe, "seed": seed, **measured, "plan": plan.to_dict()}


def _logger(folder: Path) -> Any:
    # By default TensorBoard lets ten values wait to be written, fewer than a step has: training would wait.
    return pl.loggers.TensorBoardLogger(
        folder.parents[1], name=folder.parent.name, version=folder.name, max_queue=1000
    )


def _check_size(name: str, network: nn.Module, size: int) -> None:
    """Raise DifflrError unless the network takes pictures of ``size`` pixels a side."""
    try:
        with torch.inference_mode():
            network.eval()(torch.zeros(1, 3, size, size))
    except Exception as error:  # each family complains in its own way
        why = (str(error) or repr(error)).splitlines()[0].rstrip(".!")
        raise DifflrError(
            f"{name} takes no pictures of {size} pixels a side: {why}.",
            "Pass --image-size with the side that its weights were made for, mostly 224.",
        ) from error


def _check_lone_picture(network: nn.Module, size: int, train_size: int, batch_size: int) -> None:
    """Raise DifflrError unless the network trains on a batch of one picture."""
    try:
        with torch.no_grad():
            network.train()(torch.zeros(1, 3, size, size))
    except ValueError as error:  # of BatchNorm, where a channel has a single value
        raise DifflrError(
            f"{train_size} training pictures in batches of {batch_size} leave a last batch of one, which "
            "BatchNorm cannot normalise.",
            f"Pass --batch-size {fitting_batch(train_size, batch_size - 1)} or "
            f"--train-size {train_size - 1}.",
        ) from error


def _done(results: Results, recipe: str, seed: int, plan: Plan) -> bool:
    run = results.find(recipe, seed)
    if run is None:
        return False
    trained = Plan.from_dict(run["plan"])
    if _grades(recipe):  # the plan before the run gave each split its rate
        phases = [
            replace(phase, lrs=[max(phase.lrs)] * trained.n_splits, frozen=())
            for phase in trained.phases
        ]
        trained = replace(trained, phases=phases)
    if trained != plan:
        raise DifflrError(
            f"{results.path} holds a run of {recipe} with another plan.",
            "Pass another folder with --out.",
        )
    return True


def _grades(recipe: str) -> bool:
    return recipe.partition(":")[0] == AUTO_RGN


def _about(
    settings: Settings, data: Data, pictures: str, backbone: Backbone
) -> dict[str, dict[str, Any]]:
    return {
        "data": {
            "name": data_name(data.name),
            "classes": list(data.classes),
            "train_pool": len(data.train),
            "test_size": len(data.test),
            "measured_on": "a fifth of the training pictures" if settings.validate else "test",
            "pictures_sha256": pictures,
            **({"files": data.reading.to_dict()} if data.reading else {}),
            **({"division": data.division.to_dict()} if data.division else {}),
        },
        "weights": {
            "backbone": backbone.name,
            "file": backbone.weights,
            "sha256": backbone.sha256,
        },
        "settings": {
            "train_size": settings.train_size,
            "image_size": settings.image_size or data.train.pixels.shape[-1],
            "epochs": settings.epochs,
            "batch_size": settings.batch_size,
            "optimizer": "AdamW",
            "weight_decay": settings.weight_decay,
            "precision": settings.precision,
            "augmentation": (
                f"random crop of {CROP_AREA:.0%} to 100% of the area"
                if data.crop
                else "shift by up to 4 pixels"
            )
            + (", flip" if data.flip and settings.flip else ""),
            **({"splits": settings.splits} if settings.splits else {}),
        },
    }


def table(results: Results) -> str:
    """Return the comparison as text: accuracy with 95% interval, difference, seconds, what trained."""
    summaries = summarise(results.runs)
    against = f"against {summaries[0].recipe}, points"
    rows = [["recipe", "accuracy (95% interval)", against, "seconds", "trainable"]]
    for summary in summaries:
        difference = "-"
        if summary.difference is not None:
            difference = describe_difference(summary.difference, unit="")
        if summary.diverged:
            tried = len(summary.diverged) + len(summary.accuracies)
            difference += f" ({len(summary.diverged)} of {tried} diverged)"
        row = [summary.recipe, format_estimate(summary.accuracy), difference]
        rows.append([*row, f"{summary.seconds:.1f}", f"{summary.trainable_share:.1%}"])
    power = describe_power([s.difference for s in summaries if s.difference is not None])
    return "\n".join([*aligned(rows, words={0}), *([f"\n{power}"] if power else [])])
