"""What frozen phases cost, and what keeping their features saves.

Goals: with the first k splits frozen a step takes at most 1.05 times the ideal (their forward without
autograd, then forward, backward and optimizer step of the rest); a head-only phase of many epochs is at
least 10 times as fast with its features kept, and gives the same network but for rounding.

The ideal's pictures are normalised and neither augmented nor fetched, so the last column has what Lightning
takes for the ideal's own steps with pictures that are: what lies between both is difflr's.
"""

from functools import partial
from typing import Any

import given
import pytorch_lightning as pl
import torch
from candidates import epoch_timer
from timing import Candidate, Stopwatch, alternate, measure, median, ratio, table, verdict, whole
from torch.nn import functional as F

import difflr
from difflr.backbones import Backbone
from difflr.data import Images
from difflr.freezing import freeze_to
from difflr.prefix import cut_prefix
from difflr.training import Classifier, augment, fit

__all__ = ["BATCH", "frozen_model"]

BATCH = 64


def frozen_model(start: Backbone, first: int, epochs: int = 1, **options: object) -> Classifier:
    """Return a classifier whose plan has one phase: the splits before ``first`` are frozen."""
    torch.manual_seed(0)
    network = start.build(10)
    splits = len(difflr.split_model(network))
    plan = difflr.Plan([difflr.Phase(first, epochs, [0.0] * first + [1e-4] * (splits - first))])
    return Classifier(network, plan, mean=start.mean, std=start.std, **options)  # type: ignore[arg-type]


def _ideal(start: Backbone, images: Images, first: int) -> Candidate:
    model = frozen_model(start, first).train()
    freeze_to(difflr.split_model(model.network), first)
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

    return whole(epoch)


def _plain(start: Backbone, images: Images, first: int) -> Candidate:
    """Return the ideal's steps in Lightning's loop, augmented, with nothing of difflr's around them."""
    model = frozen_model(start, first).train()
    freeze_to(difflr.split_model(model.network), first)
    before, after = cut_prefix(model.network)

    class Plain(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = model.network

        def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
            numbers = torch.Generator().manual_seed(self.global_step)
            x = model.normalise(augment(batch[0], numbers, flip=True))
            with torch.no_grad():
                features = before(x) if before else x
            return F.cross_entropy(after(features), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            trained = [p for p in self.parameters() if p.requires_grad]
            return torch.optim.AdamW(trained, lr=1e-4, fused=True)

    def epoch(watch: Stopwatch) -> None:
        trainer = pl.Trainer(
            max_epochs=1,
            devices=1,
            logger=False,
            callbacks=[epoch_timer(pl, watch)],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(Plain(), images.batches(BATCH, seed=0))

    return epoch


def _own(start: Backbone, images: Images, first: int) -> Candidate:
    model = frozen_model(start, first, flip=True)

    def epoch(watch: Stopwatch) -> None:
        fit(model, images, seed=0, batch_size=BATCH, callbacks=[epoch_timer(pl, watch)])

    return epoch


def frozen(start: Backbone, images: Images, rounds: int, clock: str) -> str:
    """Return the table of steps with the first k splits frozen."""
    rows = []
    steps = -(-len(images) // BATCH)
    for first in range(6):
        candidates = {
            "ideal": _ideal(start, images, first),
            "own": _own(start, images, first),
            "plain": _plain(start, images, first),
        }
        seconds = alternate(candidates, rounds, clock)
        ideal, own = (1000 * median(seconds[name]) / steps for name in ("ideal", "own"))
        found = ratio(seconds["own"], seconds["ideal"])
        plain = ratio(seconds["plain"], seconds["ideal"])
        goal = verdict(found.median, "≤", 1.05)
        rows.append((first, f"{ideal:.1f}", f"{own:.1f}", str(found), goal, str(plain)))
    head = ("splits frozen", "ideal, ms", "difflr, ms", "ratio", "goal", "ratio of Lightning alone")
    return table(head, rows)


def kept(start: Backbone, images: Images, clock: str, lengths: tuple[int, ...]) -> str:
    """Return the table of head-only phases with and without their features kept."""
    rows = []
    for epochs in lengths:

        def phase(model: Classifier, cache: bool) -> object:
            return fit(model, images, seed=0, batch_size=BATCH, cache=cache)

        models = [frozen_model(start, 5, epochs, shift=0) for _ in range(2)]
        computed, cached = (
            measure(partial(phase, model, cache), clock)
            for model, cache in zip(models, (False, True), strict=True)
        )
        with torch.no_grad():
            some = images.pixels[:256]
            one, other = (model.eval()(some.to(model.device)) for model in models)
        apart = float((one - other).abs().max() / one.abs().max())
        times = computed / cached
        goal = verdict(times, "≥", 10) if epochs >= 20 else ""
        rows.append(
            (epochs, f"{computed:.2f}", f"{cached:.2f}", f"{times:.1f}", f"{apart:.0e}", goal)
        )
    head = ("epochs, head only", "computed, s", "kept, s", "times as fast", "logits apart", "goal")
    return table(head, rows)


def main() -> None:
    """Print the tables."""
    job = given.command_line(__doc__ or "", rounds=4)
    job.add_argument("--epochs", type=int, nargs="*", default=[5, 30], help="of kept features")
    arguments = job.parse_args()
    images, start, clock = given.pictures(arguments), given.start(arguments), arguments.clock
    print("### Frozen phases: one step of 64\n")
    print(frozen(start, images, arguments.rounds, clock), flush=True)
    print("### Features kept over a phase\n")
    print(kept(start, images, clock, tuple(arguments.epochs)))


if __name__ == "__main__":
    main()
