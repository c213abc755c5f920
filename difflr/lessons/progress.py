"""How far a learner has got over all lessons: a small file that outlives the kernel."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import import_module
from pathlib import Path
from typing import Any

from difflr.errors import DifflrError, as_int
from difflr.written.files import parse_json, read_within, user_path

__all__ = [
    "FILE",
    "LESSONS",
    "Attempt",
    "Progress",
    "all_titles",
    "forget",
    "note",
    "progress",
    "read",
    "read_kept",
    "tabulated",
]

FILE = "difflr-progress.json"
#: The folders of ``difflr.lessons`` by the name of their lesson.
LESSONS = {
    f"Lesson {number}": folder
    for number, folder in enumerate(
        (
            "splits",
            "freezing",
            "groups",
            "one_cycle",
            "phases",
            "comparing",
            "shifts",
            "own_images",
        ),
        1,
    )
}

#: Lesson to exercise to what is known of it: ``title``, ``done``, ``tries``, ``last`` (ISO 8601, UTC).
Records = dict[str, dict[str, dict[str, Any]]]


@dataclass(frozen=True)
class Attempt:
    """One run of a check on an answer that was begun."""

    number: str
    title: str
    done: bool


def place() -> Path:
    """Return the file: in the folder that ``DIFFLR_PROGRESS`` names, else where the notebook runs."""
    return user_path(os.environ.get("DIFFLR_PROGRESS") or ".") / FILE


def note(lesson: str, attempt: Attempt) -> None:
    """Add an attempt to the file. Where it cannot be written, the lesson goes on without it."""
    records = read_kept()
    own = records.setdefault(lesson, {}).setdefault(attempt.number, {})
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    own |= {"title": attempt.title, "done": attempt.done, "last": now}
    own["tries"] = int(own.get("tries", 0)) + 1
    _keep(records)


def forget(lesson: str) -> None:
    """Take a lesson out of the file."""
    records = read_kept()
    if records.pop(lesson, None):
        _keep(records)


def _keep(records: Records) -> None:
    try:
        path = place()
        part = path.with_suffix(".part")
        part.write_text(json.dumps({"difflr progress": 1, "lessons": records}, indent=1), "utf-8")
        part.replace(path)  # never half a file
    except (OSError, DifflrError):
        return


def read_kept() -> Records:
    """Return what the file holds; nothing where there is none, or one that cannot be read."""
    try:
        return read(place())
    except DifflrError:
        return {}


def read(path: Path) -> Records:
    """Return what a file of progress holds.

    Raises:
        DifflrError: when it is none.
    """
    try:
        data = parse_json(read_within(path))
        if data["difflr progress"] == 1:
            lessons = data["lessons"].items()
            return {
                str(name): {str(n): _known(own) for n, own in each.items()}
                for name, each in lessons
            }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    raise DifflrError(
        f"{path} is no file of progress.", f"Pass files named {FILE} that the lessons wrote."
    )


def _known(own: dict[str, Any]) -> dict[str, Any]:
    return {**own, "tries": as_int("tries", own["tries"], 0, 10**9), "done": bool(own["done"])}


def all_titles() -> dict[str, dict[str, str]]:
    """Return the exercises of all lessons: lesson to number to title."""
    found = {}
    for name, folder in LESSONS.items():
        found[name] = dict(import_module(f"difflr.lessons.{folder}").lesson.titles)
    return found


def tabulated(paths: Iterable[Path]) -> str:
    """Return a row for each file of progress, and below how many have done each exercise.

    Raises:
        DifflrError: for a file that holds no progress.
    """
    titles = all_titles()
    rows = [(path, read(path)) for path in paths]
    names = [path.parent.name if path.name == FILE else path.stem for path, _ in rows]
    width = max(map(len, [*names, "exercise"]))
    heads = [name.removeprefix("Lesson ") for name in titles]
    lines = [f"{'lesson':<{width}}  " + "  ".join(f"{head:>3}" for head in heads) + "  all"]
    for name, (_, records) in zip(names, rows, strict=True):
        counts = [sum(_done(records, lesson, n) for n in own) for lesson, own in titles.items()]
        cells = [f"{c}/{len(own)}" for c, own in zip(counts, titles.values(), strict=True)]
        lines.append(
            f"{name:<{width}}  " + "  ".join(f"{c:>3}" for c in cells) + f"  {sum(counts)}"
        )
    lines += ["", f"{'exercise':<{width}}  done by  tries (mean)"]
    for lesson, own in titles.items():
        for number, title in own.items():
            seen = [records.get(lesson, {}).get(number, {}) for _, records in rows]
            tries = [int(each["tries"]) for each in seen if each.get("tries")]
            mean = f"{sum(tries) / len(tries):.1f}" if tries else "-"
            done = sum(bool(each.get("done")) for each in seen)
            lines.append(f"{number:<{width}}  {done:>7}  {mean:>11}  {title}")
    return "\n".join(lines)


def _done(records: Records, lesson: str, number: str) -> bool:
    return bool(records.get(lesson, {}).get(number, {}).get("done"))


class Progress:
    """The progress over all lessons, as a notebook shows it."""

    def __repr__(self) -> str:
        records, lines, done, total = read_kept(), [], 0, 0
        for name, own in all_titles().items():
            finished = [number for number in own if _done(records, name, number)]
            marks = " ".join(f"{number} {'✓' if number in finished else '○'}" for number in own)
            lines.append(f"{name}: {len(finished)} of {len(own)} done ({marks})")
            done, total = done + len(finished), total + len(own)
        where = f"kept in {FILE}" if records else "nothing is kept yet"
        return "\n".join([f"{done} of {total} exercises done ({where})", *lines])


def progress() -> Progress:
    """Return the progress over all lessons, from the file beside the notebooks."""
    return Progress()
