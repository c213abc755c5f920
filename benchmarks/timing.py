"""Timing side by side: candidates take turns, so that whatever else the machine does meets them all."""

import math
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

import torch

__all__ = [
    "Candidate",
    "Ratio",
    "Stopwatch",
    "Turns",
    "against_goal",
    "alternate",
    "describe",
    "measure",
    "median",
    "ratio",
    "table",
    "typical",
    "whole",
]


class Stopwatch:
    """``seconds`` between ``start`` and ``stop``.

    ``clock="cpu"`` counts the processor time of this process: with one thread it is what a quiet
    machine would take, however busy this one is. On a GPU, torch's events are the clock.
    """

    def __init__(self, clock: str = "wall") -> None:
        self._now = {"wall": time.perf_counter, "cpu": time.process_time}[clock]
        self._events = [
            torch.cuda.Event(enable_timing=True) for _ in range(2) if torch.cuda.is_available()
        ]
        self.seconds = 0.0

    def start(self) -> None:
        """Begin to count anew."""
        if self._events:
            self._events[0].record()
        else:
            self._begin = self._now()

    def stop(self) -> None:
        """Set ``seconds``; on a GPU this waits for what has been given to it."""
        if self._events:
            self._events[1].record()
            torch.cuda.synchronize()
            self.seconds = self._events[0].elapsed_time(self._events[1]) / 1000
        else:
            self.seconds = self._now() - self._begin


Candidate = Callable[[Stopwatch], object]  # starts and stops the watch itself


def whole(job: Callable[[], object]) -> Candidate:
    """Return a candidate that counts from the call of ``job`` to its end."""

    def timed(watch: Stopwatch) -> None:
        watch.start()
        job()
        watch.stop()

    return timed


def measure(job: Callable[[], object], clock: str = "wall") -> float:
    """Return the seconds that ``job`` takes."""
    watch = Stopwatch(clock)
    whole(job)(watch)
    return watch.seconds


def alternate(
    candidates: Mapping[str, Candidate], rounds: int, clock: str = "wall"
) -> dict[str, list[float]]:
    """Run all candidates once to warm up, then ``rounds`` times in turn; return their seconds."""
    watch = Stopwatch(clock)
    for candidate in candidates.values():
        candidate(watch)
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(rounds):
        names = list(candidates)
        for name in names if turn % 2 else reversed(names):  # no one is always first
            candidates[name](watch)
            seconds[name].append(watch.seconds)
    return seconds


class Turns:
    """Two candidates step by step in turn: ``own`` and ``others`` are the seconds of each step.

    Closer together than whole epochs, so that a machine whose speed changes from second to second can
    still tell a few percent apart.
    """

    def __init__(self, other: Callable[[], object], clock: str = "wall") -> None:
        self._other = other
        self._clock, self._watch = clock, Stopwatch(clock)
        self.own: list[float] = []
        self.others: list[float] = []

    def begin(self) -> None:
        """Start to count for oneself."""
        self._watch.start()

    def turn(self) -> None:
        """After one's own step: let the other take one."""
        self._watch.stop()
        self.own.append(self._watch.seconds)
        self.others.append(measure(self._other, self._clock))
        self._watch.start()


def median(values: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(values)


class Ratio(NamedTuple):
    """The median of a ratio, and between what it lies: the extremes, or the ends of an interval."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


def ratio(one: Sequence[float], other: Sequence[float]) -> Ratio:
    """Return ``one / other``, round by round: what both meet in a round cancels out."""
    found = [a / b for a, b in zip(one, other, strict=True)]
    return Ratio(median(found), min(found), max(found))


def typical(one: Sequence[float], other: Sequence[float]) -> Ratio:
    """Return the median of ``one / other`` over many steps, with its 95% interval.

    The interval is free of any distribution: the ranks between which a binomial variable of n halves lies.
    """
    found = sorted(a / b for a, b in zip(one, other, strict=True))
    half = 0.98 * len(found) ** 0.5
    low = max(0, math.floor(len(found) / 2 - half))
    high = min(len(found) - 1, math.ceil(len(found) / 2 + half))
    return Ratio(median(found), found[low], found[high])


def against_goal(value: float, sign: str, goal: float, unit: str = "") -> str:
    """Return the goal and whether ``value`` meets it, e.g. ``"≤ 1.05: met"``; ``sign`` is ``≤`` or ``≥``."""
    met = value <= goal if sign == "≤" else value >= goal
    return f"{sign} {goal:g}{unit}: {'met' if met else 'missed'}"


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
