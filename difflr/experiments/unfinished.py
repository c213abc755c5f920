"""A run that was stopped goes on from its last whole epoch, as if nothing had happened."""

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from difflr.lightning.package import pl

__all__ = ["Unfinished"]


class Unfinished(pl.Callback):
    """Keeps a checkpoint of the last whole epoch in the folder of a run, until the run is finished.

    Beside what Lightning keeps (weights, optimizer, step of the plan) it holds the random numbers that
    order the batches, those of the network, and how long the files of the curves were.

    Args:
        folder: of the run; TensorBoard's files lie in it.
        origin: what makes the run what it is; a checkpoint of another one is deleted.
    """

    def __init__(self, folder: Path, origin: Mapping[str, Any]) -> None:
        self.path = folder / "unfinished.ckpt"
        self.seconds = 0.0  # of training before, less those spent on keeping
        self._origin = json.dumps(origin, sort_keys=True)
        self._order: Any = None  # the generator of the batches
        self._start = 0.0
        self._curves: dict[str, int] = {}

    def find(self, loader: DataLoader[Any]) -> Path | None:
        """Return the checkpoint to go on from; curves drawn after it, or without one, are deleted."""
        self._order = loader.generator
        kept: dict[str, Any] = {}
        with suppress(Exception):  # none, or one that cannot be read: the run starts anew
            whole = torch.load(self.path, map_location="cpu", weights_only=True)
            kept = whole["callbacks"][self.state_key]
        if kept.get("origin") != self._origin:
            kept = {}
            self.remove()
        lengths = kept.get("curves", {})
        for file in self._events():
            if file.name not in lengths:
                file.unlink()
            elif file.stat().st_size > lengths[file.name]:
                with file.open("r+b") as opened:
                    opened.truncate(lengths[file.name])
        return self.path if kept else None

    def remove(self) -> None:
        """Delete the checkpoint: the run is finished, or starts anew."""
        for file in self.path.parent.glob(f"{self.path.name}*"):
            file.unlink(missing_ok=True)

    def _events(self) -> list[Path]:
        return sorted(self.path.parent.glob("events.out.tfevents.*"))

    def state_dict(self) -> dict[str, Any]:
        """Return what Lightning does not keep of a run."""
        return {
            "origin": self._origin,
            "order": self._order.get_state(),
            "random": torch.get_rng_state(),
            "devices": torch.cuda.get_rng_state_all(),
            "seconds": self.seconds + time.perf_counter() - self._start,
            "curves": self._curves,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Set the random numbers to where they were: Lightning draws the next epoch's order after this."""
        self._order.set_state(state_dict["order"])
        torch.set_rng_state(state_dict["random"])
        torch.cuda.set_rng_state_all(state_dict["devices"])
        self.seconds = state_dict["seconds"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin to count the seconds."""
        self._start = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the epoch, in one step: a kill leaves the one before."""
        before = time.perf_counter()
        if trainer.current_epoch + 1 < (trainer.max_epochs or 0):
            for logger in trainer.loggers:
                logger.experiment.flush()  # type: ignore[attr-defined]
            self._curves = {file.name: file.stat().st_size for file in self._events()}
            part = self.path.with_name(f"{self.path.name}.part")
            try:
                trainer.save_checkpoint(part)
                part.replace(self.path)
            except (OSError, RuntimeError):  # a full disk costs the epochs, not the run
                part.unlink(missing_ok=True)
        self.seconds -= time.perf_counter() - before
