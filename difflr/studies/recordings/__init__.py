"""Recordings: finished studies as small open files, here and anywhere else (``.json.gz``).

A recording is one gzip-ed JSON object:

- ``schema``: ``"difflr-recording/1"``; ``study``: its name;
- ``about``: what all runs share: data and the SHA-256 of all its pictures and labels, their numbers
  (pool, validation, test), backbone, weights and their SHA-256, source task, names of the splits,
  optimizer, batch size, augmentation;
- ``sessions``: date, machine, jobs × threads and versions of each call that added runs;
- ``plans``: fingerprint to plan, as ``Plan.to_dict``;
- ``runs``: one object per run:
  ``recipe``, ``options`` (of ``make_plan``), ``train_size``, ``epochs``, ``shift``, ``bn``,
  ``augment``, ``optimizer`` (their defaults where they are missing; see
  ``difflr.studies.cell.Cell``), ``seed``,
  ``measured_on`` (``"validation"`` or ``"test"``), ``plan`` (a fingerprint;
  null where another package trained by a schedule of its own, whose ``recipe`` then begins
  with the package's name), ``session`` (an index), and the measures, null where not finite
  or not measured:
  ``accuracy`` (0 to 1), ``loss`` (mean cross-entropy; null where training diverged),
  ``seconds`` (training, by the clock),
  ``cpu_seconds`` (training, of all threads together), ``flops`` (training),
  ``source_before`` and ``source_accuracy`` (old head, before and after training, 0 to 1) and
  ``source_old_bn`` and ``source_recalibrated`` (after training, BatchNorm's statistics those of before, or
  estimated anew on other pictures of the source task);
  one number per split: ``displacement`` and ``drift`` (relative L2, weights and BatchNorm
  statistics), ``cka`` (0 to 1); one number per epoch: ``curve_loss`` (training),
  ``curve_accuracy`` (0 to 1, on a fixed part of the pictures that the run is measured on), both
  empty where not measured.
"""

import gzip
import json
import os
import zlib
from dataclasses import asdict, fields
from importlib import resources
from pathlib import Path
from typing import Any

from difflr.errors import DifflrError, short_repr
from difflr.plan import Plan
from difflr.runs.journal import read_journal, write_journal
from difflr.studies.cell import Cell
from difflr.studies.recordings.schema import SCHEMA, Recording, Run, parse
from difflr.written.files import (
    MOST_BYTES,
    MOST_VALUES,
    parse_json,
    user_path,
    write_whole,
    writing,
)

__all__ = [
    "Recording",
    "Run",
    "list_recordings",
    "load_recording",
    "restore_journal",
    "save_recording",
]


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
    path = user_path(name)
    if name in list_recordings():
        path = Path(str(resources.files(__name__) / f"{name}.json.gz"))
    try:
        # A large one may hold much, a small one that does is no recording: they shrink to a tenth or so.
        size = path.stat().st_size
        most = max(MOST_BYTES, 30 * size)
        with gzip.open(path) as file:
            text = file.read(most + 1)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        known = ", ".join(list_recordings()) or "none yet"
        raise DifflrError(
            f"The recording {short_repr(name)} cannot be read: {short_repr(str(error))}.",
            f"Pass a .json.gz file or one of those that come with difflr: {known}.",
        ) from error
    try:
        if len(text) > most:
            raise ValueError("it is far larger than any recording")
        return parse(parse_json(text, max(MOST_VALUES, size)))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DifflrError(
            f"{short_repr(name)} is not a valid recording: {short_repr(str(error), 200)}.",
            f"Make it anew with save_recording (schema {SCHEMA}).",
        ) from error


def save_recording(journal: Path, out: Path) -> Recording:
    """Write a study's journal as a recording, numbers to five significant digits; return it.

    The same journal gives the same bytes.
    """
    header, sessions, runs = read_journal(journal)
    if not runs:
        raise DifflrError(f"{journal} holds no finished run.", "Run the study first.")
    plans, lines = {}, []
    # Runs share their plan (see ``read_journal``).
    fingerprints: dict[int, str | None] = {id(None): None}
    for run in runs:
        if id(run["plan"]) not in fingerprints:
            plan = Plan.from_dict(run["plan"])
            fingerprints[id(run["plan"])] = plan.fingerprint
            plans[plan.fingerprint] = plan.to_dict()
        lines.append({**run, "plan": fingerprints[id(run["plan"])]})
    # Workers finish in any order; a recording has one.
    lines.sort(key=lambda run: (run["measured_on"], Cell.of(run).key, run["seed"]))
    lines = [{k: _rounded(v) if k != "options" else v for k, v in r.items()} for r in lines]
    plans = dict(sorted(plans.items()))
    data = {"schema": SCHEMA, **header, "sessions": sessions, "plans": plans, "runs": lines}
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    with writing(out, f"All runs are in {journal}: make room, then give the same command again."):
        write_whole(out, gzip.compress(text.encode(), 9, mtime=0))
    return load_recording(out)


def restore_journal(recording: Recording, path: Path) -> None:
    """Write the journal that a study goes on from, where only its recording is at hand.

    Numbers are those of the recording, rounded; a journal that is there already is left alone.
    """
    runs = [
        {
            **asdict(run.cell),
            **{item.name: getattr(run, item.name) for item in fields(run) if item.name != "cell"},
            "plan": run.plan and recording.plan_of(run).to_dict(),
        }
        for run in sorted(recording.runs, key=lambda run: run.session)
    ]
    write_journal(path, recording.study, recording.about, recording.sessions, runs)


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value
