"""The loss of a training as it runs, in one line: for cells that train more than one network."""

import math
from typing import Any

from IPython.display import display

from difflr.lightning.package import pl

__all__ = ["LossLine"]

_BARS = "▁▂▃▄▅▆▇█"


class LossLine(pl.Callback):
    """A Lightning callback that shows one line, anew after each epoch: ``name ▇▄▂▁ loss 0.41``.

    For many trainings one line will do: used again, under another ``name`` if that is set, it shows
    the new training in its place.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.losses: list[float] = []  # mean of each epoch so far
        self._epoch: list[float] = []
        self._shown: Any = None

    def __repr__(self) -> str:
        finite = [loss if math.isfinite(loss) else 0.0 for loss in self.losses]
        top = max(finite, default=0.0) or 1.0
        heights = (max(loss / top, 0.0) for loss in finite)
        bars = "".join(_BARS[round(height * (len(_BARS) - 1))] for height in heights)
        last = f"loss {self.losses[-1]:.2f}" if self.losses else "no epoch yet"
        return f"{self.name:>16} {bars} {last}"

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin the line anew."""
        self.losses, self._epoch = [], []
        if self._shown is None:
            self._shown = display(self, display_id=True)
        else:
            self._shown.update(self)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_: Any
    ) -> None:
        """Note the loss of a batch."""
        self._epoch.append(float(outputs["loss"]))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the mean loss of the epoch."""
        self.losses.append(sum(self._epoch) / len(self._epoch))
        self._epoch = []
        if self._shown is not None:  # outside a notebook nothing can be replaced
            self._shown.update(self)
