"""Refresh the table of times in teaching.md: minutes from the lessons' headers, seconds measured.

    python notebooks/timings.py            minutes only; what was measured before stays
    python notebooks/timings.py 01 02      run these lessons as well, and measure them
    python notebooks/timings.py all        run and measure all

Measured are seconds of processor time of a lesson's kernel on one thread, imports included: how busy
the machine is does not matter much.
"""

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
    text = TEACHING.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    TEACHING.write_text(f"{before}{BEGIN}\n\n{table(measured)}\n\n{END}{after}", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
