"""How soon difflr reaches the accuracy that the best peer ends with: side by side, on test pictures.

Goal: in at most half of that peer's time. Reached is what a paired difference over the seeds does not show to
be worse.

The best peer is that of the recorded study ``recipes``, with the rate that was chosen there; it trains as
recorded, without augmentation, and without it for as few epochs as difflr: what a shorter training saves,
anyone can have. difflr's short way keeps the features of its first two splits, which stay frozen, and trains
the new head at ten times the rate of the others. Its base rate is chosen here, by the study's grid, on
validation pictures. Seconds are of the whole call that trains.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import given
from rivals import RIVALS, run_rival
from timing import median, ratio, table
from timing import verdict as goal

import difflr
from difflr.evidence.summaries import describe_difference, estimate, format_estimate, grouped
from difflr.experiments.statistics import mean_interval, paired
from difflr.experiments.training import TrainingOptions, train
from difflr.studies.declared import RATES
from difflr.studies.design import Cell, Task
from difflr.studies.recordings import Recording, Run, load_recording
from difflr.studies.trial import stage

__all__ = ["Trained", "best_peer", "short_plan", "summary"]

FROZEN, EPOCHS, RATIO = 2, 3, 10.0  # found on validation pictures, from five seeds


class Trained(NamedTuple):
    """What one run gave: accuracy (0 to 1), and the seconds of its training."""

    accuracy: float
    seconds: float


Candidate = Callable[[int], Trained]  # a seed to a run, measured on test pictures


def best_peer(recording: Recording, epochs: int) -> tuple[str, Sequence[Run]]:
    """Return the tuned peer with the best validation mean at this length, and its test runs."""
    tried = grouped(recording.where(measured_on="validation", epochs=epochs), "recipe", "base_lr")
    peers = {
        str(name): estimate(runs).mean
        for (name, _), runs in sorted(tried.items(), key=lambda cell: estimate(cell[1]).mean)
        if runs[0].plan is None and not str(name).endswith(":defaults")
    }  # of each peer's rates the best stays
    best = max(peers, key=lambda name: peers[name])
    return best, recording.where(measured_on="test", epochs=epochs, recipe=best)


def short_plan(splits: difflr.Splits, lr: float) -> difflr.Plan:
    """Return one short cycle over all splits but the first ``FROZEN``, with a faster head."""
    (phase,) = difflr.make_plan("two_rates", splits, EPOCHS, lr=lr, ratio=RATIO).phases
    lrs = (0.0,) * FROZEN + phase.lrs[FROZEN:]
    return difflr.Plan([replace(phase, freeze_to=FROZEN, lrs=lrs)])


def ours(
    task: Task, size: int, lr: float, seed: int, on: str = "test", precision: str = "32-true"
) -> Trained:
    """Train difflr's short way."""
    # The cell only says which pictures; the plan is this benchmark's own.
    it = stage(task, Cell("two_rates", {"lr": lr}, size, EPOCHS), seed, on)
    plan = short_plan(difflr.split_model(it.start.build(it.n_classes)), lr)
    outcome, _ = train(
        it.start,
        plan,
        it.images,
        it.held,
        TrainingOptions(task.batch_size, translate=0, precision=precision, cache=True),
        n_classes=it.n_classes,
        seed=seed,
    )
    return Trained(outcome.accuracy, outcome.seconds)


def peer(
    task: Task, size: int, name: str, lr: float, epochs: int, augmented: bool, seed: int
) -> Trained:
    """Train a peer through its own package."""
    cell = Cell(name, {"lr": lr}, size, epochs, bn=RIVALS[name].bn)
    run = run_rival(task, cell, seed, "test", augmented=augmented)
    return Trained(run["accuracy"], run["seconds"])


def summary(runs: dict[str, dict[int, Trained]], rivals: Sequence[str], own: Sequence[str]) -> str:
    """Return the table; the rival with the highest mean accuracy is what the others stand beside."""
    best = max(rivals, key=lambda name: sum(run.accuracy for run in runs[name].values()))
    theirs = runs[best]
    rows = []
    for name, found in runs.items():
        gap = paired(
            {seed: run.accuracy for seed, run in found.items()},
            {seed: run.accuracy for seed, run in theirs.items()},
        )
        seconds = [run.seconds for run in found.values()]
        share = ratio(seconds, [theirs[seed].seconds for seed in found])
        met = ""
        if name in own:
            worse = gap.mean + gap.half < 0
            met = "≤ 50%: missed" if worse else goal(100 * share.median, "≤", 50, "%")
        accuracy = format_estimate(mean_interval([run.accuracy for run in found.values()]))
        against = "" if name == best else describe_difference(gap)
        rows.append((name, accuracy, f"{median(seconds):.1f}", str(share), against, met))
    head = ("training", "accuracy", "seconds", "its time / the best peer's", "against it", "goal")
    return table(head, rows)


def main() -> None:
    """Choose difflr's base rate, train all from the same seeds, and print the table."""
    job = given.command_line(__doc__ or "", rounds=5, count=1000)
    arguments = job.parse_args()
    task = Task(arguments.data, "resnet18", arguments.weights, source=None, test_size=1000)
    size = arguments.pictures
    tuned = {lr: ours(task, size, lr, 0, "validation").accuracy for lr in RATES}
    lr = max(tuned, key=lambda rate: tuned[rate])
    name, recorded = best_peer(load_recording("recipes"), 6)
    rate = recorded[0].tags["base_lr"]
    rival = partial(peer, task, size, name, rate)
    rivals: dict[str, Candidate] = {
        f"{name}, 6 epochs": partial(rival, 6, True),
        f"{name}, 6 epochs, not augmented": partial(rival, 6, False),
    }
    own: dict[str, Candidate] = {
        "difflr's short way": partial(ours, task, size, lr),
        "the same in bf16": partial(ours, task, size, lr, precision="bf16-mixed"),
    }
    short = {f"{name}, {EPOCHS} epochs, not augmented": partial(rival, EPOCHS, False)}
    candidates = {**rivals, **short, **own}
    runs: dict[str, dict[int, Trained]] = {name: {} for name in candidates}
    # Seeds that the studies report: they have chosen nothing.
    for seed in range(100, 100 + arguments.rounds):
        order = list(candidates)
        for what in order if seed % 2 else reversed(order):
            runs[what][seed] = candidates[what](seed)
    print(f"Base rates: {rate:g} of {name}, {lr:g} of difflr. {arguments.rounds} seeds.\n")
    print(summary(runs, list(rivals), list(own)))


if __name__ == "__main__":
    main()
