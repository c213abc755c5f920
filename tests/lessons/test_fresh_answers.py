"""Answers that were written from the exercises' texts alone, before anybody looked at the checks.

They lie in ``fresh/lesson*.txt``, each below a line with its exercise, whether it is right or wrong, for a
wrong one a pattern of what a true diagnosis says, and what is odd or wrong about it. They run as learners
run them: code below the lesson's imports, and then the cell with the check.
"""

import linecache
import re
import tempfile
from fractions import Fraction
from functools import cache
from pathlib import Path

import jupytext
import numpy as np
import pytest
import torch

HERE = Path(__file__).parent
NOTEBOOKS = HERE.parents[1] / "notebooks"
HEADING = re.compile(r"^## (\d\.\d) (?:(right)|wrong, says (.+?)): (.+)$", re.MULTILINE)

#: What the cells before the exercises have defined, lesson by lesson, where answers ask for it.
BEFORE = {
    "1": "splits = difflr.split_model(difflr.load_backbone('strokenet').build(10))",
    "4": "between = lambda start, end, share: end + (start - end) / 2 * (math.cos(math.pi * share) + 1)",
    "6": """
T95 = {1: 12.706, 2: 4.3027, 3: 3.1824, 4: 2.7764, 5: 2.5706, 9: 2.2622}
RATES = [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2]
""",
    "7": "study, backbone = five_recipes(load_recording('which_splits')), difflr.load_backbone(BACKBONE)",
    "8": """
workshop = tempfile.TemporaryDirectory()
data = load_data(str(write_example(Path(workshop.name) / "drawings")))
brought = difflr.split_model(difflr.load_backbone(BACKBONE).build(0, new_head=False))
""",
}


def answers():
    """Return (exercise, right or not, what a diagnosis says, what is odd, code) for each answer."""
    for path in sorted((HERE / "fresh").glob("lesson*.txt")):
        text = path.read_text("utf-8")
        found = [*HEADING.finditer(text)]
        assert len(found) == len(re.findall("^## ", text, re.MULTILINE)), path
        for heading, end in zip(found, [*(m.start() for m in found[1:]), None], strict=True):
            exercise, right, says, what = heading.groups()
            yield pytest.param(
                exercise,
                says,
                text[heading.end() + 1 : end],
                id=f"{exercise} {right or 'wrong'}: {what}",
            )


@cache
def lesson(number):
    """Return the names that a lesson imports or defines for its exercises, and its cells with checks."""
    cells = jupytext.read(next(NOTEBOOKS.glob(f"0{number}_*.py"))).cells
    tagged = [
        (cell.source, cell.metadata.get("tags", [])) for cell in cells if cell.cell_type == "code"
    ]
    names = {
        "np": np,
        "torch": torch,
        "Fraction": Fraction,
        "tempfile": tempfile,
        "BACKBONE": "strokenet",
    }
    exec(next(source for source, tags in tagged if "setup" not in tags), names)
    exec(BEFORE.get(number, ""), names)
    return names, [source for source, tags in tagged if "check" in tags]


@pytest.mark.parametrize(("exercise", "says", "code"), [*answers()])
def test_an_answer_is_judged_as_its_writer_would(exercise, says, code):
    """Every right answer is accepted, every wrong one rejected with a true diagnosis."""
    number, _, place = exercise.partition(".")
    names, checks = lesson(number)
    own, name = dict(names), f"<answer {exercise}>"
    linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
    exec(compile(code, name, "exec"), own)
    verdict = eval(checks[int(place) - 1], own)
    assert verdict.state == ("wrong" if says else "done"), verdict
    if says:
        assert re.search(says, "\n".join([verdict.message, *verdict.hints]), re.DOTALL), verdict
