"""How soon difflr reaches the accuracy that the best peer ends with: side by side, on test pictures.

Goal: in at most half of that peer's time. Reached is what a paired difference over the seeds does not show to
be worse.

The peers are those of the recorded study ``recipes``, each at the rate that was chosen there, without
augmentation, which costs more than it gives in so short a training. The one that is best on the *test*
pictures after six epochs (which flatters it) is what difflr stands beside; they also train for as few epochs
as difflr: what a shorter training saves, anyone can have.

difflr's short way is what finetuning-scheduler does, in fewer epochs and with kept features: the last two
splits train for two epochs, two more join in the third, one in the fourth, all at one rate, which falls to
nothing in the last; what stays frozen sees each picture once a phase. Its rate is chosen here, by the study's
grid, on validation pictures.
Seconds are of the whole call that trains.
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
from difflr.evidence.summaries import describe_difference, format_estimate, grouped
from difflr.experiments.statistics import mean_interval, paired
from difflr.experiments.training import TrainingOptions, train
from difflr.studies.declared import RATES
from difflr.studies.design import Cell, Task
from difflr.studies.recordings import Recording, load_recording
from difflr.studies.trial import stage

__all__ = ["Trained", "length", "ours", "peer", "short_plan", "summary", "tuned_peers"]

Stages = tuple[tuple[int, int], ...]  # how many of the last splits train, and for how many epochs

#: Found on validation pictures, from three seeds.
STAGES: Stages = ((2, 2), (4, 1), (5, 1))


class Trained(NamedTuple):
    """What one run gave: accuracy (0 to 1), and the seconds of its training."""

    accuracy: float
    seconds: float


Candidate = Callable[[int], Trained]  # a seed to a run, measured on test pictures


def tuned_peers(recording: Recording, epochs: int) -> dict[str, float]:
    """Return the peers that were tuned at this length, and the base rates that were chosen for them."""
    tested = grouped(recording.where(measured_on="test", epochs=epochs), "recipe")
    return {
        str(name): float(runs[0].tags["base_lr"])
        for (name,), runs in tested.items()
        if runs[0].plan is None and not str(name).endswith(":defaults")
    }


def length(stages: Stages) -> int:
    """Return the epochs that the stages have together."""
    return sum(epochs for _, epochs in stages)


def short_plan(splits: difflr.Splits, lr: float, stages: Stages = STAGES) -> difflr.Plan:
    """Return phases in which more and more splits train, all at one rate that decays in the last."""
    n = len(splits)
    *early, last = (
        difflr.Phase(n - k, epochs, (0.0,) * (n - k) + (lr,) * k, shape="constant")
        for k, epochs in stages
    )
    return difflr.Plan([*early, replace(last, shape="cosine")])


def ours(
    task: Task,
    size: int,
    lr: float,
    seed: int,
    on: str = "test",
    precision: str = "32-true",
    stages: Stages = STAGES,
) -> Trained:
    """Train difflr's short way."""
    # The cell only says which pictures; the plan is this benchmark's own.
    it = stage(task, Cell("gradual", {"lr": lr}, size, length(stages)), seed, on)
    plan = short_plan(difflr.split_model(it.start.build(it.n_classes)), lr, stages)
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
    task: Task, size: int, name: str, lr: float, epochs: int, seed: int, on: str = "test"
) -> Trained:
    """Train a peer through its own package, without augmentation."""
    cell = Cell(name, {"lr": lr}, size, epochs, bn=RIVALS[name].bn)
    run = run_rival(task, cell, seed, on, augmented=False)
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
    peers = tuned_peers(load_recording("recipes"), 6)
    rivals, short = (
        {
            f"{name}, {epochs} epochs": partial(peer, task, size, name, rate, epochs)
            for name, rate in peers.items()
        }
        for epochs in (6, length(STAGES))
    )
    own: dict[str, Candidate] = {
        "difflr's short way": partial(ours, task, size, lr),
        "the same in bf16": partial(ours, task, size, lr, precision="bf16-mixed"),
    }
    candidates: dict[str, Candidate] = {**rivals, **short, **own}
    runs: dict[str, dict[int, Trained]] = {name: {} for name in candidates}
    # Seeds that the studies report: they have chosen nothing.
    for seed in range(100, 100 + arguments.rounds):
        order = list(candidates)
        for what in order if seed % 2 else reversed(order):
            runs[what][seed] = candidates[what](seed)
    rates = ", ".join(f"{rate:g} of {name}" for name, rate in {**peers, "difflr": lr}.items())
    print(f"Base rates: {rates}. {arguments.rounds} seeds.\n")
    print(summary(runs, list(rivals), list(own)))


if __name__ == "__main__":
    main()
