"""How far a learner has got over all lessons: a small file that outlives the kernel."""

import json
import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from importlib import import_module
from pathlib import Path
from typing import Any

from difflr.errors import DifflrError, as_int
from difflr.written.files import holding, parse_json, read_within, user_path, write_whole
from difflr.written.tables import aligned

__all__ = [
    "FILE",
    "LESSONS",
    "Progress",
    "all_titles",
    "forget",
    "listed",
    "note",
    "progress",
    "read",
    "read_kept",
    "tabulated",
]

FILE = "difflr-progress.json"
#: The folders of ``difflr.lessons`` by the name of their lesson.
LESSONS = {
    "Lesson 1": "splits",
    "Lesson 2": "freezing",
    "Lesson 3": "groups",
    "Lesson 4": "one_cycle",
    "Lesson 5": "phases",
    "Lesson 6": "comparing",
    "Lesson 7": "shifts",
    "Lesson 8": "own_images",
}

#: Lesson to exercise to what is known of it: ``title``, ``done``, ``tries``, ``last`` (ISO 8601, UTC).
Records = dict[str, dict[str, dict[str, Any]]]


def place() -> Path:
    """Return the file: in the folder that ``DIFFLR_PROGRESS`` names, else where the notebook runs."""
    return user_path(os.environ.get("DIFFLR_PROGRESS") or ".") / FILE


def note(lesson: str, number: str, title: str, done: bool) -> None:
    """Add an attempt at an exercise to the file. Where it cannot be written, the lesson goes on."""
    with _changing() as records:
        own = records.setdefault(lesson, {}).setdefault(number, {})
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        own |= {"title": title, "done": done, "last": now}
        own["tries"] = int(own.get("tries", 0)) + 1


def forget(lesson: str) -> None:
    """Take a lesson out of the file."""
    if lesson in read_kept():
        with _changing() as records:
            records.pop(lesson, None)


@contextmanager
def _changing() -> Iterator[Records]:
    """Keep what the block changes; of two notebooks at once, one waits for the other."""
    try:
        folder = place().parent
    except DifflrError:  # a folder that cannot be: the lesson goes on
        yield {}
        return
    with holding(folder):
        records = read_kept()
        yield records
        content = json.dumps({"difflr progress": 1, "lessons": records}, indent=1)
        with suppress(OSError, DifflrError):
            write_whole(place(), content.encode())


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
    return {
        name: dict(import_module(f"difflr.lessons.{folder}").lesson.titles)
        for name, folder in LESSONS.items()
    }


def tabulated(paths: Iterable[Path]) -> str:
    """Return a row for each file of progress, and below how many have done each exercise.

    Raises:
        DifflrError: for a file that holds no progress.
    """
    titles = all_titles()
    kept = [(path, read(path)) for path in paths]
    learners = [["lesson", *(name.removeprefix("Lesson ") for name in titles), "all"]]
    for path, records in kept:
        counts = [sum(_done(records, lesson, n) for n in own) for lesson, own in titles.items()]
        cells = [f"{c}/{len(own)}" for c, own in zip(counts, titles.values(), strict=True)]
        name = path.parent.name if path.name == FILE else path.stem
        learners.append([name, *cells, str(sum(counts))])
    exercises = [["exercise", "done by", "tries (mean)", ""]]
    for lesson, own in titles.items():
        for number, title in own.items():
            seen = [records.get(lesson, {}).get(number, {}) for _, records in kept]
            tries = [int(each["tries"]) for each in seen if each.get("tries")]
            mean = f"{sum(tries) / len(tries):.1f}" if tries else "-"
            done = sum(_done(records, lesson, number) for _, records in kept)
            exercises.append([number, str(done), mean, title])
    return "\n".join([*aligned(learners, words={0}), "", *aligned(exercises, words={0, 3})])


def listed(lesson: str, exercises: Collection[str], done: Collection[str]) -> str:
    """Say of a lesson how many of its exercises are done, and which."""
    marks = " ".join(f"{number} {'✓' if number in done else '○'}" for number in exercises)
    return f"{lesson}: {len(done)} of {len(exercises)} done ({marks})"


def _done(records: Records, lesson: str, number: str) -> bool:
    return bool(records.get(lesson, {}).get(number, {}).get("done"))


class Progress:
    """The progress over all lessons, as a notebook shows it."""

    def __repr__(self) -> str:
        records, lines, done, total = read_kept(), [], 0, 0
        for name, own in all_titles().items():
            finished = [number for number in own if _done(records, name, number)]
            lines.append(listed(name, own, finished))
            done, total = done + len(finished), total + len(own)
        where = f"kept in {FILE}" if records else "nothing is kept yet"
        return "\n".join([f"{done} of {total} exercises done ({where})", *lines])


def progress() -> Progress:
    """Return the progress over all lessons, from the file beside the notebooks."""
    return Progress()
