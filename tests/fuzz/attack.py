"""Generated hostile inputs, kills and kinds of pictures, counted in one table: ``make attack``.

Whatever is given to difflr, it answers with a result or with ``DifflrError`` (on the command line: exit
status 0 or 2); whatever kills it, no run is lost, doubled or mixed with another. Exit status 1 where a
figure is not as promised.
"""

import argparse
import multiprocessing
import os
import random
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from pathlib import Path

import pytest
from inputs import PARTS, answer
from kills import Killing

HERE = Path(__file__).parent


def count_answers(inputs: int, seed: int, folder: Path) -> tuple[list[list[object]], bool]:
    """Give each part its share of the inputs; return the table's lines, and whether all was answered."""
    rows: list[list[object]] = []
    shown: set[str] = set()
    for part in PARTS:
        counts: Counter[str] = Counter()
        for number in range(inputs * part.share // sum(each.share for each in PARTS)):
            rng = random.Random(f"{seed} {part.name} {number}")
            try:
                counts[answer(part, rng, folder)] += 1
            except Exception as error:
                counts["other"] += 1
                where = traceback.extract_tb(error.__traceback__)[-1]
                kind = f"{type(error).__name__} in {Path(where.filename).name}:{where.lineno}"
                if f"{part.name} {kind}" not in shown:
                    shown.add(f"{part.name} {kind}")
                    print(f"{part.name}, input {number} of seed {seed}: {kind}: {error}"[:300])
        total = sum(counts.values())
        rows.append([part.name, total, counts["taken"], counts["refused"], counts["other"]])
    return rows, not any(row[-1] for row in rows)


class Kinds:
    """Counts the tests of kinds of picture files, as a plugin of pytest."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count each test once, by its worst part."""
        if report.when == "call" or report.outcome != "passed":
            self.outcomes[report.outcome] += 1


def main() -> int:
    """Attack, print the table, and say in the exit status whether all was as promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0, help="of all that is random")
    parser.add_argument(
        "--no-pictures", action="store_true", help="leave out the kinds of pictures"
    )
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(prefix="difflr-attack-") as name:
        home = Path.cwd()
        os.chdir(name)  # for commands that are given no folder
        try:
            rows, fine = count_answers(given.inputs, given.seed, Path(name))
            killing = Killing(random.Random(given.seed), Path(name))
            if given.kills:
                killing.kill(given.kills)
        finally:
            os.chdir(home)
    kinds = Kinds()
    if not given.no_pictures:
        path = HERE.parent / "experiments" / "test_picture_kinds.py"
        status = pytest.main([str(path), "-q", "--no-header", "--no-summary"], plugins=[kinds])
        fine = fine and status == pytest.ExitCode.OK  # neither failed nor found nothing
    print(f"\n{'inputs':<16}{'given':>9}{'taken':>9}{'refused':>9}{'other exceptions':>18}")
    for row in rows:
        print(f"{row[0]:<16}{row[1]:>9}{row[2]:>9}{row[3]:>9}{row[4]:>18}")
    print(
        f"\n{'kills':<16}{'kills':>9}{'runs':>9}{'lost':>9}{'doubled':>9}{'mixed':>9}{'failed':>9}"
    )
    for name, found in killing.counts.items():
        columns = ("kills", "runs", "lost", "doubled", "mixed", "failed")
        print(f"{name:<16}" + "".join(f"{found[column]:>9}" for column in columns))
        fine = fine and not any(found[column] for column in columns[2:])
    print(f"\nkinds of pictures: {dict(kinds.outcomes) or 'left out'}")
    return 0 if fine else 1


if __name__ == "__main__":
    multiprocessing.set_start_method("forkserver")
    sys.exit(main())
