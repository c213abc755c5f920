"""What a comparison holds fixed for all recipes, checked before anything is loaded or trained."""

import math
from collections.abc import Sequence, Sized
from dataclasses import dataclass, replace
from typing import Any

from difflr.errors import DifflrError, as_int, as_number, short_repr
from difflr.experiments.needs import EFFICIENTNET, MAX_IMAGE_SIZE, need_network
from difflr.plan import Plan
from difflr.recipes import as_recipe, make_plan
from difflr.written.cuts import Cut
from difflr.written.files import user_path
from difflr.written.recipes import AUTO_RGN, parse_recipe

__all__ = ["Settings", "check_ranges", "fitting_batch"]

_AUTO_RGN_LR = 3e-3  # of the rates tried in the recordings, with new labels, in the flat middle

# Lightning's names of those that keep the weights in float32, as the evaluation afterwards needs them.
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")
_RANGES = {
    **dict.fromkeys(("train_size", "test_size", "probes", "curve"), (1, math.inf)),
    "batch_size": (1, 10**6),
    "image_size": (8, MAX_IMAGE_SIZE),
}
MAX_SEED = 10**12  # so that the seed of a step's augmentation stays below 2**63

# What fits a source of data, where the caller does not say. The learning rates for strokes were
# chosen with --validate from values a factor of about 3 apart; each is the best inside its range.
_STROKES: dict[str, Any] = {
    "backbone": "strokenet",
    "recipes": ("uniform:lr=1e-2", "head_only:lr=3e-2", "differential:lr=1e-2"),
    "epochs": 8,
    "train_size": 300,
    "batch_size": 32,
}
_CIFAR10 = {"image_size": 128}  # ImageNet's weights expect larger pictures than 32 pixels
_FOLDER = {"train_size": None, "batch_size": None}  # as many as there are, see ``for_pictures``
_MOST_PICTURES, _BATCHES = 1000, 10
_FEW, _MANY = 6, 100  # splits: a ResNet's stages, more than the blocks of a network


@dataclass(frozen=True)
class Settings:
    """What a comparison holds fixed for all recipes.

    ``Settings.fitting(data, …)`` fills in what suits the data; called directly, the defaults are
    those for a network of ResNet-18's size. Without ``flip`` no training picture is mirrored.

    Raises:
        DifflrError: for a value out of its range, or a folder without weights.
    """

    data: str
    backbone: str = "resnet18"
    weights: str | None = None
    splits: Cut | None = None
    recipes: Sequence[str] = ("uniform", "head_only", "differential")
    seeds: Sequence[int] = (0, 1, 2)
    epochs: int = 6
    train_size: int | None = 1000
    image_size: int | None = None
    batch_size: int | None = 64
    weight_decay: float = 0.01
    precision: str = "32-true"
    validate: bool = False
    flip: bool = True
    data_dir: str | None = None
    division_seed: int = 0

    @classmethod
    def fitting(cls, data: str, **given: Any) -> "Settings":
        """Return settings for ``data``; what is None in ``given`` takes the value that fits it."""
        embedded = data.partition(":")[0] == "strokes"
        fitting = _STROKES if embedded else _CIFAR10 if data == "cifar10" else _FOLDER
        chosen = {name: value for name, value in given.items() if value is not None}
        return cls(data, **{**fitting, **chosen})

    def __post_init__(self) -> None:
        as_int("epochs", self.epochs, 1)
        check_ranges(self, "train_size", "batch_size", "image_size")
        for seed in self.seeds:
            as_int("seed", seed, 0, MAX_SEED)
        as_int("division_seed", self.division_seed, 0, MAX_SEED)
        if not self.recipes or not self.seeds:
            raise DifflrError("Received no recipe or no seed.", "Pass at least one of each.")
        has_own_weights = self.data == "cifar10" or self.backbone in ("strokenet", EFFICIENTNET)
        if self.weights is None and not has_own_weights:
            raise DifflrError(
                f"The data {self.data} came without weights for {self.backbone}.",
                "Pass --weights PATH, --weights imagenet (downloaded) or --weights none.",
            )
        for text in self.recipes:
            _check_recipe(text, self.epochs)
        need_network(self.backbone, self.weights)
        # Only now what takes a moment to load, numpy and Pillow.
        if self.data.partition(":")[0] == "strokes":
            from difflr.experiments.strokes import PICTURES, TARGET_CLASSES, read_dials

            read_dials(self.data)
            as_int("train_size", self.train_size or PICTURES, TARGET_CLASSES, PICTURES)
        elif self.data != "cifar10":
            from difflr.experiments.folder import is_plain

            is_plain(user_path(self.data))

    def plans(self, splits: Sized | int) -> dict[str, Plan]:
        """Return the plan of each recipe for these splits, by what results call the recipe."""
        plans = {}
        for text in self.recipes:
            name, *options = text.split(":")
            label = ":".join([name.replace("-", "_"), *options])
            plans[label] = _plan_of(text, splits, self.epochs)
        return plans

    def for_pictures(self, there: int) -> "Settings":
        """Return the settings with a training size and a batch size that fit so many pictures.

        All pictures up to 1,000, in batches of 8 to 64 of which an epoch has at least ten; a little
        fewer where the last batch would hold a single picture, which BatchNorm cannot normalise.
        """
        size = self.train_size or min(_MOST_PICTURES, there)
        most = max([8, *(batch for batch in (64, 32, 16) if size >= _BATCHES * batch)])
        return replace(
            self, train_size=size, batch_size=self.batch_size or fitting_batch(size, most)
        )


def _check_recipe(text: str, epochs: int) -> None:
    """Refuse a recipe that makes a plan neither for few splits nor for many: nobody knows yet how many."""
    try:
        _plan_of(text, _FEW, epochs)
    except DifflrError as problem:
        try:
            _plan_of(text, _MANY, epochs)
        except DifflrError:
            raise problem from None


def _plan_of(text: str, splits: Sized | int, epochs: int) -> Plan:
    """Return the plan of a recipe and its options as a command line takes them.

    That of ``auto_rgn`` is uniform: a run alone can give the splits their rates.
    """
    name, options = parse_recipe(text)
    if name == AUTO_RGN:
        name, options = "uniform", {"lr": _AUTO_RGN_LR, **options}
    return make_plan(as_recipe(name), splits, epochs, **options)


def fitting_batch(pictures: int, most: int) -> int:
    """Return the largest batch size up to ``most`` that leaves no batch of a single picture."""
    return next(batch for batch in range(most, 0, -1) if pictures % batch != 1 or batch == 1)


def check_ranges(given: Any, *open_ones: str) -> None:
    """Raise DifflrError for a field of a comparison's or a study's settings that is out of its range.

    Fields in ``open_ones`` may be None, and are then found out later.
    """
    for name, (low, high) in _RANGES.items():
        if hasattr(given, name) and (getattr(given, name) is not None or name not in open_ones):
            as_int(name, getattr(given, name), low, high)
    as_number("weight_decay", given.weight_decay, 0.0)
    if given.precision not in PRECISIONS:
        raise DifflrError(
            f"Received precision {short_repr(given.precision)}.",
            f"Pass one of {', '.join(PRECISIONS)}.",
        )
