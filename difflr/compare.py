"""The main job: recipes side by side, on the same pictures, from the same seeds, for the same epochs."""

import math
import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

from difflr.backbones import Backbone, load_backbone
from difflr.data import Data, load_data
from difflr.errors import DifflrError, as_int, as_number
from difflr.plan import Plan
from difflr.recipes import make_plan
from difflr.results import Results
from difflr.splits import split_model
from difflr.statistics import Estimate, summarise
from difflr.training import train

__all__ = ["Settings", "compare", "parse_recipe", "table"]


@dataclass(frozen=True)
class Settings:
    """What a comparison holds fixed for all recipes."""

    data: str = "strokes"
    backbone: str | None = None
    weights: str | None = None
    recipes: Sequence[str] = ("uniform", "head_only", "differential")
    seeds: Sequence[int] = (0, 1, 2)
    epochs: int = 6
    train_size: int = 500
    image_size: int | None = None
    batch_size: int = 64
    weight_decay: float = 0.01
    validate: bool = False
    data_dir: str | None = None

    def __post_init__(self) -> None:
        for name in ("epochs", "train_size", "batch_size"):
            as_int(name, getattr(self, name), 1)
        for seed in self.seeds:
            as_int("seed", seed, 0)
        as_number("weight_decay", self.weight_decay, 0.0)
        if not self.recipes or not self.seeds:
            raise DifflrError("Received no recipe or no seed.", "Pass at least one of each.")


def parse_recipe(text: str) -> tuple[str, dict[str, float]]:
    """Return name and options of a recipe written ``name`` or ``name:option=number:…``.

    >>> parse_recipe("differential:lr=3e-3:ratio=10")
    ('differential', {'lr': 0.003, 'ratio': 10.0})
    """
    name, *pairs = text.split(":")
    options = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        try:
            number = float(value)
        except ValueError:
            raise DifflrError(
                f"Received {pair!r} in recipe {text!r}, expected option=number.",
                "Write e.g. differential:lr=3e-3:ratio=10.",
            ) from None
        options[key] = (
            int(number) if number.is_integer() and key in ("count", "freeze_epochs") else number
        )
    return name.replace("-", "_"), options


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
    settings = _completed(settings)
    plans = _plans(settings)
    data = load_data(settings.data, image_size=settings.image_size, data_dir=settings.data_dir)
    if settings.validate:  # to choose learning rates without looking at the test pictures
        held_out, pool = data.train.divide(max(len(data.train) // 5, len(data.classes)), seed=0)
        data = replace(data, train=pool, test=held_out)
    data.train.subset(settings.train_size, 0)  # complains now rather than after the weights
    backbone = load_backbone(str(settings.backbone), settings.weights)
    results = Results(out / "results.json", _about(settings, data, backbone), _versions())
    todo = [
        (recipe, seed)
        for seed in settings.seeds
        for recipe in plans
        if not _done(results, recipe, seed, plans[recipe])
    ]
    test = data.test.resized(settings.image_size) if todo else data.test
    steps = -(-settings.train_size // settings.batch_size) * settings.epochs
    with tqdm(total=steps * len(todo), unit="step", disable=not (progress and todo)) as bar:
        for recipe, seed in todo:
            bar.set_description(f"{recipe}, seed {seed}")
            outcome, _ = train(
                backbone,
                plans[recipe],
                data.train.subset(settings.train_size, seed).resized(settings.image_size),
                test,
                n_classes=len(data.classes),
                seed=seed,
                batch_size=settings.batch_size,
                flip=data.flip,
                weight_decay=settings.weight_decay,
                logger=_logger(out, recipe, seed),
                on_step=bar.update,
            )
            results.add(
                {"recipe": recipe, "seed": seed, **vars(outcome), "plan": plans[recipe].to_dict()}
            )
    return results


def _logger(out: Path, recipe: str, seed: int) -> Any:
    from pytorch_lightning.loggers import TensorBoardLogger

    folder = recipe.replace(":", "_").replace("=", "")  # characters that a file system may refuse
    return TensorBoardLogger(out, name="tensorboard", version=f"{folder}-{seed}")


def _completed(settings: Settings) -> Settings:
    """Return the settings with backbone, weights and picture size filled in where that is no guess."""
    embedded = settings.data == "strokes"
    name = settings.backbone or ("strokenet" if embedded else "resnet18")
    if settings.weights is None and settings.data not in ("strokes", "cifar10"):
        raise DifflrError(
            f"Data from a folder ({settings.data}) came without weights for {name}.",
            "Pass --weights PATH, --weights imagenet (downloaded) or --weights none.",
        )
    # ImageNet's weights expect larger pictures than CIFAR10's 32 pixels.
    size = (
        128 if settings.data == "cifar10" and settings.image_size is None else settings.image_size
    )
    return replace(settings, backbone=name, image_size=size)


def _plans(settings: Settings) -> dict[str, Plan]:
    """Return the plan of every recipe, checked before anything is loaded or trained."""
    splits = split_model(load_backbone(str(settings.backbone), "none").build(2))
    plans = {}
    for text in settings.recipes:
        name, options = parse_recipe(text)
        label = text.replace("-", "_") if not options else ":".join([name, *text.split(":")[1:]])
        plans[label] = make_plan(name, splits, settings.epochs, **options)
    return plans


def _done(results: Results, recipe: str, seed: int, plan: Plan) -> bool:
    run = results.find(recipe, seed)
    if run is not None and Plan.from_dict(run["plan"]) != plan:
        raise DifflrError(
            f"{results.path} holds a run of {recipe} with another plan.",
            "Pass another folder with --out.",
        )
    return run is not None


def _about(settings: Settings, data: Data, backbone: Backbone) -> dict[str, Any]:
    return {
        "data": data.name,
        "classes": list(data.classes),
        "train_pool": len(data.train),
        "test_size": len(data.test),
        "measured_on": "a fifth of the training pictures" if settings.validate else "test",
        "train_size": settings.train_size,
        "image_size": settings.image_size or data.train.pixels.shape[-1],
        "backbone": backbone.name,
        "weights": backbone.weights,
        "weights_sha256": backbone.sha256,
        "epochs": settings.epochs,
        "batch_size": settings.batch_size,
        "optimizer": "AdamW",
        "weight_decay": settings.weight_decay,
        "augmentation": "shift by up to 4 pixels" + (", flip" if data.flip else ""),
    }


def _versions() -> dict[str, str]:
    packages = ("difflr", "torch", "torchvision", "pytorch-lightning")
    versions = {name: metadata.version(name) for name in packages}
    return {
        **versions,
        "python": platform.python_version(),
        "threads": str(torch.get_num_threads()),
    }


def table(results: Results) -> str:
    """Return the comparison as text: accuracy with 95% interval, difference, seconds, what trained."""
    summaries = summarise(results.runs)
    first = summaries[0].recipe
    width = max(len(summary.recipe) for summary in summaries)
    lines = [
        f"{'recipe':<{width}}  {'accuracy (95% interval)':>23}  {'against ' + first:>22}  "
        f"{'seconds':>7}  {'trainable':>9}"
    ]
    for summary in summaries:
        accuracy = f"{summary.accuracy.mean:.1%}{_interval(summary.accuracy)}"
        if summary.difference is None:
            difference = "-"
        else:
            difference = f"{100 * summary.difference.mean:+.1f}{_interval(summary.difference)}"
            difference += " (tie)" if summary.difference.is_tie else ""
        lines.append(
            f"{summary.recipe:<{width}}  {accuracy:>23}  {difference:>22}  "
            f"{summary.seconds:>7.1f}  {summary.trainable_share:>9.1%}"
        )
    return "\n".join(lines)


def _interval(estimate: Estimate) -> str:
    return "" if math.isnan(estimate.half) else f" ± {100 * estimate.half:.1f}"
