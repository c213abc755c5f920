"""Run every benchmark and write one Markdown file: ``make bench``.

Each part is a process of its own, so that none meets another's memory. The part that compares difflr with
its peers runs in their environment (``make peers``), which holds difflr too. At the end stands what missed
its goal.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Iterable
from datetime import date
from pathlib import Path

__all__ = ["goals"]

HERE = Path(__file__).parent


def goals(lines: Iterable[str]) -> tuple[int, list[str]]:
    """Return how many rows of Markdown tables meet their goal, and the rows that miss it."""
    rows = [line for line in lines if line.startswith("|")]
    return sum(": met |" in row for row in rows), [row for row in rows if ": missed |" in row]


def main() -> None:
    """Write the tables to a file and to the terminal."""
    job = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    job.add_argument("--data", required=True, help="folder with train/<class>/ and test/<class>/")
    job.add_argument("--weights", required=True, help="of a ResNet-18")
    job.add_argument("--peers", type=Path, required=True, help="python of the peers' environment")
    job.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    job.add_argument("--only", nargs="*", help="parts by their script's name")
    job.add_argument("--out", type=Path, required=True)
    options = job.parse_args()
    # Not resolved: a virtual environment's python is a link. Without peers difflr stands beside the limit.
    peers = str(options.peers.absolute()) if options.peers.exists() else sys.executable
    task = ["--data", options.data, "--weights", options.weights]
    timed = [*task, "--clock", options.clock]
    # What happens in worker processes does not show in this one's processor time.
    workers = ["--workers", "2" if options.clock == "wall" else "0"]
    parts = {
        "throughput": ("Training throughput", peers, [*timed, *workers]),
        "steps": ("A step beside its limit", sys.executable, timed),
        "phases": ("Features kept", sys.executable, timed),
        "overhead": ("Scheduler and callback", sys.executable, timed),
        "memory": ("Memory", sys.executable, task),
        "accuracy": ("Accuracy per second", peers, task),
        "curve": ("Accuracy against seconds", peers, timed),
        "jobs": ("Studies", sys.executable, task),
        "starting": ("Starting", sys.executable, []),
        "big_models": ("Big models", sys.executable, []),
        "big_studies": ("Big studies", sys.executable, []),
        "widgets": ("Widgets", sys.executable, ["--browser"]),
    }
    if options.only and "testing" in options.only:  # minutes that say nothing about training
        parts["testing"] = ("Tests", sys.executable, [])
    options.out.parent.mkdir(parents=True, exist_ok=True)
    failed, met, missed = [], 0, []
    with options.out.open("w") as file:

        def say(text: str) -> None:
            print(text, flush=True)
            file.write(text + "\n")
            file.flush()

        about = "import sys, timing; print(timing.describe(sys.argv[1]))"
        command = [peers, "-c", about, options.clock]
        described = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=True)
        say(f"# Benchmarks, {date.today()}\n\n{described.stdout}")
        for script, (title, python, arguments) in parts.items():
            if options.only and script not in options.only:
                continue
            begin = time.perf_counter()
            command = [python, HERE / f"{script}.py", *arguments]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
            seconds = time.perf_counter() - begin
            say(f"## {title}\n\n{done.stdout}\nThis part took {seconds:.0f} s.\n")
            kept, rows = goals(done.stdout.splitlines())
            met, missed = met + kept, missed + [f"- {title}: {row}" for row in rows]
            if done.returncode:
                failed.append(script)
                say("It failed: see the terminal.\n")
        say(f"## Goals\n\n{met} met, {len(missed)} missed:\n\n" + "\n".join(missed))
    if failed:
        sys.exit(f"These parts failed: {', '.join(failed)}.")


if __name__ == "__main__":
    main()
