"""A cell: what runs from different seeds have in common, as a study declares it and a recording keeps it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from difflr.errors import DifflrError, as_int, short_repr
from difflr.plan import Phase, Plan
from difflr.recipes import as_recipe, make_plan
from difflr.written.recipes import AUTO_RGN

__all__ = ["BN_MODES", "OPTIMIZERS", "Cell", "tag_matches"]

BN_MODES = ("kept", "drifting", "trained", "frozen")
OPTIMIZERS = ("AdamW", "SGD")
_MORE_THAN_A_PLAN = (AUTO_RGN, "recalibrated", "wise_ft")


@dataclass(frozen=True)
class Cell:
    """One point of a grid: a recipe with its options, on so many training pictures.

    Args:
        recipe, options: as for ``make_plan``, or one that is uniform and does more than a plan says:
            ``auto_rgn`` (``lr``) gives the splits rates by their relative gradient norms before the first
            step (``suggest_lrs``), ``lr`` being the largest; ``wise_ft`` (``lr``, ``alpha``) goes back
            afterwards towards the network before training, a new head excepted (``interpolate``), and
            estimates BatchNorm's statistics anew on the training pictures, unless they were frozen;
            ``recalibrated`` (``lr``) does only the latter.
        train_size: pictures that the run trains on.
        epochs: of the plan.
        shift: ``"none"`` starts from the pre-trained network with a new head (the labels are new); an
            input shift starts from the network that knows the clean pictures, with its head.
        bn: what BatchNorm of frozen splits does: ``"kept"``, ``"drifting"`` (statistics follow the
            pictures, weights stay) or ``"trained"``; ``"frozen"`` holds all of it as it was, in the
            splits that train too.
        augment: whether training pictures are moved and mirrored at random.
        optimizer: ``"AdamW"``, or ``"SGD"`` with momentum.
    """

    recipe: str
    options: Mapping[str, float | str] = field(default_factory=dict)
    train_size: int = 1000
    epochs: int = 6
    shift: str = "none"
    bn: str = "kept"
    augment: bool = True
    optimizer: str = "AdamW"

    def __post_init__(self) -> None:
        as_int("train_size", self.train_size, 2)
        for name, known in (("bn", BN_MODES), ("optimizer", OPTIMIZERS)):
            if getattr(self, name) not in known:
                raise DifflrError(
                    f"Received {name}={short_repr(getattr(self, name))}.", f"Pass one of {known}."
                )

    @classmethod
    def of(cls, run: Mapping[str, Any]) -> "Cell":
        """Return the cell that a run belongs to; what could not vary when it was made has its default."""
        return cls(**{item.name: run[item.name] for item in fields(cls) if item.name in run})

    @property
    def key(self) -> str:
        """The cell in one line; two cells are the same exactly if their keys are."""
        options = ":".join(f"{name}={value!r}" for name, value in sorted(self.options.items()))
        where = f"n={self.train_size} e={self.epochs} {self.shift} {self.bn}"
        plain = "" if self.augment else " not augmented"
        other = "" if self.optimizer == "AdamW" else f" {self.optimizer}"
        return f"{self.recipe}:{options} {where}{plain}{other}"

    @property
    def tags(self) -> dict[str, Any]:
        """What cells are grouped by: fields, ``base_lr``, ``ratio`` and ``decay`` (else 1), ``shape``."""
        own = {k: v for k, v in asdict(self).items() if k != "options"}
        ratio = self.options.get("ratio", 1.0)
        decay = self.options.get("decay", 1.0)
        shape = str(self.options.get("shape", "one_cycle"))
        shape += ":continues" if self.options.get("continues") else ""
        rates = {"base_lr": self.options.get("lr"), "ratio": ratio, "decay": decay}
        return {**own, **rates, "shape": shape}

    def plan(self, splits: Any) -> Plan:
        """Return the plan for these splits (or this number of them)."""
        name, options = self.recipe, dict(self.options)
        if name in _MORE_THAN_A_PLAN:
            name = "uniform"
            options.pop("alpha", None)
        plan = make_plan(as_recipe(name), splits, self.epochs, **options)
        if self.bn in ("kept", "frozen"):
            return plan
        phases = [_lively(phase) if self.bn == "trained" else phase for phase in plan.phases]
        return replace(plan, phases=phases, train_bn=True)


def _lively(phase: Phase) -> Phase:
    """Give the BatchNorm of frozen splits the lowest learning rate of the splits that train."""
    low = min(lr for lr in phase.lrs if lr)
    return replace(phase, lrs=tuple(lr or low for lr in phase.lrs))


def tag_matches(tag: Any, text: str) -> bool:
    """Whether a tag's value is what ``text`` says: ``3e-4`` and ``0.0003`` are the same number."""
    if isinstance(tag, str | bool) or tag is None:
        return text == str(tag)
    try:
        return float(tag) == float(text)
    except ValueError:
        return False
