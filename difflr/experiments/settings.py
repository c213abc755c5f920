"""What a comparison holds fixed for all recipes, checked before anything is loaded or trained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from difflr.errors import DifflrError, as_int, as_number, short_repr

__all__ = ["PRECISIONS", "Settings", "as_precision", "parse_recipe", "with_later_settings"]

# Lightning's names of those that keep the weights in float32, as the evaluation afterwards needs them.
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")

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


@dataclass(frozen=True)
class Settings:
    """What a comparison holds fixed for all recipes.

    ``Settings.fitting(data, …)`` fills in what suits the data; called directly, the defaults are
    those for a network of ResNet-18's size.

    Raises:
        DifflrError: for a value out of its range, or a folder without weights.
    """

    data: str
    backbone: str = "resnet18"
    weights: str | None = None
    recipes: Sequence[str] = ("uniform", "head_only", "differential")
    seeds: Sequence[int] = (0, 1, 2)
    epochs: int = 6
    train_size: int = 1000
    image_size: int | None = None
    batch_size: int = 64
    weight_decay: float = 0.01
    precision: str = "32-true"
    validate: bool = False
    data_dir: str | None = None

    @classmethod
    def fitting(cls, data: str, **given: Any) -> "Settings":
        """Return settings for ``data``; what is None in ``given`` takes the value that fits it."""
        embedded = data.partition(":")[0] == "strokes"
        fitting = _STROKES if embedded else _CIFAR10 if data == "cifar10" else {}
        chosen = {name: value for name, value in given.items() if value is not None}
        return cls(data, **{**fitting, **chosen})

    def __post_init__(self) -> None:
        for name in ("epochs", "train_size", "batch_size"):
            as_int(name, getattr(self, name), 1)
        for seed in self.seeds:
            as_int("seed", seed, 0)
        as_number("weight_decay", self.weight_decay, 0.0)
        as_precision(self.precision)
        if not self.recipes or not self.seeds:
            raise DifflrError("Received no recipe or no seed.", "Pass at least one of each.")
        has_own_weights = self.data == "cifar10" or self.backbone == "strokenet"
        if self.weights is None and not has_own_weights:
            raise DifflrError(
                f"The data {self.data} came without weights for {self.backbone}.",
                "Pass --weights PATH, --weights imagenet (downloaded) or --weights none.",
            )


def as_precision(value: Any) -> str:
    """Return ``value`` if it is one of ``PRECISIONS``; raise DifflrError otherwise."""
    if value not in PRECISIONS:
        raise DifflrError(
            f"Received precision {short_repr(value)}.", f"Pass one of {', '.join(PRECISIONS)}."
        )
    return value


def with_later_settings(there: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of an older file, with those that it could not hold when it was written."""
    unsaid = {"precision": "32-true", "pictures_sha256": now.get("pictures_sha256")}
    unsaid = {name: value for name, value in unsaid.items() if name in now}
    # Which other files lie in the folder does not matter where the pictures are the same.
    counted = {name: now[name] for name in ("files",) if name in now}
    return {**unsaid, **there, **counted}


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
