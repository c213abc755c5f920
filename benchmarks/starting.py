"""How long a learner waits at the start: importing difflr, and lesson 0 up to its first picture.

Goals: at most 0.2 s beyond importing torch, and 10 s from the kernel's start to the picture. difflr loads
its modules when their names are first used; what all of them take stands beside it.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from timing import median, table, verdict

LESSON = Path(__file__).parents[1] / "notebooks" / "00_start_here.ipynb"
CODE = "import time, {first}; t = time.perf_counter(); {then}; print(time.perf_counter() - t)"
EVERYTHING = "import difflr; [getattr(difflr, name) for name in difflr.__all__]"


def importing(first: str, then: str, rounds: int) -> float:
    """Return the median seconds of ``then`` in a process that has imported ``first``."""
    command = [sys.executable, "-c", CODE.format(first=first, then=then)]
    times = [
        float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        for _ in range(rounds)
    ]
    return median(times)


def first_picture() -> float:
    """Return the seconds from starting a kernel until a cell of lesson 0 has shown a picture."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(LESSON, as_version=4)
    client = NotebookClient(notebook, resources={"metadata": {"path": LESSON.parent}})
    start = time.perf_counter()
    with client.setup_kernel():
        for index, cell in enumerate(notebook.cells):
            if cell.cell_type == "code":
                client.execute_cell(cell, index)
                if any("image/png" in output.get("data", {}) for output in cell.outputs):
                    return time.perf_counter() - start
    raise RuntimeError("lesson 0 has shown no picture")


def main() -> None:
    """Print one Markdown table."""
    job = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    job.add_argument("--rounds", type=int, default=3)
    rounds = job.parse_args().rounds
    alone = importing("torch", "import difflr", rounds)
    # These come with any training, so that what difflr itself adds can be told apart.
    others = "torch, pytorch_lightning, torchvision"
    everything = importing(others, EVERYTHING, rounds)
    picture = median([first_picture() for _ in range(rounds)])
    rows = [
        ("`import difflr` after torch", f"{alone:.2f} s", verdict(alone, "≤", 0.2, " s")),
        (f"every name of difflr after {others}", f"{everything:.2f} s", ""),
        ("kernel start to first picture", f"{picture:.1f} s", verdict(picture, "≤", 10, " s")),
    ]
    print(table(("what", "wall time", "goal"), rows))


if __name__ == "__main__":
    main()
