"""How long the lessons and all tests take; not a part of ``make bench``, which it would triple.

Goals: all lessons and their solutions under nbval at most 10 minutes, ``make test`` at most 15. Run it by
itself: ``make bench`` calls it for ``bench.py --only testing``.
"""

import subprocess
import sys
import time
from pathlib import Path

from timing import table, verdict

ROOT = Path(__file__).parents[1]
# The lessons as they are, and then every exercise solved.
LESSONS = [sys.executable, "-m", "pytest", "notebooks"]
JOBS = {"lessons and solutions": (LESSONS, 10), "make test": (["make", "test"], 15)}


def main() -> None:
    """Print one Markdown table."""
    rows = []
    for name, (command, goal) in JOBS.items():
        start = time.perf_counter()
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        minutes = (time.perf_counter() - start) / 60
        summary = next((t for t in reversed(done.stdout.splitlines()) if " passed" in t), "failed")
        rows.append(
            (name, summary.strip("= "), f"{minutes:.1f}", verdict(minutes, "≤", goal, " min"))
        )
    print(table(("what", "outcome", "minutes", "goal"), rows))


if __name__ == "__main__":
    main()
