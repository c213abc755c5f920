"""Run every benchmark and write one Markdown file: ``make bench``.

Each part is a process of its own, so that none meets another's memory. The parts that compare difflr with
its peers run in their environment (``make peers``), which holds difflr too.
"""

import argparse
import subprocess
import sys
from datetime import date
from pathlib import Path

HERE = Path(__file__).parent


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
    parts = {
        "throughput": ("Training throughput", peers, timed),
        "phases": ("Phases, overhead, memory", sys.executable, timed),
        "accuracy": ("Accuracy per second", sys.executable, []),
        "jobs": ("Studies", sys.executable, task),
        "starting": ("Starting", sys.executable, []),
        "widgets": ("Widgets", sys.executable, ["--browser"]),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    failed = []
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
            command = [python, HERE / f"{script}.py", *arguments]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
            say(f"## {title}\n\n{done.stdout}")
            if done.returncode:
                failed.append(script)
    if failed:
        sys.exit(f"These parts failed: {', '.join(failed)}.")


if __name__ == "__main__":
    main()
