"""Numbers in texts that come from a recording: tables that one command writes, and what sentences quote.

A table (``difflr.evidence.tables``) stands between two comments of its own, and is generated:

    <!-- table: plateau -->
    <!-- end of table -->

Every difference in a table has in brackets the smallest one that it could have seen with 80% power.

Sentences have no comments: ``tests/evidence/test_quotes.py`` lists what they quote, by ``quoted``.

What is quoted is said by a recording, a measure, the tags of its runs (those reported on the test
pictures unless ``measured_on`` is given), and after ``vs`` the tags of a rival, which makes it a paired
difference. The measure is a field of ``difflr.studies.recordings.Run`` with one number per run; or
``width``: decades of the base LR within ``within=0.02`` of the best (``plateau_width``, against a rival
``width_difference``); or ``ten_times_too_high`` (``when_off_difference``); or ``tuned``
(``tuned_difference``: the choice of the learning rate is part of its interval);
or ``best_rate`` (the base LR of the runs);
or ``detectable`` (the smallest difference of accuracies seen with 80% power); or ``holm`` (p of the
difference, corrected for all recipes that were compared with the rival); or ``tuned_detectable`` and
``tuned_holm``, the same of the tuned difference; or
``accuracy_at_equal_seconds``: a recipe at all its lengths ``vs`` a rival at one (``equal_cost``); or
``kept_at_equal_accuracy`` (of the source task, from ``difflr.evidence.forgetting``).

    python -m difflr.evidence.quotes docs/*.md           say which tables differ
    python -m difflr.evidence.quotes docs/*.md --write   write them anew
"""

import argparse
import re
import sys
from collections.abc import Callable
from functools import lru_cache
from itertools import zip_longest
from pathlib import Path
from typing import Any

from difflr.errors import DifflrError, short_repr
from difflr.evidence.equal_cost import equal_cost
from difflr.evidence.forgetting import kept_at_equal_accuracy
from difflr.evidence.nested import tuned_difference
from difflr.evidence.summaries import (
    SIDE,
    by_rate,
    describe_difference,
    difference,
    estimate,
    format_estimate,
    grouped,
    plateau_width,
    when_off_difference,
    width_difference,
)
from difflr.evidence.tables import TABLES
from difflr.figures.words import short
from difflr.runs.statistics import Estimate, detectable, holm, p_value
from difflr.studies.cell import tag_matches
from difflr.studies.recordings import Recording, Run, load_recording

__all__ = ["MEASURES", "quoted", "rewritten"]

_TABLE = re.compile(
    r"<!-- table: *(?P<name>.*?) *-->\n(?P<text>.*?)<!-- end of table -->", re.DOTALL
)
MEASURES = (
    *("accuracy", "source_accuracy", "source_before", "source_old_bn", "source_recalibrated"),
    *("cpu_seconds", "flops"),
)
_GAPS: dict[str, Callable[[list[Run], list[Run]], Estimate]] = {
    "accuracy_at_equal_seconds": equal_cost,
    "detectable": difference,
    "kept_at_equal_accuracy": kept_at_equal_accuracy,
    "ten_times_too_high": lambda runs, theirs: when_off_difference(runs, theirs, 10),
    "tuned": tuned_difference,
    "tuned_detectable": tuned_difference,
}


def rewritten(text: str) -> tuple[str, list[tuple[str, str]]]:
    """Return the text with every table as recorded, and the (old, new) of the rows that differed."""
    changes: list[tuple[str, str]] = []

    def put_table(match: re.Match[str]) -> str:
        name, old = match["name"], match["text"].splitlines()
        new = _table(name)
        changes.extend(
            (ours or "", theirs or "")
            for ours, theirs in zip_longest(old, new.splitlines())
            if ours != theirs
        )
        return f"<!-- table: {name} -->\n{new}<!-- end of table -->"

    return _TABLE.sub(put_table, text), changes


def _table(name: str) -> str:
    if name not in TABLES:
        raise DifflrError(
            f"Received table {short_repr(name)}.", f"Pass one of {', '.join(TABLES)}."
        )
    head, rows = TABLES[name]
    heads = head.split(" | ")
    lines = [heads, ["---"] * len(heads)]
    lines += [
        [label, *(what and quoted(what, verdict=False, power=True) for what in row)]
        for label, row in rows.items()
    ]
    return "\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines) + "\n"


def quoted(what: str, *, verdict: bool = True, power: bool = False) -> str:
    """Return the recorded number for what is quoted.

    Args:
        what: recording, measure and tags, as above.
        verdict: whether a difference of accuracies is said in the words of ``describe_difference``.
        power: whether in brackets after a difference stands what could have been seen.

    Raises:
        DifflrError: for an unknown recording, measure or tag, or where no run has the tags.
    """
    ours, *rival = what.split(" vs ")
    name, measure, *tags = ours.split()
    recording = _load(name)
    if rival:
        return _compared(recording, measure, tags, rival[0].split(), verdict, power)
    if measure in _GAPS or measure.endswith("holm"):
        raise DifflrError(f"Received {short_repr(what)}.", "Say vs whose.")
    runs = _runs(recording, tags)
    if measure == "best_rate":
        (rate,) = {run.tags["base_lr"] for run in runs}
        return short(rate)
    if measure == "width":
        width = plateau_width(by_rate(runs), _within(tags))
        least = "at least " if width.at_edge else ""
        return f"{least}{width.decades:.1f} ({width.low:.1f} to {width.high:.1f})"
    value = estimate(runs, _known(measure))
    if measure == "flops":
        return f"{value.mean / 1e12:.2f}"
    return (
        format_estimate(value, 1, 1, " s") if measure == "cpu_seconds" else format_estimate(value)
    )


def _compared(
    recording: Recording,
    measure: str,
    tags: list[str],
    others: list[str],
    verdict: bool,
    power: bool,
) -> str:
    tuned = measure.startswith("tuned") or measure == "kept_at_equal_accuracy"
    runs, theirs = (_runs(recording, side, tuned) for side in (tags, others))
    if measure == "width":
        wider = width_difference(runs, theirs, _within(tags))
        return f"{wider} ({detectable(wider):.2f})" if power else str(wider)
    if measure.endswith("holm"):
        return _corrected(recording, tags, theirs, tuned)
    between = _GAPS.get(measure)
    value = between(runs, theirs) if between else difference(runs, theirs, _known(measure))
    if measure.endswith("detectable"):
        return f"{100 * detectable(value):.1f} points"
    if measure in ("cpu_seconds", "flops"):
        return format_estimate(value, 1, 1, "")
    said = describe_difference(value) if verdict else format_estimate(value, unit="", sign=True)
    return f"{said} ({100 * detectable(value):.1f})" if power else said


def _corrected(recording: Recording, tags: list[str], theirs: list[Run], tuned: bool) -> str:
    """Return Holm's p of a recipe against a rival, among all recipes with its other tags."""
    same = [tag for tag in tags if not tag.startswith(("recipe=", "ratio=", "decay="))]
    sides = grouped(_runs(recording, same, tuned), *SIDE)
    sides.pop(_side(theirs), None)
    gap = tuned_difference if tuned else difference
    found = holm([p_value(gap(runs, theirs)) for runs in sides.values()])
    p = dict(zip(sides, found, strict=True))[_side(_runs(recording, tags))]
    return "< 0.001" if p < 0.001 else f"{p:.2g}"


def _side(runs: list[Run]) -> tuple[Any, ...]:
    return tuple(runs[0].tags[tag] for tag in SIDE)


def _within(tags: list[str]) -> float:
    return next((float(tag[7:]) for tag in tags if tag.startswith("within=")), 0.02)


def _known(measure: str) -> str:
    if measure not in MEASURES:
        raise DifflrError(
            f"Received measure {short_repr(measure)}.",
            f"The measures are {', '.join((*MEASURES, 'width', 'holm', 'tuned_holm', *_GAPS))}.",
        )
    return measure


def _runs(recording: Recording, tags: list[str], tuned: bool = False) -> list[Run]:
    """Return the runs whose tags read as asked; those reported on test pictures are of the best LR.

    Without ``measured_on`` these alone, unless ``tuned``: then also those that chose it.
    """
    asked = dict(tag.partition("=")[::2] for tag in tags)
    if not tuned:
        asked.setdefault("measured_on", "test")
    asked.pop("within", None)
    unknown = set(asked) - set(recording.runs[0].tags)
    if unknown:
        raise DifflrError(
            f"Received tags {', '.join(sorted(unknown))}.",
            f"Pass some of {', '.join(recording.runs[0].tags)}.",
        )
    found = [
        run for run in recording.runs if all(tag_matches(run.tags[k], v) for k, v in asked.items())
    ]
    if not found:
        raise DifflrError(
            f"No run of {recording.study} has {' '.join(tags)}.",
            "Look at recording.values(tag) for what was tried.",
        )
    return found


@lru_cache(maxsize=8)
def _load(name: str) -> Recording:
    return load_recording(name)


def main() -> int:
    """Compare tables with the recordings: the command of this module."""
    parser = argparse.ArgumentParser(
        prog="python -m difflr.evidence.quotes", description=main.__doc__
    )
    parser.add_argument("files", nargs="+", type=Path, help="Markdown files")
    parser.add_argument("--write", action="store_true", help="write the tables anew")
    arguments = parser.parse_args()
    stale = False
    for path in arguments.files:
        try:
            text, changes = rewritten(path.read_text("utf-8"))
        except (DifflrError, OSError) as error:
            parser.error(f"{path}: {error}")
        for old, new in changes:
            print(f"{path}: {old or '(nothing)'} -> {new}")
        if changes and arguments.write:
            path.write_text(text, "utf-8")
        stale = stale or bool(changes)
    return int(stale and not arguments.write)


if __name__ == "__main__":
    sys.exit(main())
