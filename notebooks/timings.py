"""Compute the minutes of the lessons, write them into their headers, refresh the table of teaching.md.

    python notebooks/timings.py            minutes only; what was measured before stays
    python notebooks/timings.py 01 02      run these lessons as well, and measure them
    python notebooks/timings.py all        run and measure all

To read takes: a minute for 200 words of text (solutions and sources left out), a minute for 15 lines of code
(imports, the set-up cell, comments, and assertions, which hold the text to the data, left out), two minutes
for the self-test, and the seconds that the cells run; rounded up. Exercises say their own minutes.
Measured are seconds of processor time of a lesson's kernel on one thread, imports included: how busy
the machine is does not matter much.
"""

import ast
import math
import os
import re
import sys
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
TEACHING = HERE / "teaching.md"
BEGIN, END = "<!-- times: python notebooks/timings.py -->", "<!-- end of times -->"


def lessons() -> list[Path]:
    """Return the lessons' scripts in their order."""
    return sorted(HERE.glob("[0-9]*_*.py"))


def minutes(script: Path) -> tuple[int, int]:
    """Return the minutes to read and of exercises that stand in a lesson's header."""
    text = script.read_text("utf-8")
    read = re.search(r"\*\*Time:\*\* (\d+) minutes to read", text)
    exercises = re.search(r"(\d+) minutes of exercises", text)
    if read is None:
        raise ValueError(f"{script.name} does not say how many minutes it takes to read.")
    return int(read[1]), int(exercises[1]) if exercises else 0


WORDS, LINES, SELF_TEST = 200, 15, 2  # per minute, per minute, minutes


def computed(script: Path, waiting: float) -> int:
    """Return the minutes that it takes to read a lesson whose cells run for ``waiting`` seconds."""
    words = lines = tests = 0
    for cell in jupytext.read(script).cells:
        tags = set(cell.metadata.get("tags", []))
        if tags & {"setup", "solution", "exercise", "check"}:
            continue
        if cell.cell_type == "markdown":
            text = re.sub(r"\[!\[.*|\]\(\S+\)|\*\*Sources:\*\*[\s\S]*", "", cell.source)
            words += len(re.findall(r"\w[\w'’.-]*", text))
        else:
            lines += _to_read(cell.source)
            tests += cell.source.rstrip().endswith("quiz")
    return math.ceil(words / WORDS + lines / LINES + SELF_TEST * tests + waiting / 60)


def _to_read(code: str) -> int:
    """Return how many lines of code a reader reads: no imports, comments or assertions."""
    skipped = (ast.Import, ast.ImportFrom, ast.Assert)
    left_out = {
        number
        for node in ast.walk(ast.parse(code))
        if isinstance(node, skipped)
        for number in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    return sum(
        number not in left_out and bool(line.strip()) and not line.lstrip().startswith("#")
        for number, line in enumerate(code.splitlines(), 1)
    )


def state(script: Path, minutes: int, waiting: float) -> None:
    """Write minutes to read and how long the cells run into the header of a lesson, .py and .ipynb."""
    long = "under a minute" if waiting < 60 else f"about {math.ceil(waiting / 60)} minutes"
    for path in (script, script.with_suffix(".ipynb")):
        before = path.read_text("utf-8")
        after = re.sub(
            r"(\*\*Time:\*\*) \d+ (minutes to read.*; the cells take) .+? (together)",
            rf"\1 {minutes} \2 {long} \3",
            before,
            count=1,
        )
        if after != before:
            path.write_text(after, "utf-8")


def seconds(script: Path) -> float:
    """Run a lesson on one thread and return the processor seconds of its kernel."""
    notebook = jupytext.read(script)
    notebook.cells.append(nbformat.v4.new_code_cell("import time; print(time.process_time())"))
    os.environ["OMP_NUM_THREADS"] = "1"
    here = {"metadata": {"path": script.parent}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=here).execute()
    return float(notebook.cells[-1].outputs[-1].text)


def table(measured: dict[str, str]) -> str:
    """Return the table; ``measured`` are seconds, by the two digits of a lesson."""
    rows, sums = [], [0, 0]
    for script in lessons():
        read, practice = minutes(script)
        sums = [sums[0] + read, sums[1] + practice]
        title = re.search(r"^# # (\d)\. (.+)$", script.read_text("utf-8"), re.MULTILINE)
        rows.append((title[1], title[2], read, practice, measured.get(script.stem[:2], "")))
    rows.append(("", "all", *sums, ""))
    head = ("", "lesson", "minutes to read", "minutes of exercises", "processor seconds")
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def known() -> dict[str, str]:
    """Return the seconds that the table has now."""
    found = re.findall(r"^\| (\d) \|.*\| (\d+) \|$", TEACHING.read_text("utf-8"), re.MULTILINE)
    return {f"{int(number):02d}": value for number, value in found}


def main(chosen: list[str]) -> None:
    """Measure the chosen lessons and write the table anew."""
    measured = known()
    for script in lessons():
        if script.stem[:2] in chosen or "all" in chosen:
            measured[script.stem[:2]] = f"{seconds(script):.0f}"
            print(script.name, measured[script.stem[:2]], "s", flush=True)
        waiting = float(measured[script.stem[:2]])
        state(script, computed(script, waiting), waiting)
    text = TEACHING.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    TEACHING.write_text(f"{before}{BEGIN}\n\n{table(measured)}\n\n{END}{after}", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
