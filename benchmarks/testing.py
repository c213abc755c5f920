"""How long the lessons and all tests take.

Goals, on two quiet cores: all lessons and their solutions under nbval at most 10 minutes, ``make test`` at
most 10, ``make test-fast`` at most 2. It is no part of ``make bench``, and what it prints are minutes, not
ratios: tests have nobody to stand beside, and twenty minutes of them say nothing about training. Run it by
itself, ``python benchmarks/testing.py``, or through ``bench.py --only testing``.
"""

import subprocess
import sys
import time
from pathlib import Path

from timing import against_goal, table

ROOT = Path(__file__).parents[1]
# The lessons as they are, and then every exercise solved.
LESSONS = [sys.executable, "-m", "pytest", "notebooks"]
JOBS = {
    "lessons and solutions": (LESSONS, 10),
    "make test-fast": (["make", "test-fast"], 2),
    "make test": (["make", "test"], 10),
}


def main() -> None:
    """Print one Markdown table."""
    rows = []
    for name, (command, goal) in JOBS.items():
        start = time.perf_counter()
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        minutes = (time.perf_counter() - start) / 60
        summary = next((t for t in reversed(done.stdout.splitlines()) if " passed" in t), "failed")
        rows.append(
            (name, summary.strip("= "), f"{minutes:.1f}", against_goal(minutes, "≤", goal, " min"))
        )
    print(table(("what", "outcome", "minutes", "goal"), rows))


if __name__ == "__main__":
    main()
