"""Timing side by side: candidates take turns, so that whatever else the machine does meets them all."""

import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version

import torch

__all__ = ["alternate", "describe", "measure", "median", "table"]


def measure(job: Callable[[], object], clock: str = "wall") -> float:
    """Return the seconds that ``job`` takes.

    ``clock="cpu"`` counts the processor time of this process: with one thread it is what a quiet
    machine would take, however busy this one is. On a GPU, torch's events are the clock.
    """
    if torch.cuda.is_available():
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        job()
        end.record()
        torch.cuda.synchronize()
        return begin.elapsed_time(end) / 1000
    now = {"wall": time.perf_counter, "cpu": time.process_time}[clock]
    start = now()
    job()
    return now() - start


def alternate(
    candidates: Mapping[str, Callable[[], object]], rounds: int, clock: str = "wall"
) -> dict[str, list[float]]:
    """Run all candidates once to warm up, then ``rounds`` times in turn; return their seconds."""
    for job in candidates.values():
        job()
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(rounds):
        names = list(candidates)
        for name in names if turn % 2 else reversed(names):  # no one is always first
            seconds[name].append(measure(candidates[name], clock))
    return seconds


def median(values: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def describe(clock: str) -> str:
    """Return one line on the machine's share in the numbers, and one on the versions."""
    packages = ("difflr", "torch", "pytorch-lightning", "fastai", "finetuning-scheduler")
    found = []
    for package in packages:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    return (
        f"{device}, {os.cpu_count()} cores, {torch.get_num_threads()} thread(s), {clock} time; "
        + ", ".join(found)
        + ".\n"
    )
