"""Make from the lessons what teachers need: solved lessons, or lessons whose solutions are hidden.

    python notebooks/derive.py --solved FOLDER
    python notebooks/derive.py --without-solutions FOLDER
    python notebooks/derive.py --slides FOLDER       for jupyter nbconvert (docs: teaching)
    python notebooks/derive.py --key FILE.md         every exercise with its solution
    python notebooks/derive.py --nbgrader FOLDER     a course for nbgrader: FOLDER/source/LESSON/LESSON.ipynb
    python notebooks/derive.py --otter FOLDER        for otter assign FOLDER/LESSON/LESSON.ipynb DIST

In a lesson an exercise is a cell tagged ``exercise`` (the learner's stub), then a check, then a
Markdown cell tagged ``solution`` with one block of Python code. The solved lesson has that code in
place of the stub. Outputs are left out: run the notebook to see them.
"""

import argparse
import re
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path

import graders
import nbformat
import slides
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


def key(notebook: NotebookNode) -> str:
    """Return the exercises of a lesson with their solutions, as Markdown."""
    lines = [notebook.cells[0].source.splitlines()[0], ""]
    for cell in notebook.cells:
        lines += re.findall(r"^### Exercise .*$", cell.source, re.MULTILINE)
        if "solution" in cell.metadata.get("tags", []):
            text = cell.source.removeprefix("<details><summary>Solution</summary>")
            lines += [text.removesuffix("</details>").strip(), ""]
    return "\n".join(lines)


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


def write_assignments(folder: Path, mark: Callable[..., NotebookNode]) -> None:
    """Write each lesson with exercises as the source of an assignment, in a folder of its own."""
    for path in sorted(HERE.glob("[0-9]*_*.ipynb")):
        lesson = nbformat.read(path, 4)
        if found := {stub.id: code for stub, code in exercises(lesson)}:
            own = folder / path.stem
            own.mkdir(parents=True, exist_ok=True)
            nbformat.write(mark(lesson, found), own / path.name)


def main(words: Sequence[str] | None = None) -> None:
    """Write what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    which = parser.add_mutually_exclusive_group(required=True)
    made = {"solved": solved, "without_solutions": without_solutions, "slides": slides.slides}
    for name in made:
        which.add_argument(f"--{name.replace('_', '-')}", type=Path, metavar="FOLDER")
    which.add_argument("--key", type=Path, metavar="FILE")
    which.add_argument("--nbgrader", type=Path, metavar="FOLDER")
    which.add_argument("--otter", type=Path, metavar="FOLDER")
    chosen = vars(parser.parse_args(words))
    if chosen["key"]:
        books = [nbformat.read(path, 4) for path in sorted(HERE.glob("[0-9]*_*.ipynb"))]
        chosen["key"].write_text("\n".join(key(book) for book in books if exercises(book)), "utf-8")
    for name, derive in made.items():
        if chosen[name] and chosen[name].resolve() == HERE.resolve():
            parser.error("This would overwrite the lessons. Name another folder.")
        if chosen[name]:
            write(chosen[name], derive)
    if chosen["slides"]:
        (chosen["slides"] / "slides_config.py").write_text(slides.CONFIG, "utf-8")
    if chosen["nbgrader"]:
        write_assignments(chosen["nbgrader"] / "source", graders.nbgrader)
        (chosen["nbgrader"] / "nbgrader_config.py").write_text(graders.NBGRADER_CONFIG, "utf-8")
    if chosen["otter"]:
        write_assignments(chosen["otter"], graders.otter)


if __name__ == "__main__":
    main()
