"""How long one waits at the start: for an import, for an answer, for the first training step, for a picture.

Goals: ``import difflr``, and all of its core, at most 0.2 s beyond importing torch; what ``difflr compare``
can judge without torch within 0.5 s; from that command to its first training step at most 1.3 times
``import torch, pytorch_lightning`` alone, in turns; lesson 0's first picture 10 s after the kernel's start.
difflr loads its modules when their names are first used; what all of them take stands beside it.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from timing import against_goal, alternate, median, ratio, table, whole

LESSON = Path(__file__).parents[1] / "notebooks" / "00_start_here.ipynb"
CODE = "import time, {first}; t = time.perf_counter(); {then}; print(time.perf_counter() - t)"
CORE = (
    "import importlib, pathlib, difflr; "
    "names = [path.stem for path in pathlib.Path(difflr.__file__).parent.glob('[a-z]*.py')]; "
    "[importlib.import_module(f'difflr.{name}') for name in names]"
)
EVERYTHING = "import difflr; [getattr(difflr, name) for name in difflr.__all__]"
# Both end at once, without what Python tidies.
IMPORTS = "import os, torch, pytorch_lightning; os._exit(0)"
FIRST_STEP = """
import os, sys
from difflr.experiments.training import Classifier
Classifier.training_step = lambda *_: os._exit(0)
from difflr.cli import main
main(["compare", "--no-progress", "--out", sys.argv[1]])
sys.exit("No step was trained.")
"""


def child(*arguments: str, status: int = 0) -> None:
    """Run Python with these arguments to its end, which is at this exit status."""
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
    if done.returncode != status:
        raise RuntimeError(f"{arguments} ended with {done.returncode}: {done.stderr}")


def first_step() -> None:
    """Give the command that compares recipes on strokes, and stop it where its first step begins."""
    with tempfile.TemporaryDirectory() as folder:
        child("-c", FIRST_STEP, folder)


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
    core = importing("torch", CORE, rounds)
    # These come with any training, so that what difflr itself adds can be told apart.
    others = "torch, pytorch_lightning, torchvision"
    everything = importing(others, EVERYTHING, rounds)
    picture = median([first_picture() for _ in range(rounds)])
    jobs: dict[str, Callable[[], None]] = {
        "answer": partial(child, "-m", "difflr", "compare", "--recipes", "nonsense", status=2),
        "imports": partial(child, "-c", IMPORTS),
        "step": first_step,
    }
    seconds = alternate({name: whole(job) for name, job in jobs.items()}, rounds)
    answer, step = median(seconds["answer"]), ratio(seconds["step"], seconds["imports"])
    rows = [
        ("`import difflr` after torch", f"{alone:.2f} s", against_goal(alone, "≤", 0.2, " s")),
        ("the whole core after torch", f"{core:.2f} s", against_goal(core, "≤", 0.2, " s")),
        (f"every name of difflr after {others}", f"{everything:.2f} s", ""),
        (
            "`difflr compare --recipes nonsense`, to its answer",
            f"{answer:.2f} s",
            against_goal(answer, "≤", 0.5, " s"),
        ),
        (
            "`difflr compare`, to its first step / `import torch, pytorch_lightning`",
            str(step),
            against_goal(step.median, "≤", 1.3),
        ),
        ("kernel start to first picture", f"{picture:.1f} s", against_goal(picture, "≤", 10, " s")),
    ]
    print(table(("what", "wall time", "goal"), rows))


if __name__ == "__main__":
    main()
