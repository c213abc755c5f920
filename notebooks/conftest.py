"""Each lesson runs once under nbval: as it is, and then as of a learner who goes back to the exercises.

Below the lesson's own cells, in the same kernel, follow each exercise's solution, its check, which has to be
content, and the cells that use what the solution defines. All that is slow has run by then.
"""

import ast
from collections import defaultdict
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import derive
import nbformat
import pytest
from nbval.plugin import IPyNbCell, IPyNbFile


class Lesson(IPyNbFile):
    """The cells of a notebook, then those of its solutions."""

    def collect(self) -> Iterator[IPyNbCell]:
        """Yield a test for each cell."""
        yield from super().collect()
        for number, code in enumerate(going_back(self.nb)):
            cell = nbformat.v4.new_code_cell(code)
            yield IPyNbCell.from_parent(
                self, name=f"Solved {number}", cell_num=number, cell=cell, options=defaultdict(bool)
            )


def going_back(notebook: nbformat.NotebookNode) -> Iterator[str]:
    """Yield the code of the solutions, of their checks, and of the cells that use what they define."""
    solutions = {stub.id: code for stub, code in derive.exercises(notebook)}
    solved: set[str] = set()
    done = 0
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        if cell.id in solutions:
            yield solutions[cell.id]
            solved |= defined(solutions[cell.id])
        elif "check" in cell.metadata.get("tags", []):
            done += 1
            yield (
                f"verdict = repr({cell.source})\n"
                "assert verdict.startswith('✓ done'), verdict\n"
                f"assert ': {done} of {len(solutions)} done' in verdict, verdict"
            )
        elif solved and solved & names(ast.parse(cell.source), ast.Load):
            yield cell.source


def defined(code: str) -> set[str]:
    """Return the names that code defines at its top level."""
    found: set[str] = set()
    for node in ast.parse(code).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        else:
            found |= names(node, ast.Store)
    return found


def names(tree: ast.AST, context: type) -> set[str]:
    """Return the names that code reads (``ast.Load``) or writes (``ast.Store``)."""
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.Name))
    return {node.id for node in nodes if isinstance(node.ctx, context)}


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path: Path, parent: Any) -> Generator[None, list[Any], list[Any]]:
    """Take notebooks from nbval."""
    collected = yield
    return [
        Lesson.from_parent(parent, path=file_path) if isinstance(one, IPyNbFile) else one
        for one in collected
    ]
