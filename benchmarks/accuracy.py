"""How soon difflr reaches the accuracy that the best peer ends with: side by side, on test pictures.

Goal: in at most half of that peer's time a mean accuracy, over ten seeds, that is the peer's or better.

All train without augmentation, which costs more than it gives in so short a training, and all are tuned
alike, each at its own length: by the half-decades around the rate that the recorded study ``recipes`` found
(for the peers; with augmentation, from one seed), from three seeds, on validation pictures. These also say
which peer is the best of those with six epochs: it is what the others stand beside. Three seeds may err:
where another is best on the test pictures, which flatters it, a second table stands beside that one. The
peers train for as few epochs as difflr too: what a shorter training saves, anyone can have. What the
tuning took stands in the table; what it took to find difflr's plan (``docs/speed.md``) does not.

difflr's short way is what finetuning-scheduler does, in fewer epochs and with kept features: the last two
splits train for two epochs, two more join in the third, one in the fourth, all at one rate, which falls to
nothing in the last; what stays frozen sees each picture once a phase. It is also tried with two rates, the
body's a tenth of the head's. Seconds are of the whole call that trains.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from statistics import fmean
from typing import NamedTuple

import given
from rivals import RIVALS, run_rival
from timing import against_goal, median, ratio, table

import difflr
from difflr.evidence.summaries import describe_difference, format_estimate, grouped
from difflr.experiments.training import TrainingOptions, train
from difflr.runs.statistics import mean_interval, paired
from difflr.studies.cell import Cell
from difflr.studies.declared import RATES
from difflr.studies.design import Task
from difflr.studies.recordings import Recording, load_recording
from difflr.studies.trial import stage

__all__ = [
    *("Chosen", "Run", "Stages", "Trained"),
    *("best_rivals", "choose", "length", "ours", "peer", "recorded_rates", "short_plan", "summary"),
]

Stages = tuple[tuple[int, int], ...]  # how many of the last splits train, and for how many epochs

#: Found on validation pictures, from three seeds.
STAGES: Stages = ((2, 2), (4, 1), (5, 1))
CHOOSING = range(3)  # seeds that choose a base rate
BODY = 10.0  # how much slower the body learns, where there are two rates


class Trained(NamedTuple):
    """What one run gave: accuracy (0 to 1), and the seconds of its training."""

    accuracy: float
    seconds: float


Run = Callable[[float, int, str], Trained]  # base rate, seed and pictures to measure on


class Chosen(NamedTuple):
    """A base rate, the mean accuracy on validation pictures that chose it, and what that took."""

    lr: float
    accuracy: float
    runs: int
    seconds: float


def choose(run: Run, first: float) -> Chosen:
    """Return the rate of ``RATES`` that is best on validation pictures, from ``first`` outwards.

    As far as its neighbours have been tried, too.
    """
    tried: dict[float, list[Trained]] = {}
    best, around = first, [first]
    while around:
        tried |= {lr: [run(lr, seed, "validation") for seed in CHOOSING] for lr in around}
        best = max(tried, key=lambda lr: fmean(one.accuracy for one in tried[lr]))
        at = RATES.index(best)
        around = [lr for lr in RATES[max(at - 1, 0) : at + 2] if lr not in tried]
    every = [one for found in tried.values() for one in found]
    accuracy = fmean(one.accuracy for one in tried[best])
    return Chosen(best, accuracy, len(every), sum(one.seconds for one in every))


def recorded_rates(recording: Recording, epochs: int) -> dict[str, float]:
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


def short_plan(
    splits: difflr.Splits, lr: float, stages: Stages = STAGES, body: float = 1.0
) -> difflr.Plan:
    """Return phases in which more and more splits train, at rates that decay in the last.

    The head trains at ``lr``, all others at ``lr / body``.
    """
    n = len(splits)
    *early, last = (
        difflr.Phase(
            n - k, epochs, (0.0,) * (n - k) + (lr / body,) * (k - 1) + (lr,), shape="constant"
        )
        for k, epochs in stages
    )
    return difflr.Plan([*early, replace(last, shape="cosine")])


def ours(
    task: Task,
    size: int,
    lr: float,
    seed: int,
    on: str,
    *,
    precision: str = "32-true",
    stages: Stages = STAGES,
    body: float = 1.0,
) -> Trained:
    """Train difflr's short way."""
    # The cell only says which pictures; the plan is this benchmark's own.
    it = stage(task, Cell("gradual", {"lr": lr}, size, length(stages)), seed, on)
    plan = short_plan(difflr.split_model(it.start.build(it.n_classes)), lr, stages, body)
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


def peer(task: Task, size: int, name: str, epochs: int, lr: float, seed: int, on: str) -> Trained:
    """Train a peer through its own package, without augmentation."""
    cell = Cell(name, {"lr": lr}, size, epochs, bn=RIVALS[name].bn)
    run = run_rival(task, cell, seed, on, augmented=False)
    return Trained(run["accuracy"], run["seconds"])


def best_rivals(
    runs: dict[str, dict[int, Trained]], chosen: dict[str, Chosen], rivals: Sequence[str]
) -> list[str]:
    """Return the rival that is best on validation pictures, and the one on test pictures if it is another."""
    on_validation = max(rivals, key=lambda name: chosen[name].accuracy)
    on_test = max(rivals, key=lambda name: fmean(run.accuracy for run in runs[name].values()))
    return [*dict.fromkeys((on_validation, on_test))]


def summary(
    runs: dict[str, dict[int, Trained]],
    chosen: dict[str, Chosen],
    best: str,
    own: Sequence[str],
) -> str:
    """Return the table, in which all stand beside the rival ``best``."""
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
            met = (
                against_goal(100 * share.median, "≤", 50, "%") if gap.mean >= 0 else "≤ 50%: missed"
            )
        lr, _, count, took = chosen[name]
        accuracy = format_estimate(mean_interval([run.accuracy for run in found.values()]))
        against = "" if name == best else describe_difference(gap)
        rows.append(
            (
                *(name, f"{lr:g}", f"{count} runs, {took:.0f} s", accuracy),
                *(f"{median(seconds):.1f}", str(share), against, met),
            )
        )
    head = ("training", "base LR", "tuned by", "accuracy", "seconds", f"its time / {best}'s")
    return table((*head, "against it", "goal: no lower a mean, in"), rows)


def main() -> None:
    """Choose every base rate, train all from the same seeds, and print the table."""
    job = given.command_line(__doc__ or "", rounds=10, count=1000)
    arguments = job.parse_args()
    task = Task(arguments.data, "resnet18", arguments.weights, source=None, test_size=1000)
    size = arguments.pictures
    first = recorded_rates(load_recording("recipes"), 6)
    rivals, short = (
        {f"{name}, {epochs} epochs": partial(peer, task, size, name, epochs) for name in first}
        for epochs in (6, length(STAGES))
    )
    own: dict[str, Run] = {
        "difflr's short way": partial(ours, task, size),
        "the same in bf16": partial(ours, task, size, precision="bf16-mixed"),
        "the same with two rates": partial(ours, task, size, body=BODY),
    }
    candidates: dict[str, Run] = {**rivals, **short, **own}
    begins = [*first.values(), *first.values(), 3e-4, 3e-4, 3e-3]
    chosen = {
        name: choose(run, begin)
        for (name, run), begin in zip(candidates.items(), begins, strict=True)
    }
    runs: dict[str, dict[int, Trained]] = {name: {} for name in candidates}
    # Seeds that the studies report: they have chosen nothing.
    for seed in range(100, 100 + arguments.rounds):
        order = list(candidates)
        for what in order if seed % 2 else reversed(order):
            runs[what][seed] = candidates[what](chosen[what].lr, seed, "test")
    print(f"{arguments.rounds} seeds.\n")
    for best in best_rivals(runs, chosen, list(rivals)):
        print(summary(runs, chosen, best, list(own)))


if __name__ == "__main__":
    main()
