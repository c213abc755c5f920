"""What difflr adds to a step: its scheduler and its callback, and how they grow.

Goals: together at most 1% of a step, curves in TensorBoard at every step included; the scheduler no slower
than torch's ``OneCycleLR`` with the same groups.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import given
import pytorch_lightning as pl
import torch
from candidates import epoch_timer
from ideal import BATCH, frozen_model
from pytorch_lightning.loggers import TensorBoardLogger
from timing import Stopwatch, against_goal, alternate, median, ratio, table, whole
from torch import nn

import difflr
from difflr.experiments.backbones import Backbone
from difflr.experiments.data import Images
from difflr.experiments.training import fit
from difflr.lightning.callback import PlanCallback
from difflr.schedule import PlanScheduler

CALLS = 400
HOOKS: tuple[tuple[str, type, tuple[str, ...]], ...] = (
    ("scheduler", PlanScheduler, ("step",)),
    (
        "callback: freezing, curves",
        PlanCallback,
        ("on_train_epoch_start", "on_train_batch_start", "on_train_batch_end"),
    ),
)


@contextmanager
def _counted(clock: str) -> Iterator[dict[str, float]]:
    """Yield the seconds that difflr's own hooks have taken so far, by what they do."""
    spent = {what: 0.0 for what, _, _ in HOOKS}
    originals = [(owner, n, getattr(owner, n)) for _, owner, names in HOOKS for n in names]

    def counting(what: str, original: Callable[..., Any]) -> Callable[..., Any]:
        watch = Stopwatch(clock)

        def call(*args: Any, **kwargs: Any) -> Any:
            watch.start()
            try:
                return original(*args, **kwargs)
            finally:
                watch.stop()
                spent[what] += watch.seconds

        return call

    for what, owner, names in HOOKS:
        for name in names:
            setattr(owner, name, counting(what, getattr(owner, name)))
    try:
        yield spent
    finally:
        for owner, name, original in originals:
            setattr(owner, name, original)


def share(start: Backbone, images: Images, clock: str) -> str:
    """Return the table of what scheduler and callback take of an epoch of full fine-tuning."""
    watch = Stopwatch(clock)
    for _ in range(2):  # the first epoch warms up
        with _counted(clock) as spent, tempfile.TemporaryDirectory() as folder:
            fit(
                frozen_model(start, 0),
                images,
                seed=0,
                batch_size=BATCH,
                logger=TensorBoardLogger(folder, max_queue=1000),
                callbacks=[epoch_timer(pl, watch)],
            )
    steps = -(-len(images) // BATCH)
    parts = {**spent, "together": sum(spent.values())}
    rows = [
        (what, f"{1e3 * seconds / steps:.3f}", f"{seconds / watch.seconds:.2%}", "")
        for what, seconds in parts.items()
    ]
    rows[-1] = (*rows[-1][:-1], against_goal(100 * parts["together"] / watch.seconds, "≤", 1, "%"))
    rows.append(("whole step", f"{1e3 * watch.seconds / steps:.3f}", "100%", ""))
    return table(("part", "ms a step", "share", "goal"), rows)


def growth(rounds: int, clock: str) -> str:
    """Return the table of scheduler and freezing, for so many groups (two a split) and phases."""
    rows = []
    for groups, phases in ((12, 1), (12, 6), (50, 10), (200, 1), (200, 100)):
        splits = _splits(groups // 2)
        own, torchs = _schedulers(splits, phases)
        seconds = alternate(
            {
                "own": whole(lambda own=own: _repeat(own.step)),
                "torch": whole(lambda torchs=torchs: _repeat(torchs.step)),
                "freezing": whole(
                    lambda own=own, splits=splits: _repeat(lambda: own.freeze(splits))
                ),
            },
            rounds,
            clock,
        )
        micro = {name: f"{1e6 * median(found) / CALLS:.1f}" for name, found in seconds.items()}
        found = ratio(seconds["own"], seconds["torch"])
        goal = against_goal(found.median, "≤", 1)
        rows.append(
            (groups, phases, micro["own"], micro["torch"], str(found), goal, micro["freezing"])
        )
    head = ("groups", "phases", "PlanScheduler.step, µs", "OneCycleLR.step, µs", "ratio", "goal")
    return table((*head, "freezing, µs"), rows)


def _repeat(call: Callable[[], object]) -> None:
    for _ in range(CALLS):
        call()


def _splits(count: int) -> difflr.Splits:
    blocks = [nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)) for _ in range(count)]
    return difflr.split_model(nn.Sequential(*blocks), blocks)


def _schedulers(splits: difflr.Splits, phases: int) -> tuple[PlanScheduler, Any]:
    """Return both schedulers, each for the same groups and at the start of a long run."""
    rates = [1e-3] * len(splits)
    plan = difflr.Plan([difflr.Phase(0, 1, rates) for _ in range(phases)])
    own, other = (torch.optim.AdamW(difflr.param_groups(splits, 1e-3)) for _ in range(2))
    for optimizer in (own, other):
        optimizer.step()  # torch warns where a scheduler steps first
    steps = 10 * CALLS
    torchs = torch.optim.lr_scheduler.OneCycleLR(other, 1e-3, total_steps=steps * phases)
    return PlanScheduler(own, plan, steps), torchs


def main() -> None:
    """Print the tables."""
    arguments = given.command_line(__doc__ or "").parse_args()
    images, start = given.pictures(arguments), given.start(arguments)
    print(share(start, images, arguments.clock), flush=True)
    print(growth(arguments.rounds, arguments.clock))


if __name__ == "__main__":
    main()
