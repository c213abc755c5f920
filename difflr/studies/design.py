"""A study as plain data: what is held fixed, and the grid of what varies."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from difflr.errors import DifflrError, as_int, as_number, short_repr
from difflr.experiments.settings import Settings, check_ranges
from difflr.plan import Phase, Plan
from difflr.recipes import as_recipe, make_plan
from difflr.written.recipes import AUTO_RGN

__all__ = ["BN_MODES", "OPTIMIZERS", "TEXT", "Cell", "Study", "Task", "tag_matches"]

TEXT = "trec6:"  # how data are written that hold questions and not pictures

BN_MODES = ("kept", "drifting", "trained", "frozen")
OPTIMIZERS = ("AdamW", "SGD")
_MORE_THAN_A_PLAN = (AUTO_RGN, "recalibrated", "wise_ft")


@dataclass(frozen=True)
class Task:
    """What all runs of a study share. ``source`` is a class-per-folder tree, ``"strokes"`` or None.

    ``data`` and ``backbone`` are as for ``load_data`` and ``load_backbone``, or ``trec6:FOLDER`` and any
    name (see ``difflr.studies.text``), with the folder of a transformer as ``weights``.

    ``clean`` is a network fine-tuned on unshifted pictures, where cells with an input shift start.
    ``probes`` pictures are used for CKA and ``curve`` ones for the accuracy after each epoch;
    ``precision`` is that of training, one of ``settings.PRECISIONS``;
    ``test_size`` limits validation, test and source pictures each (None: all);
    ``cut`` is how networks are cut, as ``split_model`` takes it: None, or ``"blocks"``.
    """

    data: str = "strokes"
    backbone: str = "strokenet"
    weights: str | None = None
    source: str | None = "strokes"
    clean: str | None = None
    image_size: int | None = None
    batch_size: int = 64
    weight_decay: float = 0.01
    precision: str = "32-true"
    shift_strength: float = 1.0
    probes: int = 200
    curve: int = 200
    test_size: int | None = None
    data_dir: str | None = None
    cut: str | None = None

    @classmethod
    def fitting(cls, data: str, **given: Any) -> "Task":
        """Return the task of ``data``; what is None in ``given`` takes the value that fits it.

        Raises:
            DifflrError: as ``Task`` and ``Settings`` do.
        """
        given = {name: value for name, value in given.items() if value is not None}
        if data.startswith(TEXT):
            given |= {"source": None, "image_size": None}
            return cls(data, **{"backbone": "transformer", "batch_size": 16, **given})
        own = {name: given.pop(name, None) for name in ("source", "test_size")}
        settings = Settings.fitting(data, **given)
        if settings.backbone == "strokenet" and settings.weights is None:
            own["source"] = own["source"] or "strokes"
        both = {item.name for item in fields(cls)} & vars(settings).keys()
        fitting = {name: getattr(settings, name) for name in both}
        return cls(**{**fitting, **own, "batch_size": settings.batch_size or 64})

    def __post_init__(self) -> None:
        check_ranges(self, "test_size", "image_size")
        as_number("shift_strength", self.shift_strength, 0.0, 1.0)
        if self.text and self.weights is None:
            raise DifflrError(
                "Text needs a transformer.", "Pass its folder, with tokenizer.json, as --weights."
            )

    @property
    def embedded(self) -> bool:
        """Whether the pictures are difflr's own."""
        return self.data.partition(":")[0] == "strokes"

    @property
    def text(self) -> bool:
        """Whether the data are questions, and no pictures."""
        return self.data.startswith(TEXT)


@dataclass(frozen=True)
class Cell:
    """One point of a grid: a recipe with its options, on so many training pictures.

    Args:
        recipe, options: as for ``make_plan``, or one that is uniform and does more than a plan says:
            ``auto_rgn`` (``lr``) gives the splits rates by their relative gradient norms before the first
            step (``suggest_lrs``), ``lr`` being the largest; ``wise_ft`` (``lr``, ``alpha``) goes back
            afterwards towards the network before training, a new head excepted (``interpolate``), and
            estimates BatchNorm's statistics anew on the training pictures; ``recalibrated`` (``lr``) does
            only the latter.
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


@dataclass(frozen=True)
class Study:
    """A declared grid: every cell from every seed, then the best cells once on the test pictures.

    First all ``cells`` are run from ``seeds`` and measured on validation pictures (a fifth of the
    training pool, which no run trains on). Of each group with the same tags ``choose_by`` the cell with
    the best mean is then run anew from ``report_seeds`` and measured on the test pictures.

    ``reserve`` holds cells with further learning rates. While the best of a group has the lowest or
    highest of those tried, the next one beyond is taken from there.

    ``recorded`` names runs, each a cell, a seed and the pictures it is measured on, that are made in place
    of both stages.
    """

    name: str
    task: Task
    cells: Sequence[Cell]
    seeds: Sequence[int] = tuple(range(5))
    report_seeds: Sequence[int] = tuple(range(100, 105))
    choose_by: Sequence[str] = ("recipe", "train_size", "epochs", "shift", "bn")
    reserve: Sequence[Cell] = ()
    recorded: Sequence[tuple[Cell, int, str]] = ()

    def __post_init__(self) -> None:
        if not self.cells or not self.seeds:
            raise DifflrError("A study without cells or seeds measures nothing.", "Pass some.")
        if len({cell.key for cell in self.cells}) != len(self.cells):
            raise DifflrError(f"The study {self.name} has a cell twice.", "Leave one out.")
        if shared := set(self.seeds) & set(self.report_seeds):
            raise DifflrError(
                f"The seeds {sorted(shared)} choose and report.", "Report from other seeds."
            )
        for tag in self.choose_by:
            if tag not in self.cells[0].tags:
                raise DifflrError(
                    f"Received choose_by with {short_repr(tag)}.",
                    f"The tags are {', '.join(self.cells[0].tags)}.",
                )


def tag_matches(tag: Any, text: str) -> bool:
    """Whether a tag's value is what ``text`` says: ``3e-4`` and ``0.0003`` are the same number."""
    if isinstance(tag, str | bool) or tag is None:
        return text == str(tag)
    try:
        return float(tag) == float(text)
    except ValueError:
        return False
