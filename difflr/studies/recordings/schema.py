"""What a recording holds, and the check that a file is one: its schema stands in the package's docstring."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from difflr.errors import DifflrError, as_int, as_number, short_repr
from difflr.plan import Plan
from difflr.studies.cell import Cell

__all__ = ["SCHEMA", "Recording", "Run", "parse"]

SCHEMA = "difflr-recording/1"
_SHARES = ("accuracy", "source_before", "source_accuracy", "source_old_bn", "source_recalibrated")
_POSITIVE = ("loss", "seconds", "cpu_seconds", "flops")
# What the first recordings did not have; a run without it has the default.
_LATER = {"augment", "optimizer", "source_recalibrated"}
_PER_SPLIT, _PER_EPOCH = ("displacement", "drift", "cka"), ("curve_loss", "curve_accuracy")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a recording; the fields are described in the schema above."""

    cell: Cell
    seed: int
    measured_on: str
    plan: str | None
    session: int
    accuracy: float
    loss: float | None
    seconds: float | None
    cpu_seconds: float | None
    flops: float | None
    source_before: float | None
    source_accuracy: float | None
    source_old_bn: float | None
    source_recalibrated: float | None
    displacement: tuple[float | None, ...]
    drift: tuple[float | None, ...]
    cka: tuple[float | None, ...]
    curve_loss: tuple[float | None, ...]
    curve_accuracy: tuple[float | None, ...]

    @property
    def tags(self) -> dict[str, Any]:
        """What runs can be grouped by: those of the cell, ``seed`` and ``measured_on``."""
        return {**self.cell.tags, "seed": self.seed, "measured_on": self.measured_on}


@dataclass(frozen=True)
class Recording:
    """A finished study: its runs, and how they were made."""

    study: str
    about: Mapping[str, Any]
    sessions: Sequence[Mapping[str, Any]]
    plans: Mapping[str, Plan]
    runs: Sequence[Run] = field(repr=False)

    def where(self, **tags: Any) -> list[Run]:
        """Return the runs with these tags, e.g. ``where(recipe="uniform", measured_on="test")``."""
        return [run for run in self.runs if all(run.tags[k] == v for k, v in tags.items())]

    def values(self, tag: str) -> list[Any]:
        """Return the different values of a tag: numbers sorted, names as they first come."""
        found = list(dict.fromkeys(run.tags[tag] for run in self.runs))
        return found if any(isinstance(v, str) or v is None for v in found) else sorted(found)

    def plan_of(self, run: Run) -> Plan:
        """Return the plan of a run.

        Raises:
            DifflrError: for a run of another package, which has a schedule of its own.
        """
        if run.plan is None:
            raise DifflrError(
                f"{run.cell.recipe} was trained by another package: it has no plan.",
                "Ask for a run of one of difflr's recipes.",
            )
        return self.plans[run.plan]

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits, shallow to deep."""
        return tuple(self.about["splits"])


def parse(data: Any) -> Recording:
    """Return the recording in an object as JSON gives it; ValueError or TypeError says what is wrong."""
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise ValueError(f"its schema is not {SCHEMA}")
    about, sessions = data["about"], data["sessions"]
    splits = about["splits"]
    if not isinstance(splits, list) or not all(isinstance(name, str) for name in splits):
        raise TypeError("about.splits is no list of names")
    if not isinstance(sessions, list) or not all(isinstance(s, dict) for s in sessions):
        raise TypeError("sessions is no list of objects")
    if not isinstance(data["study"], str):
        raise TypeError("study is no name")
    plans = {str(key): Plan.from_dict(plan) for key, plan in data["plans"].items()}
    for plan in plans.values():
        plan.check(len(splits))
    runs = [_run(run, len(splits), len(sessions), plans) for run in data["runs"]]
    if not runs:
        raise ValueError("it has no runs")
    keys = {(run.cell.key, run.seed, run.measured_on) for run in runs}
    if len(keys) != len(runs):
        raise ValueError("it has a run twice")
    return Recording(data["study"], about, sessions, plans, tuple(runs))


_NO_NUMBERS = {("shape", str), ("continues", bool)}  # options of a recipe


def _run(data: Mapping[str, Any], n_splits: int, n_sessions: int, plans: Mapping[str, Plan]) -> Run:
    expected = {f.name for f in fields(Run)} - {"cell"} | {f.name for f in fields(Cell)}
    wrong = set(data) ^ expected
    if wrong & set(data) or wrong - _LATER:
        raise ValueError(f"a run has the fields {sorted(wrong)} too many or too few")
    augment = data.get("augment", True)
    if not isinstance(augment, bool):
        raise TypeError(f"augment is {short_repr(augment)}")
    for name in ("recipe", "shift", "bn", "measured_on"):
        if not isinstance(data[name], str):
            raise TypeError(f"{name} is {short_repr(data[name])}")
    options = {
        str(k): v if (k, type(v)) in _NO_NUMBERS else as_number(k, v)
        for k, v in data["options"].items()
    }
    cell = Cell.of({**data, "options": options})
    as_int("epochs", cell.epochs, 1)
    plan = data["plan"]  # null where another package trained, by its own schedule
    if plan is not None and (plan not in plans or plans[plan].epochs != cell.epochs):
        raise ValueError(f"no plan {short_repr(plan)} of {cell.epochs} epochs")
    if data["measured_on"] not in ("validation", "test"):
        raise ValueError(f"measured_on is {data['measured_on']}")
    values: dict[str, Any] = {
        "cell": cell,
        "seed": as_int("seed", data["seed"], 0),
        "measured_on": data["measured_on"],
        "plan": plan,
        "session": as_int("session", data["session"], 0, n_sessions - 1),
    }
    for name in _SHARES:
        values[name] = _number(name, data.get(name), 1.0)
    for name in _POSITIVE:
        values[name] = _number(name, data[name])
    for names, count in ((_PER_SPLIT, n_splits), (_PER_EPOCH, cell.epochs)):
        for name in names:
            if len(data[name]) not in (count, 0 if plan is None else count):
                raise ValueError(f"{name} has {len(data[name])} numbers instead of {count}")
            most = 1.0001 if name in ("cka", "curve_accuracy") else math.inf
            values[name] = tuple(_number(name, v, most, -1e-4) for v in data[name])
    if values["accuracy"] is None:
        raise ValueError("a run has no accuracy")
    return Run(**values)


def _number(name: str, value: Any, most: float = math.inf, least: float = 0.0) -> float | None:
    return None if value is None else as_number(name, value, least, most)
