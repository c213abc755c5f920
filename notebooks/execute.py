"""Make each lesson's .ipynb from its .py: run it, and keep the outputs that are meant to be read.

    python notebooks/execute.py            all lessons
    python notebooks/execute.py 00 07      those whose names begin with 00 or 07

Kept are the outputs of cells tagged NBVAL_CHECK_OUTPUT (facts, compared by the tests) and keep_output
(pictures). Everything else changes from run to run and is cleared.
"""

import os
import sys
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

KEPT = {"NBVAL_CHECK_OUTPUT", "keep_output"}
# What readers on GitHub can see; a widget's live view would need a kernel.
READABLE = {"image/png", "text/plain", "text/html", "text/markdown"}


def execute(script: Path) -> None:
    """Run one lesson and write the notebook beside it."""
    notebook = jupytext.read(script)
    os.environ["DIFFLR_PROGRESS"] = os.devnull  # not the progress of whoever runs this
    NotebookClient(
        notebook,
        timeout=600,  # of a cell, on a machine that is busy with other work
        coalesce_streams=True,  # how prints arrive depends on timing
        kernel_name="python3",
        resources={"metadata": {"path": script.parent}},
    ).execute()
    for index, cell in enumerate(notebook.cells):
        cell.id = f"{script.stem[:2]}-{index:02d}"  # random ids would change with every run
        if cell.cell_type == "code":
            cell.metadata.pop("execution", None)
            if KEPT & set(cell.metadata.get("tags", [])):
                cell.outputs = [_readable(output) for output in cell.outputs]
            else:
                cell.outputs, cell.execution_count = [], None
    notebook.metadata.pop("widgets", None)
    notebook.metadata.pop("language_info", None)
    nbformat.validate(notebook)
    nbformat.write(notebook, script.with_suffix(".ipynb"))


def _readable(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    if "data" in output:
        output.data = {kind: value for kind, value in output.data.items() if kind in READABLE}
        output.metadata = {
            kind: value for kind, value in output.metadata.items() if kind in READABLE
        }
    return output


if __name__ == "__main__":
    chosen = tuple(sys.argv[1:]) or ""
    for script in sorted(Path(__file__).parent.glob("[0-9]*_*.py")):
        if script.name.startswith(chosen):
            print(script.name)
            execute(script)
