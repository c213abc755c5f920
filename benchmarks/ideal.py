"""The least that a step of training can be: nothing around the network at all."""

from collections.abc import Callable
from itertools import cycle

import torch
from torch.nn import functional as F

import difflr
from difflr.experiments.backbones import Backbone
from difflr.experiments.data import Images
from difflr.experiments.training import Classifier
from difflr.freezing import freeze_to
from difflr.models.prefix import cut_prefix

__all__ = ["BATCH", "DEVICE", "frozen_model", "ideal_step"]

BATCH = 64
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def frozen_model(start: Backbone, first: int, epochs: int = 1, **options: object) -> Classifier:
    """Return a classifier whose plan has one phase: the splits before ``first`` are frozen."""
    torch.manual_seed(0)
    network = start.build(10)
    splits = len(difflr.split_model(network))
    plan = difflr.Plan([difflr.Phase(first, epochs, [0.0] * first + [1e-4] * (splits - first))])
    return Classifier(network, plan, mean=start.mean, std=start.std, **options)  # type: ignore[arg-type]


def ideal_step(
    start: Backbone,
    images: Images,
    batch: int = BATCH,
    first: int = 0,
    *,
    bf16: bool = False,
    compiled: bool = False,
) -> Callable[[], None]:
    """Return a step: forward, backward and fused AdamW on the next batch, which is normalised already.

    The splits before ``first`` are frozen: their forward runs without autograd.
    """
    model = frozen_model(start, first).to(DEVICE).train()
    freeze_to(difflr.split_model(model.network), first)
    before, after = cut_prefix(model.network)
    if compiled:
        after.compile()
    trained = [p for p in model.network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, fused=True)
    batches = zip(images.pixels.split(batch), images.labels.split(batch), strict=True)
    pairs = cycle([(model.normalise(x.to(DEVICE)), y.to(DEVICE)) for x, y in batches])

    def step() -> None:
        x, y = next(pairs)
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=bf16):
            with torch.no_grad():
                features = before(x) if before else x
            loss = F.cross_entropy(after(features), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step
