"""A step of training, beside the least that it can be: what each layer around the network adds.

Both take turns step by step, so that whatever slows this machine down for a second meets both. Goals:
difflr's step, with augmentation, plan, scheduler and curves at every step, does at least 95% of the limit's
work in the same time; with the first k splits frozen it takes at most 1.05 times their ideal.

The ideal's pictures are normalised and neither fetched nor augmented. In between stand the pictures alone,
and Lightning's loop with nothing of difflr's in it.
"""

import tempfile
from collections.abc import Callable, Iterable
from functools import partial

import given
import pytorch_lightning as pl
import torch
from ideal import BATCH, DEVICE, frozen_model, ideal_step
from pytorch_lightning.loggers import TensorBoardLogger
from timing import Ratio, Turns, against_goal, table, typical
from torch.nn import functional as F

import difflr
from difflr.experiments.allocator import keep_freed_memory
from difflr.experiments.augmentation import augment
from difflr.experiments.backbones import Backbone
from difflr.experiments.data import Images
from difflr.experiments.training import fit
from difflr.freezing import freeze_to
from difflr.models.prefix import cut_prefix

__all__ = ["RUNGS", "beside", "profiled"]

Rung = Callable[
    [Turns], object
]  # trains an epoch, and lets the other take its turn after every step


class _InTurn(pl.Callback):
    """After every step of Lightning's, the other's."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns

    def on_train_epoch_start(self, *_: object) -> None:
        self.turns.begin()

    def on_train_batch_end(self, *_: object) -> None:
        self.turns.turn()


def the_ideal(start: Backbone, images: Images, batch: int, first: int, bf16: bool) -> Rung:
    """The ideal beside itself: how well this machine can tell two things apart."""
    step = ideal_step(start, images, batch, first, bf16=bf16)

    def train(turns: Turns, epochs: int) -> None:
        for _ in range(epochs):
            turns.begin()
            for _ in range(-(-len(images) // batch)):
                step()
                turns.turn()

    return train


class _Plain(pl.LightningModule):
    """The ideal's steps on pictures that are augmented first."""

    def __init__(self, start: Backbone, first: int) -> None:
        super().__init__()
        self.model = frozen_model(start, first).to(DEVICE).train()
        freeze_to(difflr.split_model(self.model.network), first)
        self.before, self.after = cut_prefix(self.model.network)

    def training_step(
        self, batch: tuple[torch.Tensor, torch.Tensor], batch_idx: int
    ) -> torch.Tensor:
        numbers = torch.Generator().manual_seed(batch_idx)
        x = self.model.normalise(augment(batch[0], numbers, flip=True))
        with torch.no_grad():
            features = self.before(x) if self.before else x
        return F.cross_entropy(self.after(features), batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        trained = [p for p in self.parameters() if p.requires_grad]
        return torch.optim.AdamW(trained, lr=1e-4, fused=True)


def pictures(start: Backbone, images: Images, batch: int, first: int, bf16: bool) -> Rung:
    """Fetch, augment and normalise the pictures, around the ideal's step."""
    plain = _Plain(start, first)
    optimizer = plain.configure_optimizers()

    def train(turns: Turns, epochs: int) -> None:
        loader = images.batches(batch, seed=0)
        for _ in range(epochs):
            turns.begin()
            for number, (pixels, labels) in enumerate(loader):
                with torch.autocast(DEVICE.type, torch.bfloat16, enabled=bf16):
                    loss = plain.training_step((pixels.to(DEVICE), labels.to(DEVICE)), number)
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
                turns.turn()

    return train


def lightning(start: Backbone, images: Images, batch: int, first: int, bf16: bool) -> Rung:
    """The same in Lightning's loop, with nothing of difflr's in it."""
    plain = _Plain(start, first)

    def train(turns: Turns, epochs: int) -> None:
        trainer = pl.Trainer(
            max_epochs=epochs,
            devices=1,
            precision="bf16-mixed" if bf16 else "32-true",
            logger=False,
            callbacks=[_InTurn(turns)],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(plain, images.batches(batch, seed=0))

    return train


def ours(
    start: Backbone, images: Images, batch: int, first: int, bf16: bool, *, curves: bool = False
) -> Rung:
    """difflr's own run, with or without curves in TensorBoard."""

    def train(turns: Turns, epochs: int) -> None:
        model = frozen_model(start, first, epochs, flip=True)
        with tempfile.TemporaryDirectory() as folder:
            fit(
                model,
                images,
                seed=0,
                batch_size=batch,
                precision="bf16-mixed" if bf16 else "32-true",
                logger=TensorBoardLogger(folder, max_queue=1000) if curves else False,
                callbacks=[_InTurn(turns)],
            )

    return train


RUNGS: dict[str, Callable[[Backbone, Images, int, int, bool], Rung]] = {
    "the ideal once more": the_ideal,
    "+ pictures fetched, augmented, normalised": pictures,
    "+ Lightning's loop": lightning,
    "+ plan, scheduler, freezing: difflr": ours,
    "+ curves in TensorBoard at every step": partial(ours, curves=True),
}


def beside(rung: Rung, step: Callable[[], None], rounds: int, clock: str) -> Ratio:
    """Return how long a step of the rung takes as a multiple of ``step``; one more epoch warms up."""
    turns = Turns(step, clock)
    with keep_freed_memory():  # the ideal, too, is as fast as it can be
        rung(turns, rounds + 1)
    warm = len(turns.own) // (rounds + 1)
    return typical(turns.own[warm:], turns.others[warm:])


def ladder(start: Backbone, images: Images, rounds: int, clock: str) -> str:
    """Return the table of full fine-tuning, rung by rung at batch 64, and difflr's at 128 and in bf16."""
    rows = []
    *_, last = RUNGS
    for batch, bf16 in ((BATCH, False), (2 * BATCH, False), (BATCH, True), (2 * BATCH, True)):
        step = ideal_step(start, images, batch, bf16=bf16)
        for name in RUNGS if (batch, bf16) == (BATCH, False) else [last]:
            rung = RUNGS[name](start, images, batch, 0, bf16)
            found = beside(rung, step, rounds, clock)
            share = 100 / found.median
            goal = against_goal(share, "≥", 95, "%") if name == last else ""
            precision = "bf16" if bf16 else "float32"
            rows.append((batch, precision, name, str(found), f"{share:.0f}%", goal))
    return table(("batch", "precision", "step", "/ the ideal's", "of the limit", "goal"), rows)


PARTS = {  # names of torch's operators that belong together, the first match counts
    "convolutions, backward": "convolution_backward",
    "convolutions, forward": "convolution",
    "AdamW": "adamw",
    "BatchNorm": "batch_norm",
}


def profiled(step: Callable[[], None], count: int = 10) -> str:
    """Return the table of where the limit's own step goes: what no one can leave out at this precision."""
    for _ in range(3):
        step()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        for _ in range(count):
            step()
    spent = shares((event.key, event.self_cpu_time_total) for event in profiler.key_averages())
    whole = sum(spent.values())
    return table(("part", "share"), [(part, f"{us / whole:.0%}") for part, us in spent.items()])


def shares(events: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Return what the events of each part took together, each event counted once."""
    spent = dict.fromkeys([*PARTS, "all else"], 0.0)
    for key, took in events:
        spent[next((part for part, name in PARTS.items() if name in key), "all else")] += took
    return spent


def frozen(start: Backbone, images: Images, rounds: int, clock: str) -> str:
    """Return the table of steps of 64 with the first k splits frozen."""
    rows = []
    for first in range(6):
        step = ideal_step(start, images, first=first)
        plain, own = (
            beside(rung(start, images, BATCH, first, False), step, rounds, clock)
            for rung in (lightning, ours)
        )
        rows.append((first, str(plain), str(own), against_goal(own.median, "≤", 1.05)))
    return table(
        ("splits frozen", "Lightning's loop alone / ideal", "difflr / ideal", "goal"), rows
    )


def main() -> None:
    """Print the tables."""
    arguments = given.command_line(__doc__ or "", rounds=6).parse_args()
    images, start = given.pictures(arguments), given.start(arguments)
    print("### What each layer adds\n")
    print(ladder(start, images, arguments.rounds, arguments.clock), flush=True)
    print("### Where the limit's step goes\n")
    print(profiled(ideal_step(start, images)))
    print("### Frozen phases\n")
    print(frozen(start, images, arguments.rounds, arguments.clock))


if __name__ == "__main__":
    main()
