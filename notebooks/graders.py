"""A lesson as the source of an assignment, for nbgrader or for otter; ``derive.py`` writes them.

Each exercise becomes one question of one point: the learner's stub with the solution between the marks that
the tool takes out, and the lesson's own check as its test. Nobody's notebook stops at an exercise that is not
done, and learners see the check's hints as in the lesson.
"""

import re
from copy import deepcopy

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_output, new_raw_cell

__all__ = ["NBGRADER_CONFIG", "nbgrader", "otter"]

#: Beside the folder ``source``: stubs stay as they are, and training may take its time.
NBGRADER_CONFIG = """\
c = get_config()
c.CourseDirectory.course_id = "difflr"
c.ClearSolutions.code_stub = {"python": ""}
c.Execute.timeout = 900
"""

_OTTER_CONFIG = """\
# ASSIGNMENT CONFIG
name: {name}
init_cell: false
export_cell: false
requirements:
  - "{source}"
"""


def nbgrader(lesson: NotebookNode, solutions: dict[str, str]) -> NotebookNode:
    """Return the source of an nbgrader assignment; ``solutions`` is the code by the stub's cell id."""
    result, name = _without_solutions(lesson), ""
    for cell in result.cells:
        if cell.id in solutions:
            name = _name(solutions, cell.id)
            cell.source += f"\n### BEGIN SOLUTION\n{solutions[cell.id]}\n### END SOLUTION"
            cell.metadata["nbgrader"] = _marks(f"exercise-{name}", solution=True)
        elif "check" in cell.metadata.get("tags", []):
            # A number as the last output is the points; an error would be 0, and end a learner's Run All.
            cell.source = f"verdict = {cell.source}\ndisplay(verdict)\nfloat(verdict.done)"
            cell.metadata["nbgrader"] = _marks(f"check-{name}", grade=True, locked=True, points=1)
    return result


def otter(lesson: NotebookNode, solutions: dict[str, str]) -> NotebookNode:
    """Return the source of an assignment for ``otter assign``; learners need no otter to work on it."""
    source = re.search(r'"(difflr\[kit\] @ [^"]+)"', "".join(c.source for c in lesson.cells))
    title = lesson.cells[0].source.splitlines()[0].lstrip("# ")
    config = _OTTER_CONFIG.format(name=re.sub(r"\W+", "-", title).lower(), source=source[1])
    cells, name = [new_raw_cell(config)], ""
    for cell in _without_solutions(lesson).cells:
        if cell.id in solutions:
            name = _name(solutions, cell.id)
            code = solutions[cell.id]
            cell.source += f"\n# BEGIN SOLUTION NO PROMPT\n{code}\n# END SOLUTION"
            question = f"# BEGIN QUESTION\nname: q{name}\npoints: 1\ncheck_cell: false"
            cells += [new_raw_cell(question), new_raw_cell("# BEGIN SOLUTION"), cell]
            cells += [new_raw_cell("# END SOLUTION")]
        elif "check" in cell.metadata.get("tags", []):
            true = new_output("execute_result", {"text/plain": "True"}, execution_count=1)
            test = new_code_cell(f"{cell.source}.done", outputs=[true])
            cells += [new_raw_cell("# BEGIN TESTS"), test, new_raw_cell("# END TESTS")]
            cells += [new_raw_cell("# END QUESTION"), cell]
        else:
            cells.append(cell)
    return nbformat.v4.new_notebook(cells=cells, metadata=lesson.metadata)


def _without_solutions(lesson: NotebookNode) -> NotebookNode:
    result = deepcopy(lesson)
    result.cells = [c for c in result.cells if "solution" not in c.metadata.get("tags", [])]
    for cell in result.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return result


def _name(solutions: dict[str, str], stub: str) -> str:
    return str([*solutions].index(stub) + 1)


def _marks(
    name: str, *, grade: bool = False, solution: bool = False, locked: bool = False, points: int = 0
) -> dict[str, object]:
    """Return nbgrader's metadata of a cell."""
    marks = {
        "grade_id": name,
        "grade": grade,
        "solution": solution,
        "locked": locked,
        "task": False,
    }
    return (
        marks | {"schema_version": 3, "cell_type": "code"} | ({"points": points} if grade else {})
    )
