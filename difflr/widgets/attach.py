"""A split explorer that follows a running trainer."""

import time
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl

from difflr.widgets.pump import pump

if TYPE_CHECKING:
    from difflr.widgets.explorer import SplitExplorer

__all__ = ["ExplorerCallback"]


class ExplorerCallback(pl.Callback):
    """Give the explorer the trainer's optimizer, and let it look again every ``every`` seconds."""

    def __init__(self, explorer: "SplitExplorer", every: float = 1.0) -> None:
        self.explorer = explorer
        self.every = every
        self._looked = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the optimizer that the trainer made."""
        self.explorer.optimizer = trainer.optimizers[0]
        self.explorer.refresh()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any, **__: Any
    ) -> None:
        """Look again where it is time to."""
        pump()
        if time.monotonic() - self._looked >= self.every:
            self._looked = time.monotonic()
            self.explorer.refresh()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look a last time."""
        self.explorer.refresh()
