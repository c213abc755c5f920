"""Lessons as assignments for nbgrader and otter: what learners get, and what the tools make of an answer."""

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import derive
import graders
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"

STUB = 'prediction = {"parameters": ..., "operations": ...}'
RIGHT = 'prediction = {"parameters": "layer4", "operations": "layer1"}'
ANSWERS = {"right": RIGHT, "wrong": RIGHT.replace("layer1", "head"), "broken": "1 / 0"}


@pytest.fixture(params=sorted(NOTEBOOKS.glob("0[1-8]_*.ipynb")), ids=lambda path: path.stem)
def lesson(request):
    """A lesson with exercises."""
    return nbformat.read(request.param, 4)


def small():
    """A lesson with one exercise."""
    source = 'source = "difflr[kit] @ git+https://example.org/difflr"'
    cells = [
        new_markdown_cell("# A lesson"),
        new_code_cell(f"from difflr.lessons.splits import check_prediction\n{source}"),
        new_code_cell(STUB, metadata={"tags": ["exercise"]}),
        new_code_cell("check_prediction(prediction)", metadata={"tags": ["check"]}),
        new_markdown_cell(f"```python\n{RIGHT}\n```", metadata={"tags": ["solution"]}),
    ]
    for index, cell in enumerate(cells):
        cell.id = f"small-{index}"
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return new_notebook(cells=cells, metadata=kernel)


def solutions(notebook):
    """Return the solutions by the stub's cell id."""
    return {stub.id: code for stub, code in derive.exercises(notebook)}


def run(*command, cwd):
    """Run one of the two tools, which look for programs of their environment on the path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=cwd,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def answered(released, folder):
    """Write what learners hand in: the released notebook with each answer in place of the stub."""
    for who, answer in ANSWERS.items():
        notebook = nbformat.read(released, 4)
        (stub,) = (c for c in notebook.cells if c.source.strip() == STUB)
        assert RIGHT not in str(notebook)
        stub.source = answer
        path = folder / who / "small" / "small.ipynb"
        path.parent.mkdir(parents=True)
        nbformat.write(notebook, path)


@pytest.mark.parametrize("mark", [graders.nbgrader, graders.otter])
def test_what_learners_get_is_the_stub(lesson, mark):
    """Between the marks stands the solution; without it the cell is the stub, and no solution is left."""
    known = solutions(lesson)
    stubs = {c.id: c.source for c in lesson.cells if c.id in known}
    made = mark(lesson, known)
    nbformat.validate(made)
    for cell in made.cells:
        if cell.id in known:
            left = re.sub(r"\n#+ BEGIN SOLUTION.*?# END SOLUTION", "", cell.source, flags=re.DOTALL)
            assert left == stubs[cell.id]
            assert known[cell.id] in cell.source
    assert {*known} <= {c.id for c in made.cells}
    assert not [c for c in made.cells if "solution" in c.metadata.get("tags", [])]


def test_each_check_is_worth_one_point_in_nbgrader(lesson):
    """As many graded and locked cells as exercises, each with a name of its own."""
    known = solutions(lesson)
    marks = [
        c.metadata["nbgrader"]
        for c in graders.nbgrader(lesson, known).cells
        if "nbgrader" in c.metadata
    ]
    assert [m["points"] for m in marks if m["grade"] and m["locked"]] == [1] * len(known)
    assert len({m["grade_id"] for m in marks}) == 2 * len(known)


@pytest.mark.skipif(not find_spec("nbgrader"), reason="nbgrader is not installed")
def test_nbgrader_gives_the_point_to_the_right_answer_alone(tmp_path, monkeypatch):
    """Released, answered in three ways and graded by nbgrader itself."""
    from nbgrader.api import Gradebook

    monkeypatch.setenv("DIFFLR_PROGRESS", str(tmp_path))
    source = tmp_path / "source" / "small"
    source.mkdir(parents=True)
    nbformat.write(graders.nbgrader(small(), solutions(small())), source / "small.ipynb")
    (tmp_path / "nbgrader_config.py").write_text(graders.NBGRADER_CONFIG)
    run("nbgrader", "generate_assignment", "small", cwd=tmp_path)
    answered(tmp_path / "release" / "small" / "small.ipynb", tmp_path / "submitted")
    run("nbgrader", "autograde", "small", cwd=tmp_path)
    with Gradebook(f"sqlite:///{tmp_path}/gradebook.db") as book:
        scores = {s.student.id: s.score for s in book.assignment_submissions("small")}
    assert scores == {"right": 1, "wrong": 0, "broken": 0}


@pytest.mark.skipif(not find_spec("otter"), reason="otter-grader is not installed")
def test_otter_gives_the_point_to_the_right_answer_alone(tmp_path, monkeypatch):
    """Assigned, answered in three ways and graded by otter itself, without Docker."""
    monkeypatch.setenv("DIFFLR_PROGRESS", str(tmp_path))
    nbformat.write(graders.otter(small(), solutions(small())), tmp_path / "small.ipynb")
    run("otter", "assign", "small.ipynb", "dist", cwd=tmp_path)
    answered(tmp_path / "dist" / "student" / "small.ipynb", tmp_path / "submitted")
    (archive,) = (tmp_path / "dist" / "autograder").glob("*.zip")
    scores = {}
    for who in ANSWERS:
        out = tmp_path / f"out-{who}"
        out.mkdir()
        path = tmp_path / "submitted" / who / "small" / "small.ipynb"
        run("otter", "run", "-a", str(archive), "-o", str(out), str(path), cwd=tmp_path)
        tests = json.loads((out / "results.json").read_text())["tests"]
        scores[who] = sum(test.get("score", 0) for test in tests)
    assert scores == {"right": 1, "wrong": 0, "broken": 0}
