"""Recordings: finished studies as small open files, here and anywhere else (``.json.gz``).

A recording is one gzip-ed JSON object:

- ``schema``: ``"difflr-recording/1"``; ``study``: its name;
- ``about``: what all runs share: data and the SHA-256 of all its pictures and labels, their numbers
  (pool, validation, test), backbone, weights and their SHA-256, source task, names of the splits,
  optimizer, batch size, augmentation;
- ``sessions``: date, machine, jobs × threads and versions of each call that added runs;
- ``plans``: fingerprint to plan, as ``Plan.to_dict``;
- ``runs``: one object per run:
  ``recipe``, ``options`` (of ``make_plan``), ``train_size``, ``epochs``, ``shift``, ``bn`` (see
  ``difflr.grid.Cell``), ``seed``, ``measured_on`` (``"validation"`` or ``"test"``), ``plan`` (a
  fingerprint), ``session`` (an index), and the measures, null where not finite or not measured:
  ``accuracy`` (0 to 1), ``loss`` (mean cross-entropy), ``seconds`` (training, by the clock),
  ``cpu_seconds`` (training, of all threads together), ``flops`` (training),
  ``source_before`` and ``source_accuracy`` (old head, before and after training, 0 to 1) and
  ``source_old_bn`` (after training, BatchNorm's statistics those of before);
  one number per split: ``displacement`` and ``drift`` (relative L2, weights and BatchNorm
  statistics), ``cka`` (0 to 1); one number per epoch: ``curve_loss`` (training),
  ``curve_accuracy`` (0 to 1, on a fixed part of the pictures that the run is measured on).
"""

import gzip
import json
import math
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import Any

from difflr.errors import DifflrError, as_int, as_number, shown
from difflr.grid import Cell
from difflr.journal import read_journal
from difflr.plan import Plan

__all__ = ["Recording", "Run", "list_recordings", "load_recording", "save_recording"]

SCHEMA = "difflr-recording/1"
_MOST = 64 * 2**20  # bytes when unpacked: a damaged file shall not fill the memory
_SHARES = ("accuracy", "source_before", "source_accuracy", "source_old_bn")
_POSITIVE = ("loss", "seconds", "cpu_seconds", "flops")
_PER_SPLIT, _PER_EPOCH = ("displacement", "drift", "cka"), ("curve_loss", "curve_accuracy")


@dataclass(frozen=True)
class Run:
    """One run of a recording; the fields are described in the schema above."""

    cell: Cell
    seed: int
    measured_on: str
    plan: str
    session: int
    accuracy: float
    loss: float | None
    seconds: float | None
    cpu_seconds: float | None
    flops: float | None
    source_before: float | None
    source_accuracy: float | None
    source_old_bn: float | None
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

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits, shallow to deep."""
        return tuple(self.about["splits"])


def list_recordings() -> list[str]:
    """Return the names of the recordings that come with difflr."""
    files = (entry.name for entry in resources.files(__name__).iterdir())
    return sorted(name.removesuffix(".json.gz") for name in files if name.endswith(".json.gz"))


def load_recording(source: str | os.PathLike[str]) -> Recording:
    """Return a recording that comes with difflr, by its name, or one from a file.

    Raises:
        DifflrError: for an unknown name or a file that is not a valid recording, with what is wrong.
    """
    name = os.fspath(source)
    path = Path(name).expanduser()
    if name in list_recordings():
        path = Path(str(resources.files(__name__) / f"{name}.json.gz"))
    try:
        with gzip.open(path) as file:
            text = file.read(_MOST + 1)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        known = ", ".join(list_recordings()) or "none yet"
        raise DifflrError(
            f"The recording {shown(name)} cannot be read: {shown(str(error))}.",
            f"Pass a .json.gz file or one of those that come with difflr: {known}.",
        ) from error
    try:
        if len(text) > _MOST:
            raise ValueError("it is far larger than any recording")
        return _recording(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DifflrError(
            f"{shown(name)} is not a valid recording: {shown(str(error), 200)}.",
            f"Make it anew with save_recording (schema {SCHEMA}).",
        ) from error


def save_recording(journal: Path, out: Path, digits: int = 5) -> Recording:
    """Write a study's journal as a recording, numbers to ``digits`` significant digits; return it.

    The same journal gives the same bytes.
    """
    header, sessions, runs = read_journal(journal)
    if not runs:
        raise DifflrError(f"{journal} holds no finished run.", "Run the study first.")
    plans, lines = {}, []
    for run in runs:
        plan = Plan.from_dict(run["plan"])
        plans[plan.fingerprint] = plan.to_dict()
        lines.append({**run, "plan": plan.fingerprint})
    # Workers finish in any order; a recording has one.
    lines.sort(key=lambda run: (run["measured_on"], Cell.of(run).key, run["seed"]))
    lines = [{k: _rounded(v, digits) if k != "options" else v for k, v in r.items()} for r in lines]
    plans = dict(sorted(plans.items()))
    data = {"schema": SCHEMA, **header, "sessions": sessions, "plans": plans, "runs": lines}
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_name(f"{out.name}.{os.getpid()}.part")
    draft.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    draft.replace(out)
    return load_recording(out)


def _rounded(value: Any, digits: int) -> Any:
    if isinstance(value, list):
        return [_rounded(item, digits) for item in value]
    return float(f"{value:.{digits}g}") if isinstance(value, float) else value


def _recording(data: Any) -> Recording:
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


def _run(data: Mapping[str, Any], n_splits: int, n_sessions: int, plans: Mapping[str, Plan]) -> Run:
    expected = {f.name for f in fields(Run)} - {"cell"} | {f.name for f in fields(Cell)}
    if set(data) != expected:
        raise ValueError(f"a run has the fields {sorted(set(data) ^ expected)} too many or too few")
    for name in ("recipe", "shift", "bn", "measured_on", "plan"):
        if not isinstance(data[name], str):
            raise TypeError(f"{name} is {shown(data[name])}")
    options = {str(k): as_number(k, v) for k, v in data["options"].items()}
    cell = Cell(**{**{f.name: data[f.name] for f in fields(Cell)}, "options": options})
    as_int("epochs", cell.epochs, 1)
    if data["plan"] not in plans or plans[data["plan"]].epochs != cell.epochs:
        raise ValueError(f"no plan {data['plan']} of {cell.epochs} epochs")
    if data["measured_on"] not in ("validation", "test"):
        raise ValueError(f"measured_on is {data['measured_on']}")
    values: dict[str, Any] = {
        "cell": cell,
        "seed": as_int("seed", data["seed"], 0),
        "measured_on": data["measured_on"],
        "plan": data["plan"],
        "session": as_int("session", data["session"], 0, n_sessions - 1),
    }
    for name in _SHARES:
        values[name] = _number(name, data[name], 1.0)
    for name in _POSITIVE:
        values[name] = _number(name, data[name])
    for names, count in ((_PER_SPLIT, n_splits), (_PER_EPOCH, cell.epochs)):
        for name in names:
            if len(data[name]) != count:
                raise ValueError(f"{name} has {len(data[name])} numbers instead of {count}")
            most = 1.0001 if name in ("cka", "curve_accuracy") else math.inf
            values[name] = tuple(_number(name, v, most, -1e-4) for v in data[name])
    if values["accuracy"] is None:
        raise ValueError("a run has no accuracy")
    return Run(**values)


def _number(name: str, value: Any, most: float = math.inf, least: float = 0.0) -> float | None:
    return None if value is None else as_number(name, value, least, most)
