"""Studies of many runs whose training takes no time: what is left is what a study costs beside its runs.

For each number of runs: processor time per run (handing out, journal and all), the journal's size and how
long it takes to be read when the study goes on, the recording's size and how long it takes to be saved and
read, the replay's first picture, and the largest memory. Then four Dask workers that are killed in turn while
the study runs: runs that are missing or there twice.

Goals: at most 1% of a run of ten seconds; per run no more at the largest number than at the smallest, give
or take a quarter; nothing missing or twice.
"""

import argparse
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

from timing import against_goal, table

from difflr.runs.journal import read_journal
from difflr.studies.cell import Cell
from difflr.studies.cluster import local_cluster
from difflr.studies.design import Study, Task
from difflr.studies.recordings import load_recording, save_recording
from difflr.studies.running import run_study

SPLITS = 6
RUN_SECONDS = 10
RUN_BYTES = 1500  # in the journal
KILLS = 24  # of workers, spread over a study


def trial(
    task: Task, cell: Cell, seed: int, measured_on: str, threads: int | None
) -> dict[str, Any]:
    """Return a made-up run with as many digits as a real one has."""
    numbers = random.Random(f"{cell.key} {seed}")

    def some(count: int) -> list[float]:
        return [numbers.random() for _ in range(count)]

    accuracy, loss, seconds, source = some(4)
    return {
        **{name: getattr(cell, name) for name in ("recipe", "train_size", "epochs", "shift", "bn")},
        "augment": cell.augment,
        "optimizer": cell.optimizer,
        "options": dict(cell.options),
        "seed": seed,
        "measured_on": measured_on,
        "plan": cell.plan(SPLITS).to_dict(),
        "accuracy": accuracy,
        "loss": loss,
        "seconds": seconds,
        "cpu_seconds": seconds,
        "flops": 10**12,
        "source_before": source,
        "source_accuracy": source * accuracy,
        "source_old_bn": source * loss,
        "source_recalibrated": source * seconds,
        **{name: some(SPLITS) for name in ("displacement", "drift", "cka")},
        "curve_loss": some(cell.epochs),
        "curve_accuracy": some(cell.epochs),
    }


def sleeper(
    task: Task, cell: Cell, seed: int, measured_on: str, threads: int | None
) -> dict[str, Any]:
    """Return a made-up run after five milliseconds, in which a worker can be killed."""
    time.sleep(0.005)
    return trial(task, cell, seed, measured_on, threads)


def made_up(runs: int) -> Study:
    """Return a study of the plateau's shape with so many runs, a hundred of each cell."""
    cells = [
        Cell("differential", {"lr": 10 ** (-4 + i % 40 / 10), "ratio": 1.0 + i // 40}, 500, 6)
        for i in range(max(1, runs // 100))
    ]
    seeds = tuple(range(min(runs, 100)))
    return Study("plateau", Task(test_size=50), cells, seeds, ())


def alone(runs: int) -> None:
    """Print one row for a study in this process."""
    warnings.filterwarnings("ignore")
    study = made_up(runs)
    run_study(
        made_up(1), Path(tempfile.mkdtemp()), n_jobs=1, progress=False, trial=trial
    )  # imports
    with tempfile.TemporaryDirectory() as folder:
        marks = [time.process_time()]

        def mark() -> None:
            marks.append(time.process_time())

        path = run_study(study, Path(folder), n_jobs=1, progress=False, trial=trial)
        mark()
        read_journal(path)
        mark()
        recorded = Path(folder) / "plateau.json.gz"
        save_recording(path, recorded)
        mark()
        recording = load_recording(recorded)
        mark()
        for cell in study.cells:
            for seed in study.seeds:
                trial(study.task, cell, seed, "validation", 1)
        mark()
        ran, read, saved, loaded, trials = (b - a for a, b in pairwise(marks))
        from difflr.widgets import Replay

        begin = time.process_time()
        Replay(recording)
        replayed = time.process_time() - begin
        sizes = [file.stat().st_size for file in (path, recorded)]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    values = (ran - trials, read, *sizes, saved, loaded, replayed, memory)
    print(runs, *(f"{value:.6g}" for value in values))


def rows(sizes: list[int]) -> list[tuple[str, ...]]:
    """Measure each number of runs in a process of its own."""
    found: list[tuple[str, ...]] = []
    first = 0.0
    for runs in sizes:
        command = [sys.executable, __file__, "--alone", str(runs)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        _, over, read, journal, recorded, saved, loaded, replay, memory = map(
            float, done.stdout.split()[-9:]
        )
        each = over / runs
        first = first or each
        share = each / RUN_SECONDS
        goals = [f"{share:.2%} of a run: {against_goal(share, '≤', 0.01)}"]
        if runs > sizes[0]:
            goals.append(f"growth {each / first:.2f}: {against_goal(each / first, '≤', 1.25)}")
        for goal in goals:
            found.append(
                (
                    *(
                        f"{runs:,}",
                        f"{1000 * each:.2f} ms",
                        f"{journal / 2**20:.1f} MB, {read:.1f} s",
                    ),
                    f"{recorded / 2**20:.1f} MB, {saved:.1f} and {loaded:.1f} s",
                    *(f"{replay:.1f} s", f"{memory:.0f} MB", goal),
                )
            )
    return found


def clustered(runs: int) -> tuple[str, ...]:
    """Run a study on four workers of Dask, which are killed in turn, and count its runs."""
    study, end, kills = made_up(runs), threading.Event(), 0
    with (
        tempfile.TemporaryDirectory() as folder,
        local_cluster(n_workers=4, threads_per_worker=1, dashboard_address=None) as client,
    ):

        def kill_some() -> None:
            nonlocal kills
            journal, size = Path(folder) / "plateau.jsonl", 0
            every = runs * RUN_BYTES // (KILLS + 1)
            while not end.wait(0.2):
                if not journal.exists() or journal.stat().st_size < size + every:
                    continue
                size = journal.stat().st_size
                pids = [w.process and w.process.pid for w in list(client.cluster.workers.values())]
                if there := [pid for pid in pids if pid]:
                    os.kill(random.choice(there), signal.SIGKILL)
                    kills += 1

        killer = threading.Thread(target=kill_some)
        begin, busy = time.perf_counter(), time.process_time()
        killer.start()
        try:
            path = run_study(
                study, Path(folder), backend="dask", threads=1, progress=False, trial=sleeper
            )
        finally:
            end.set()
            killer.join()
        took, busy = time.perf_counter() - begin, time.process_time() - busy
        counted = Counter((Cell.of(run).key, run["seed"]) for run in read_journal(path)[2])
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    wrong = runs - len(counted) + sum(count - 1 for count in counted.values())
    share = busy / runs / RUN_SECONDS
    return (
        *(f"{runs:,}", str(kills), f"{took:.0f} s", f"{1000 * busy / runs:.2f} ms"),
        *(f"{share:.2%} of a run: {against_goal(share, '≤', 0.01)}", f"{memory:.0f} MB"),
        f"{wrong}: {against_goal(wrong, '≤', 0)}",
    )


def main() -> None:
    """Print two Markdown tables."""
    job = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    job.add_argument("--alone", type=int, help=argparse.SUPPRESS)
    job.add_argument("--runs", type=int, nargs="*", default=[1000, 10_000, 100_000])
    job.add_argument(
        "--cluster", type=int, nargs="*", default=[2500, 100_000], help="runs on a cluster"
    )
    arguments = job.parse_args()
    if arguments.alone:
        alone(arguments.alone)
        return
    head = ("runs", "overhead per run", "journal, read in", "recording, saved and read in")
    print(table((*head, "replay drawn in", "memory", "goal"), rows(arguments.runs)))
    print()
    head = ("runs on a cluster", "workers killed", "time", "processor time per run", "goal")
    found = [clustered(runs) for runs in arguments.cluster]
    print(table((*head, "memory", "missing or twice"), found))


if __name__ == "__main__":
    main()
