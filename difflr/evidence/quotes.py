"""Numbers in prose that come from a recording, written and checked by one command.

In Markdown (README, lessons) a quoted number stands between two comments that no reader sees, and
never at the beginning of a line:

    uniform reached <!--= recipes accuracy recipe=uniform epochs=6 -->66.1% ± 1.2<!--/-->

The first one says what it is: a recording, a measure, the tags of its runs (those reported on the
test pictures unless ``measured_on`` is given), and after ``vs`` the tags of a rival, which makes it a
paired difference. The measure is a field of ``difflr.studies.recordings.Run`` with one number per run; or
``width``: decades of the base learning rate within two points of the best (``plateau_width``); or
``accuracy_at_equal_seconds``: a recipe at all its lengths ``vs`` a rival at one (``equal_cost``).

    python -m difflr.evidence.quotes README.md notebooks/*.py           say which differ
    python -m difflr.evidence.quotes README.md notebooks/*.py --write   put the recorded numbers in
"""

import argparse
import re
import sys
from functools import lru_cache
from pathlib import Path

from difflr.errors import DifflrError, short_repr
from difflr.evidence.equal_cost import equal_cost
from difflr.evidence.summaries import (
    by_rate,
    describe_difference,
    difference,
    estimate,
    format_estimate,
    plateau_width,
)
from difflr.studies.design import tag_matches
from difflr.studies.recordings import Recording, Run, load_recording

__all__ = ["MEASURES", "quoted", "rewritten"]

_QUOTE = re.compile(r"<!--= *(?P<what>.*?) *-->(?P<text>.*?)<!--/-->", re.DOTALL)
MEASURES = ("accuracy", "source_accuracy", "source_before", "source_old_bn", "cpu_seconds", "flops")


def rewritten(text: str) -> tuple[str, list[tuple[str, str]]]:
    """Return the text with every quote as recorded, and the (old, new) of those that differed."""
    changes = []

    def put(match: re.Match[str]) -> str:
        new = quoted(match["what"])
        if new != match["text"]:
            changes.append((match["text"], new))
        return f"<!--= {match['what']} -->{new}<!--/-->"

    return _QUOTE.sub(put, text), changes


def quoted(what: str) -> str:
    """Return the recorded number for what stands in a quote's comment.

    Raises:
        DifflrError: for an unknown recording, measure or tag, or where no run has the tags.
    """
    ours, *rival = what.split(" vs ")
    name, measure, *tags = ours.split()
    recording = _load(name)
    runs = _runs(recording, tags)
    if measure == "accuracy_at_equal_seconds":
        if not rival:
            raise DifflrError(f"Received {short_repr(what)}.", "Say vs whose seconds.")
        return describe_difference(equal_cost(runs, _runs(recording, rival[0].split())))
    if rival:
        value = difference(runs, _runs(recording, rival[0].split()), _known(measure))
        return (
            describe_difference(value)
            if "accuracy" in measure
            else format_estimate(value, 1, 1, "")
        )
    if measure == "width":
        width = plateau_width(by_rate(runs))
        least = "at least " if width.at_edge else ""
        return f"{least}{width.decades:.1f} ({width.low:.1f} to {width.high:.1f})"
    value = estimate(runs, _known(measure))
    if measure == "flops":
        return f"{value.mean / 1e12:.2f}"
    return (
        format_estimate(value, 1, 1, " s") if measure == "cpu_seconds" else format_estimate(value)
    )


def _known(measure: str) -> str:
    if measure not in MEASURES:
        raise DifflrError(
            f"Received measure {short_repr(measure)}.",
            f"The measures are {', '.join(MEASURES)}, width, accuracy_at_equal_seconds.",
        )
    return measure


def _runs(recording: Recording, tags: list[str]) -> list[Run]:
    """Return the runs whose tags read as asked; those reported on test pictures are of the best LR."""
    asked = {"measured_on": "test", **dict(tag.partition("=")[::2] for tag in tags)}
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
    """Compare quoted numbers with the recordings: the command of this module."""
    parser = argparse.ArgumentParser(
        prog="python -m difflr.evidence.quotes", description=main.__doc__
    )
    parser.add_argument("files", nargs="+", type=Path, help="Markdown files and lessons (.py)")
    parser.add_argument("--write", action="store_true", help="put the recorded numbers in")
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
