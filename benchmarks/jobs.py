"""Runs per hour of a study, for each way to share the cores, against a plain loop over the runs.

Goal: the way that ``share_cores`` takes by default is as fast as the fastest, give or take a twentieth.
Always wall time: the work is in other processes. Their start and their first look at the pictures come
before the clock, as in a study of hundreds of runs.
"""

import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import given
import joblib
import torch
from timing import against_goal, measure, median, ratio, table

from difflr.studies.cell import Cell
from difflr.studies.design import Study, Task
from difflr.studies.running import run_study, share_cores
from difflr.studies.trial import run_trial

Way = Callable[[Iterable[int]], object]  # does the runs of these seeds


def ways(task: Task, cell: Cell, cores: int) -> dict[tuple[int, int], Way]:
    """Return the plain loop, as (0, threads), and studies by (jobs, threads)."""

    def loop(seeds: Iterable[int]) -> None:
        torch.set_num_threads(cores)
        for seed in seeds:
            run_trial(task, cell, seed, "validation")

    def study(jobs: int, threads: int, seeds: Iterable[int]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            found = Study("jobs", task, [cell], tuple(seeds), ())
            run_study(found, Path(folder), n_jobs=jobs, threads=threads, progress=False)

    found: dict[tuple[int, int], Way] = {(0, cores): loop}
    for jobs in sorted({1, cores // 2 or 1, cores}):
        for threads in sorted({1, cores // jobs}):
            found[jobs, threads] = partial(study, jobs, threads)
    return found


def main() -> None:
    """Print one Markdown table."""
    job = given.command_line(__doc__ or "", rounds=2, count=300)
    job.add_argument("--runs", type=int, default=4, help="per way and round (default: 4)")
    arguments = job.parse_args()
    task = Task(
        arguments.data, "resnet18", arguments.weights, source=None, test_size=200, probes=100
    )
    cores = joblib.cpu_count()
    found = ways(task, Cell("uniform", {"lr": 1e-3}, arguments.pictures, 2), cores)
    seconds: dict[tuple[int, int], list[float]] = {way: [] for way in found}
    for turn in range(arguments.rounds):
        for way in list(found)[:: 1 if turn % 2 else -1]:
            found[way](range(max(1, way[0])))  # workers start, and read the pictures
            seconds[way].append(measure(partial(found[way], range(arguments.runs))))
    default = share_cores(arguments.runs, None, None)
    fastest = min((way for way in found if way[0]), key=lambda way: median(seconds[way]))
    rows = []
    for way, own in seconds.items():
        jobs, threads = way
        name = f"{jobs} at a time × {threads} thread(s)" if jobs else f"plain loop, {cores} threads"
        goal = ""
        if way == default:
            name += ", the default"
            best = ratio(own, seconds[fastest]).median
            goal = f"its time / the fastest's {best:.2f}, {against_goal(best, '≤', 1.05)}"
        times = ratio(seconds[0, cores], own)
        rows.append((name, f"{3600 * arguments.runs / median(own):.0f}", str(times), goal))
    print(table(("how", "runs per hour", "times the loop's", "goal"), rows))


if __name__ == "__main__":
    main()
