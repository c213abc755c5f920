"""What frozen phases cost, what keeping features saves, what difflr adds to a step, and memory.

Goals: with the first k splits frozen at most 1.05 times the ideal (their forward without autograd, then
forward, backward and optimizer step of the rest); a head-only phase of many epochs at least 10 times as
fast with its features kept; scheduler and callbacks at most 1% of a step.
"""

import argparse
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from timing import alternate, measure, median, table
from torch import nn
from torch.nn import functional as F

import difflr
from difflr.backbones import Backbone
from difflr.data import Images
from difflr.freezing import freeze_to
from difflr.grid import Task
from difflr.prefix import cut_prefix
from difflr.training import Classifier, fit
from difflr.trial import load_parts, load_start

BATCH = 64


def _model(start: Backbone, first: int, epochs: int = 1, **options: Any) -> Classifier:
    network = start.build(10)
    splits = len(difflr.split_model(network))
    plan = difflr.Plan([difflr.Phase(first, epochs, [0.0] * first + [1e-4] * (splits - first))])
    return Classifier(network, plan, mean=start.mean, std=start.std, **options)


class _Steps(pl.Callback):
    """Time the steps alone: what comes before the first one is done once per run."""

    def __init__(self, clock: str) -> None:
        self.now = {"wall": time.perf_counter, "cpu": time.process_time}[clock]
        self.seconds: list[float] = []

    def on_train_start(self, *_: Any) -> None:
        """Start the clock."""
        self.start = self.now()

    def on_train_end(self, *_: Any) -> None:
        """Stop it."""
        self.seconds.append(self.now() - self.start)


def _ideal(start: Backbone, images: Images, first: int) -> Callable[[], None]:
    model = _model(start, first).train()
    splits = difflr.split_model(model.network)
    freeze_to(splits, first)
    before, after = cut_prefix(model.network)
    trained = [p for p in model.network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, fused=True)
    batches = images.pixels.split(BATCH), images.labels.split(BATCH)
    pairs = [(model.normalise(p), y) for p, y in zip(*batches, strict=True)]

    def epoch() -> None:
        for x, y in pairs:
            with torch.no_grad():
                features = before(x) if before else x
            F.cross_entropy(after(features), y).backward()
            optimizer.step()
            optimizer.zero_grad()

    return epoch


def frozen(start: Backbone, images: Images, rounds: int, clock: str) -> str:
    """Return the table of steps with the first k splits frozen."""
    rows = []
    steps = -(-len(images) // BATCH)
    for first in range(6):
        timer, model = _Steps(clock), _model(start, first, flip=True)
        seconds = alternate(
            {
                "ideal": _ideal(start, images, first),
                "difflr": lambda model=model, timer=timer: fit(
                    model, images, seed=0, batch_size=BATCH, callbacks=[timer]
                ),
            },
            rounds,
            clock,
        )
        ideal, own = (1000 * median(s) / steps for s in (seconds["ideal"], timer.seconds[1:]))
        rows.append((first, f"{ideal:.1f}", f"{own:.1f}", f"{own / ideal:.3f}"))
    return table(("splits frozen", "ideal, ms", "difflr, ms", "ratio"), rows)


def kept(start: Backbone, images: Images, clock: str, epochs: int = 30) -> str:
    """Return the table of a head-only phase with and without its features kept."""
    rows = []
    for first, name in ((5, "head only"), (4, "last block and head"), (3, "last two and head")):

        def phase(cache: bool, first: int = first) -> object:
            model = _model(start, first, epochs, shift=0)
            return fit(model, images, seed=0, batch_size=BATCH, cache=cache)

        computed = measure(partial(phase, False), clock)
        cached = measure(partial(phase, True), clock)
        rows.append((name, epochs, f"{computed:.2f}", f"{cached:.2f}", f"{computed / cached:.1f}"))
    return table(("phase", "epochs", "computed, s", "kept, s", "times faster"), rows)


class _Hooks:
    """Adds up the time that is spent in difflr's own hooks."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now, self.spent = now, 0.0

    def wrap(self, owner: type, name: str) -> None:
        original = getattr(owner, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            begin = self.now()
            try:
                return original(*args, **kwargs)
            finally:
                self.spent += self.now() - begin

        setattr(owner, name, timed)


def overhead(start: Backbone, images: Images, clock: str) -> str:
    """Return the share of scheduler and callback in an epoch, and their growth beside OneCycleLR."""
    from difflr.callback import PlanCallback
    from difflr.schedule import PlanScheduler

    timer = _Steps(clock)
    hooks = _Hooks(timer.now)
    originals = [
        (owner, name, getattr(owner, name))
        for owner, names in (
            (PlanScheduler, ("step",)),
            (PlanCallback, ("on_train_batch_start", "on_train_batch_end", "on_train_epoch_start")),
        )
        for name in names
    ]
    for owner, name, _ in originals:
        hooks.wrap(owner, name)
    fit(_model(start, 0, 2), images, seed=0, batch_size=BATCH, callbacks=[timer])
    for owner, name, original in originals:
        setattr(owner, name, original)
    share = f"Scheduler and callback: {hooks.spent / timer.seconds[0]:.2%} of an epoch.\n\n"
    rows, many = [], 400
    for groups, phases in ((6, 1), (12, 6), (50, 10), (200, 1), (200, 100)):
        own, torchs = _steppers(groups, phases)
        steppers = {"own": _repeat(own.step, many), "torch": _repeat(torchs.step, many)}
        seconds = alternate(steppers, 5, clock)
        mine, theirs = (1e6 * median(seconds[name]) / many for name in ("own", "torch"))
        rows.append((groups, phases, f"{mine:.1f}", f"{theirs:.1f}", f"{mine / theirs:.2f}"))
    head = ("groups", "phases", "PlanScheduler.step, µs", "OneCycleLR.step, µs", "ratio")
    return share + table(head, rows)


def _repeat(step: Callable[[], object], times: int) -> Callable[[], None]:
    def repeated() -> None:
        for _ in range(times):
            step()

    return repeated


def _steppers(groups: int, phases: int) -> tuple[Any, Any]:
    """Return both schedulers in the middle of a long run."""

    def optimizer() -> torch.optim.Optimizer:
        found = torch.optim.AdamW(
            [{"params": [nn.Parameter(torch.zeros(1))], "lr": 1e-3} for _ in range(groups)]
        )
        found.step()  # torch warns where a scheduler steps first
        return found

    phase = difflr.Phase(0, 1, [1e-3] * groups)
    plan = difflr.Plan([replace(phase, epochs=1) for _ in range(phases)])
    own = difflr.PlanScheduler(optimizer(), plan, 10_000)
    return own, torch.optim.lr_scheduler.OneCycleLR(optimizer(), 1e-3, 10_000 * phases)


def memory(arguments: argparse.Namespace) -> str:
    """Return the table of peak memory beyond what is there before training, one process each."""
    rows = []
    for name in ("full", "head_only", "head_only, kept"):
        command = [sys.executable, __file__, "--peak-of", name]
        command += ["--data", arguments.data, "--weights", arguments.weights]
        last = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        rows.append((name, *last[-2:]))
    return table(("training", "peak beyond the start, MiB", "optimizer state, MiB"), rows)


def _peak(name: str, start: Backbone, images: Images) -> None:
    optimizers: list[torch.optim.Optimizer] = []

    class Look(pl.Callback):
        def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
            optimizers.extend(trainer.optimizers)

    first = 0 if name == "full" else 5
    model = _model(start, first, 2, shift=0)
    model(images.pixels[:2])  # loads what torch loads at the first forward
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    fit(model, images, seed=0, batch_size=BATCH, cache="kept" in name, callbacks=[Look()])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    state = sum(
        value.numel() * value.element_size()
        for entry in optimizers[0].state.values()
        for value in entry.values()
        if torch.is_tensor(value)
    )
    print(f"{peak / 1024:.0f} {state / 2**20:.2f}")


def main() -> None:
    """Print the tables."""
    job = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    job.add_argument("--data", required=True)
    job.add_argument("--weights", required=True)
    job.add_argument("--pictures", type=int, default=512)
    job.add_argument("--rounds", type=int, default=5)
    job.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    job.add_argument("--peak-of", help=argparse.SUPPRESS)
    arguments = job.parse_args()
    warnings.filterwarnings("ignore")
    task = Task(arguments.data, "resnet18", arguments.weights, source=None)
    images, start = load_parts(task).pool.subset(arguments.pictures, seed=0), load_start(task)
    if arguments.peak_of:
        return _peak(arguments.peak_of, start, images)
    clock = arguments.clock
    parts = {
        "Frozen phases: one step of 64": lambda: frozen(start, images, arguments.rounds, clock),
        "Features kept over a phase": lambda: kept(start, images, clock),
        "Scheduler and callback": lambda: overhead(start, images, clock),
        "Memory": lambda: memory(arguments),
    }
    for title, part in parts.items():
        print(f"### {title}\n\n{part()}", flush=True)
    return None


if __name__ == "__main__":
    main()
