"""A study as plain data: what is held fixed, and the grid of what varies."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from difflr.errors import DifflrError, as_number, short_repr
from difflr.experiments.settings import Settings, check_ranges
from difflr.studies.cell import Cell

__all__ = ["TEXT", "TREC_FILES", "Study", "Task", "need_file"]

TEXT = "trec6:"  # how data are written that hold questions and not pictures
TREC_FILES = ("train_5500.label", "TREC_10.label")  # in their folder, as they are published


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


def need_file(folder: Path, name: str, option: str) -> Path:
    """Return the path of a file in a folder; raise DifflrError unless it is there."""
    if not (folder / name).is_file():
        raise DifflrError(
            f"There is no {name} in {folder}.", f"Pass the folder that holds it as {option}."
        )
    return folder / name
