"""Runs per hour of a study, for each way to share the cores, against a plain loop over the runs.

What it finds is the default of ``share_cores``: one run per core, one thread each.
"""

import argparse
import tempfile
import warnings
from pathlib import Path

import joblib
import torch
from timing import measure, table

from difflr.grid import Cell, Study, Task
from difflr.study import run_study, share_cores
from difflr.trial import run_trial


def main() -> None:
    """Print one Markdown table."""
    job = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    job.add_argument("--data", required=True)
    job.add_argument("--weights", required=True)
    job.add_argument("--runs", type=int, default=8)
    job.add_argument("--pictures", type=int, default=300)
    arguments = job.parse_args()
    warnings.filterwarnings("ignore")
    task = Task(arguments.data, "resnet18", arguments.weights, source=None, test_size=500)
    cells = [Cell("uniform", {"lr": 1e-3}, arguments.pictures, 2)]
    study = Study("jobs", task, cells, tuple(range(arguments.runs)), ())
    cores = joblib.cpu_count()

    def loop() -> None:
        for seed in study.seeds:
            run_trial(task, cells[0], seed, "validation")

    def shared(jobs: int, threads: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            run_study(study, Path(folder), n_jobs=jobs, threads=threads, progress=False)

    torch.set_num_threads(cores)
    seconds = {f"plain loop, {cores} threads": measure(loop)}
    for jobs in sorted({1, cores // 2 or 1, cores}):
        for threads in sorted({1, cores // jobs}):
            seconds[f"{jobs} job(s) × {threads} thread(s)"] = measure(lambda: shared(jobs, threads))  # noqa: B023
    plain = next(iter(seconds.values()))
    rows = [
        (name, f"{3600 * arguments.runs / one:.0f}", f"{plain / one:.2f}")
        for name, one in seconds.items()
    ]
    print(table(("how", "runs per hour", "against the loop"), rows))
    print(f"The default here is {share_cores(arguments.runs, None, None)} (jobs, threads).\n")


if __name__ == "__main__":
    main()
