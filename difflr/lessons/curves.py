"""Learning rates as they really come out of a scheduler, and their picture: for lessons 4 and 5."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, MultipleLocator
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader, TensorDataset

from difflr.experiments.quiet import quiet
from difflr.figures.style import LINES, OKABE_ITO, split_colours
from difflr.lightning.package import pl

__all__ = ["BATCHES", "EPOCHS", "drive", "plot_changes", "plot_curves", "rehearse"]

EPOCHS, BATCHES = 4, 12  # of a rehearsal


def drive(optimizer: Optimizer, scheduler: LRScheduler, steps: int) -> list[list[float]]:
    """Return the learning rates of all groups at each of ``steps`` steps of a training loop."""
    seen = []
    for _ in range(steps):
        seen.append([float(group["lr"]) for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return seen


class _Rehearsal(pl.LightningModule):
    """A line that learns next to nothing, and notes the learning rate of every optimizer step."""

    def __init__(self, configure: Callable[[pl.LightningModule], Any]) -> None:
        super().__init__()
        self.line = torch.nn.Linear(2, 1)
        self.seen: list[float] = []
        self._configure = configure

    def configure_optimizers(self) -> Any:
        return self._configure(self)

    def train_dataloader(self) -> DataLoader:
        return DataLoader(TensorDataset(torch.ones(BATCHES, 2)))

    def training_step(self, batch: list[torch.Tensor], batch_idx: int) -> torch.Tensor:
        return self.line(batch[0]).square().mean()

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        self.seen.append(float(optimizer.param_groups[0]["lr"]))


def rehearse(configure: Callable[[pl.LightningModule], Any], **options: Any) -> list[float]:
    """Fit for 4 epochs of 12 batches and return the learning rate of every optimizer step.

    Args:
        configure: used as the ``configure_optimizers`` of a module with one small layer.
        options: of the Trainer, e.g. ``accumulate_grad_batches=4``.
    """
    module = _Rehearsal(configure)
    plain = {
        "max_epochs": EPOCHS,
        "accelerator": "cpu",
        "devices": 1,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    with quiet(all_warnings=True):
        pl.Trainer(**{**plain, **options}).fit(module)
    return module.seen


def plot_curves(
    curves: Mapping[str, Sequence[float]],
    title: str,
    log: bool = False,
    steps_per_epoch: int | None = None,
) -> Figure:
    """Draw learning rates over the steps, each curve with a colour and a line style of its own.

    With ``steps_per_epoch`` the ticks stand where epochs begin: all of them, up to a dozen.
    """
    figure = Figure(figsize=(9, 3.4), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    colours = split_colours(len(curves))
    for index, (name, rates) in enumerate(curves.items()):
        width = max(4.2 - index, 1.8)  # where curves coincide, those below still show
        # A learning rate holds for a whole step: a ramp between two would be a rate that nobody had.
        look: Any = {"color": colours[index], "linestyle": LINES[index % len(LINES)], "lw": width}
        axes.stairs(rates, label=name, baseline=None, zorder=2, **look)
    axes.set_yscale("log" if log else "linear")
    axes.set_title(title, size=12, loc="left")
    axes.set_xlabel("optimizer step", size=11)
    axes.set_ylabel("learning rate", size=11)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if steps_per_epoch:
        epochs = max(map(len, curves.values())) / steps_per_epoch
        axes.xaxis.set_major_locator(MultipleLocator(steps_per_epoch * math.ceil(epochs / 12)))
    axes.legend(frameon=False, fontsize=11, loc="upper left", bbox_to_anchor=(1, 1))
    axes.grid(color="0.92")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def plot_changes(default: Sequence[float], changes: Mapping[str, Sequence[float]]) -> Figure:
    """Draw learning rates on a log axis, one panel per change, each beside the default in grey."""
    figure = Figure(figsize=(9, 3), dpi=100, layout="constrained")
    panels = figure.subplots(1, len(changes), sharex=True, sharey=True, squeeze=False)[0]
    for axes, (name, rates) in zip(panels, changes.items(), strict=True):
        axes.plot(default, color="0.6", lw=5)
        axes.plot(rates, color=OKABE_ITO[0], lw=2)
        axes.set_yscale("log")
        axes.set_title(name, size=12, loc="left")
        axes.set_xlabel("optimizer step", size=11)
        axes.grid(color="0.92")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("learning rate", size=11)
    return figure
