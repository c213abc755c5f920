"""The lessons: each .py and its .ipynb are one, and what GitHub shows is meant to be seen."""

import json
import re
from pathlib import Path

import jupytext
import pytest

LESSONS = sorted((Path(__file__).parents[1] / "notebooks").glob("[0-9]*_*.py"))


@pytest.fixture(params=LESSONS, ids=lambda path: path.stem)
def lesson(request):
    """The path of a lesson's .py."""
    return request.param


def test_there_are_lessons():
    """The tests below have something to look at."""
    assert LESSONS


def test_script_and_notebook_are_one(lesson):
    """Both files hold the same cells with the same tags (jupytext's --sync goes by time stamps)."""
    script, notebook = jupytext.read(lesson), jupytext.read(lesson.with_suffix(".ipynb"))

    def cells(book):
        return [(c.cell_type, c.source, sorted(c.metadata.get("tags", []))) for c in book.cells]

    assert cells(script) == cells(notebook)


def test_only_outputs_meant_to_be_read_are_kept(lesson):
    """No volatile output, count, widget state or error is in the committed notebook."""
    notebook = json.loads(lesson.with_suffix(".ipynb").read_text("utf-8"))
    assert "widgets" not in notebook["metadata"]
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            kept = {"NBVAL_CHECK_OUTPUT", "keep_output"} & set(cell["metadata"].get("tags", []))
            assert (cell["execution_count"] is not None) == bool(kept)  # nbval asks for both
            assert bool(cell["outputs"]) == bool(kept), cell["source"]
            for output in cell["outputs"]:
                assert output["output_type"] != "error"
                if "image/png" in output.get("data", {}):
                    assert len(output["metadata"]["image/png"]["alt"]) > 20


def test_lesson_opens_and_closes_as_every_lesson_does(lesson):
    """Questions, objectives and minutes come first; key points and sources come last."""
    prose = [c.source for c in jupytext.read(lesson).cells if c.cell_type == "markdown"]
    first, last = prose[0], prose[-1]
    assert first.startswith("# ")
    for part in ("**Questions.**", "**After this lesson you can**", "**Time:**"):
        assert part in first
    assert re.search(r"\d+ minutes", first)
    assert "## Key points" in last
    assert "**Sources:**" in last
