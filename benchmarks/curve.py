"""Accuracy against seconds, for difflr's short way and for the best peer, shorter and longer.

Each length of either has the base rate that is best on validation pictures, by three seeds, as in
``accuracy.py``; then all train from the same further seeds, are measured on the test pictures, and a picture
is drawn. Seconds are those of the whole call that trains; with ``--clock cpu`` the processor's, with all that
comes before and after a training, for a machine with other work.
"""

from functools import partial
from pathlib import Path

import given
from accuracy import STAGES, Chosen, Run, Stages, Trained, choose, length, ours, peer
from matplotlib.figure import Figure
from timing import measure, median, ratio, table

from difflr.evidence.summaries import describe_difference, drawn, format_estimate
from difflr.figures.style import MARKERS, OKABE_ITO, style
from difflr.runs.statistics import mean_interval, paired
from difflr.studies.design import Task

__all__ = ["draw", "main"]

PEER = "finetuning_scheduler"  # the best of those beside which accuracy.py puts difflr
EPOCHS = (2, 3, 4, 6)  # of the peer
LENGTHS: tuple[Stages, ...] = (
    ((2, 1), (4, 1)),
    ((2, 1), (4, 1), (5, 1)),
    STAGES,
    ((2, 3), (4, 2), (5, 1)),
)
OURS, THEIRS = "difflr", PEER.replace("_", "-")

FIRST = 3e-4  # the rate with which choosing one begins

Found = dict[tuple[str, int], dict[int, Trained]]  # package and epochs, then seed


def candidates(task: Task, size: int) -> dict[tuple[str, int], Run]:
    """Return what is trained, by package and number of epochs."""
    return {
        **{(THEIRS, epochs): partial(peer, task, size, PEER, epochs) for epochs in EPOCHS},
        **{(OURS, length(stages)): partial(ours, task, size, stages=stages) for stages in LENGTHS},
    }


def timed(run: Run, clock: str, lr: float, seed: int, on: str) -> Trained:
    """Return a run with its seconds by the clock."""
    found: list[Trained] = []
    took = measure(lambda: found.append(run(lr, seed, on)), clock)
    return found[0] if clock == "wall" else found[0]._replace(seconds=took)


def summary(runs: Found, chosen: dict[tuple[str, int], Chosen]) -> str:
    """Return the table; all stand beside the peer's six epochs."""
    theirs = runs[THEIRS, 6]
    rows = []
    for (package, epochs), found in runs.items():
        accuracies = {seed: run.accuracy for seed, run in found.items()}
        gap = paired(accuracies, {seed: run.accuracy for seed, run in theirs.items()})
        seconds = [run.seconds for run in found.values()]
        share = ratio(seconds, [theirs[seed].seconds for seed in found])
        lr, _, count, took = chosen[package, epochs]
        rows.append(
            (
                *(package, str(epochs), f"{lr:g}", f"{count} runs, {took:.0f} s"),
                format_estimate(mean_interval(list(accuracies.values()))),
                *(f"{median(seconds):.1f}", str(share)),
                "" if found is theirs else describe_difference(gap),
            )
        )
    head = ("training", "epochs", "base LR", "tuned by", "accuracy", "seconds")
    return table((*head, "of the peer's six epochs", "against them"), rows)


def draw(runs: Found) -> Figure:
    """Draw a line for each package: accuracy with its interval over the share of the peer's seconds."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    style(axes)
    whole = median([run.seconds for run in runs[THEIRS, 6].values()])
    for package, colour, marker in zip((THEIRS, OURS), OKABE_ITO, MARKERS, strict=False):
        own = {
            epochs: list(found.values()) for (of, epochs), found in runs.items() if of == package
        }
        shares = [median([run.seconds for run in found]) / whole for found in own.values()]
        means, halves = drawn(
            mean_interval([run.accuracy for run in found]) for found in own.values()
        )
        axes.errorbar(
            shares, means, halves, color=colour, marker=marker, capsize=3, label=package, ms=8
        )
        for epochs, *point in zip(own, shares, means, strict=True):
            axes.annotate(str(epochs), point, (6, -14), textcoords="offset points")
    axes.set_xlim(left=0)
    axes.set_xlabel("time, as a share of the peer's six epochs (beside each mark: epochs)")
    axes.set_ylabel("test accuracy (%)")
    axes.legend(loc="lower right", frameon=False)
    return figure


def main() -> None:
    """Choose base rates, train all from the same seeds, print the table and draw the picture."""
    job = given.command_line(__doc__ or "", rounds=10, count=1000)
    job.add_argument("--out", type=Path, help="a PNG of the curves")
    arguments = job.parse_args()
    task = Task(arguments.data, "resnet18", arguments.weights, source=None, test_size=1000)
    jobs: dict[tuple[str, int], Run] = {
        name: partial(timed, run, arguments.clock)
        for name, run in candidates(task, arguments.pictures).items()
    }
    chosen = {name: choose(run, FIRST) for name, run in jobs.items()}
    runs: Found = {name: {} for name in jobs}
    for seed in range(100, 100 + arguments.rounds):
        order = list(jobs)
        for name in order if seed % 2 else reversed(order):
            runs[name][seed] = jobs[name](chosen[name].lr, seed, "test")
    print(summary(runs, chosen))
    if arguments.out:
        draw(runs).savefig(arguments.out, dpi=110)


if __name__ == "__main__":
    main()
