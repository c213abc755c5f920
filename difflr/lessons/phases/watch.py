"""A callback that notes what a fit really does to each split, whoever schedules and freezes."""

from typing import Any

import torch
from torch.optim import Optimizer

from difflr.lightning.package import pl
from difflr.splits import Splits, split_model
from difflr.written.tables import aligned

__all__ = ["Watch"]


class Watch(pl.Callback):
    """Note the learning rates of every optimizer step, and which splits each epoch has moved.

    For modules that hold their network in ``model`` and have one parameter group per split, or
    groups that say in ``group["split"]`` which split they belong to.
    """

    def __init__(self) -> None:
        self.names: tuple[str, ...] = ()
        self.lrs: list[tuple[float, ...]] = []  # per step, one per split
        self.trains: list[tuple[bool, ...]] = []  # per step: may the split be moved?
        self.moved: list[tuple[bool, ...]] = []  # per epoch: did a weight of the split change?
        self._splits: Splits
        self._before: list[list[torch.Tensor]] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Note the splits, and the weights (a fit that resumes may begin in the middle of an epoch)."""
        self._splits = split_model(pl_module.model)
        self.names = self._splits.names
        self._before = self._weights()

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        """Note the learning rates that this step is taken with."""
        groups = optimizer.param_groups
        rates = {group.get("split", i): float(group["lr"]) for i, group in enumerate(groups)}
        self.lrs.append(tuple(rates[i] for i in range(len(self._splits))))
        self.trains.append(
            tuple(any(p.requires_grad for p in s.parameters.values()) for s in self._splits)
        )

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note what has moved."""
        after = self._weights()
        pairs = zip(self._before, after, strict=True)
        self.moved.append(tuple(not all(map(torch.equal, old, new)) for old, new in pairs))
        self._before = after

    def table(self) -> str:
        """Return a line for each epoch (from 1): which splits were moved."""
        rows = [["epoch", *self.names]]
        for epoch, moved in enumerate(self.moved, 1):
            rows.append([f"{epoch}", *("moved" if each else "-" for each in moved)])
        return "\n".join(aligned(rows))

    def _weights(self) -> list[list[torch.Tensor]]:
        return [[p.detach().clone() for p in s.parameters.values()] for s in self._splits]
