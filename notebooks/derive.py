"""Make from the lessons what teachers need: solved lessons, or lessons whose solutions are hidden.

    python notebooks/derive.py --solved FOLDER
    python notebooks/derive.py --without-solutions FOLDER

In a lesson an exercise is a cell tagged ``exercise`` (the learner's stub), then a check, then a
Markdown cell tagged ``solution`` with one block of Python code. The solved lesson has that code in
place of the stub. Outputs are left out: run the notebook to see them.
"""

import argparse
import re
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import nbformat
from nbformat import NotebookNode

HERE = Path(__file__).parent
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def exercises(notebook: NotebookNode) -> list[tuple[NotebookNode, str]]:
    """Return each exercise's stub (the cell) and the code of its solution.

    Raises ``ValueError`` where a stub has no solution, or a solution no stub or not one code block.
    """
    found, stub = [], None
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if "exercise" in tags:
            if stub is not None:
                raise ValueError(f"This exercise has no solution:\n{stub.source}")
            stub = cell
        if "solution" in tags:
            blocks = BLOCK.findall(cell.source)
            if stub is None or len(blocks) != 1:
                raise ValueError(f"Not one exercise and one block of code:\n{cell.source}")
            found.append((stub, blocks[0].rstrip()))
            stub = None
    if stub is not None:
        raise ValueError(f"This exercise has no solution:\n{stub.source}")
    return found


def solved(notebook: NotebookNode) -> NotebookNode:
    """Return the lesson with each stub replaced by its solution."""
    result = deepcopy(notebook)
    for stub, code in exercises(result):
        stub.source = code
    return _cleared(result)


def without_solutions(notebook: NotebookNode) -> NotebookNode:
    """Return the lesson without the cells that hold the solutions."""
    result = deepcopy(notebook)
    result.cells = [c for c in result.cells if "solution" not in c.metadata.get("tags", [])]
    return _cleared(result)


def _cleared(notebook: NotebookNode) -> NotebookNode:
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def write(folder: Path, derive: Callable[[NotebookNode], NotebookNode]) -> None:
    """Derive every lesson into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(HERE.glob("[0-9]*_*.ipynb")):
        nbformat.write(derive(nbformat.read(path, 4)), folder / path.name)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--solved", type=Path, metavar="FOLDER")
    which.add_argument("--without-solutions", type=Path, metavar="FOLDER")
    chosen = parser.parse_args()
    if HERE.resolve() in [p.resolve() for p in (chosen.solved, chosen.without_solutions) if p]:
        parser.error("This would overwrite the lessons. Name another folder.")
    if chosen.solved:
        write(chosen.solved, solved)
    else:
        write(chosen.without_solutions, without_solutions)
