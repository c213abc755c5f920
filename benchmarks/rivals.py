"""The rivals' part of the study ``recipes``: each trained through its real package.

Run it in the environment of ``make peers``::

    .venv/peers/bin/python benchmarks/rivals.py --data FOLDER --weights FILE.safetensors

The runs go into the study's own journal: beside difflr's recipes, on the same pictures, from the same
seeds, with rates chosen as theirs are (the grid ``RATES``, measured on validation pictures), and with the
same measures. The same command goes on where it stopped.

What is the same for all: pictures, their order, shifts and flips (``augment`` of
``difflr.experiments.augmentation``, drawn by the same numbers), normalisation, network, new head. What is
the rival's: optimizer, schedule, freezing, BatchNorm. ``…:defaults`` leaves the learning rate to the
package as well. Where it leaves something open, this was decided:

- ``fastai.fine_tune``: a ``Learner`` with fastai's split of a ResNet into three, Adam, weight decay and
  all else at fastai's defaults. Of the epochs, one is its frozen epoch. No validation pictures.
- ``lightning.BackboneFinetuning``: AdamW at a constant rate (a ``OneCycleLR`` breaks when the callback
  adds its group). By default it unfreezes at epoch 10, so in six epochs it trains the head and, as it
  does by default, BatchNorm; the tuned one unfreezes after one epoch.
- ``finetuning_scheduler``: AdamW at a constant rate; by default the schedule that it generates itself (two
  parameters a phase, early stopping on 200 validation pictures, later phases at 1e-5); the tuned one
  has a schedule with one of difflr's splits more in each epoch, all at one rate.

``seconds`` and ``cpu_seconds`` are of the whole call that trains.
"""

import argparse
import copy
import logging
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

import difflr
from difflr.experiments.augmentation import augment
from difflr.experiments.data import Images
from difflr.experiments.training import evaluate
from difflr.studies.cell import Cell
from difflr.studies.declared import RATES
from difflr.studies.design import Study, Task
from difflr.studies.material import load_parts, sample
from difflr.studies.recordings import load_recording, restore_journal, save_recording
from difflr.studies.running import run_study
from difflr.studies.trial import as_run, changes, stage

__all__ = ["RIVALS", "Batches", "rivals_study", "run_rival"]

PACKAGES = ("fastai", "finetuning-scheduler", "lightning")


class Batches:
    """The batches that difflr trains on: shuffled, augmented, normalised, channels last."""

    def __init__(
        self, images: Images, start: Any, *, seed: int, size: int, flip: bool, translate: int = 4
    ) -> None:
        self.loader = images.batches(size, seed=seed)
        self.seed, self.flip, self.translate, self.step = seed, flip, translate, 0
        self.mean, self.std = (
            255 * torch.tensor(numbers).view(1, 3, 1, 1) for numbers in (start.mean, start.std)
        )

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for pixels, labels in self.loader:
            numbers = torch.Generator().manual_seed(self.seed * 1_000_003 + self.step)
            self.step += 1
            moved = augment(pixels, numbers, flip=self.flip, pad=self.translate)
            yield self.normalise(moved), labels

    def normalise(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the network's input for uint8 pictures."""
        x = (pixels.float() - self.mean) / self.std
        return x.contiguous(memory_format=torch.channels_last)


class _Normalised(nn.Module):
    """A network that takes uint8 pictures, for ``evaluate``."""

    def __init__(self, network: nn.Module, batches: Batches) -> None:
        super().__init__()
        self.network, self.normalise = network, batches.normalise

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.network(self.normalise(pixels))


def fastai_fine_tune(
    network: nn.Module, batches: Batches, held: Iterable[Any], epochs: int, *, lr: float = 2e-3
) -> None:
    """Train by ``Learner.fine_tune`` with fastai's splitter for ResNets."""
    import fastai.callback.all  # noqa: F401  (gives the Learner fine_tune)
    from fastai.data.core import DataLoaders
    from fastai.learner import Learner
    from fastai.vision.learner import _resnet_split

    body, head = _body_and_head(network)
    learner = Learner(
        DataLoaders(batches, []),
        nn.Sequential(body, head),
        loss_func=nn.CrossEntropyLoss(),
        splitter=_resnet_split,
    )
    with learner.no_bar(), learner.no_logging():
        learner.fine_tune(epochs - 1, base_lr=lr)


def backbone_finetuning(
    network: nn.Module,
    batches: Batches,
    held: Iterable[Any],
    epochs: int,
    *,
    lr: float = 1e-3,
    **options: Any,
) -> None:
    """Train by Lightning's ``BackboneFinetuning`` callback."""
    import pytorch_lightning as pl
    from pytorch_lightning.callbacks import BackboneFinetuning

    body, head = _body_and_head(network)

    class Lit(_lit(pl)):
        def __init__(self) -> None:
            super().__init__()
            self.backbone, self.head = body, head

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.backbone(x))

        def configure_optimizers(self) -> Any:
            return torch.optim.AdamW(self.head.parameters(), lr=lr)

    callbacks = [BackboneFinetuning(**options)]
    trainer = pl.Trainer(
        max_epochs=epochs, callbacks=callbacks, **_QUIET, enable_checkpointing=False
    )
    trainer.fit(Lit(), batches)


def finetuning_scheduler(
    network: nn.Module,
    batches: Batches,
    held: Iterable[Any],
    epochs: int,
    *,
    lr: float = 1e-3,
    by_split: int = 0,
) -> None:
    """Train by ``FinetuningScheduler``: its own schedule, or one split more in each epoch."""
    import lightning.pytorch as pl
    from finetuning_scheduler import FinetuningScheduler

    class Lit(_lit(pl)):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.network(x)

        def configure_optimizers(self) -> Any:
            return torch.optim.AdamW(self.parameters(), lr=lr)

    model = Lit()
    with tempfile.TemporaryDirectory() as folder:
        options: dict[str, Any] = {"logging_level": logging.ERROR, "log_dir": folder}
        if by_split:
            options |= {"ft_schedule": _by_split(model, lr, epochs), "epoch_transitions_only": True}
            options |= {"restore_best": False}
        callbacks = [FinetuningScheduler(**options)]
        trainer = pl.Trainer(
            max_epochs=epochs, callbacks=callbacks, default_root_dir=folder, **_QUIET
        )
        trainer.fit(model, batches, None if by_split else held)


def _by_split(model: nn.Module, lr: float, epochs: int) -> dict[int, Any]:
    splits = list(difflr.split_model(model))[::-1]
    count = min(epochs, len(splits))
    bounds = [round(i * len(splits) / count) for i in range(count + 1)]
    return {
        phase: {
            "params": [name for split in splits[low:high] for name in split.parameters],
            "max_transition_epoch": phase + 1 if phase + 1 < count else epochs,
            "lr": lr,
        }
        for phase, (low, high) in enumerate(pairwise(bounds))
    }


_QUIET: dict[str, Any] = {
    "devices": 1,
    "accelerator": "cpu",
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "num_sanity_val_steps": 0,
}


def _lit(pl: Any) -> Any:
    """Return a LightningModule's steps; ``lightning`` and ``pytorch_lightning`` are two packages."""

    class Steps(pl.LightningModule):
        def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
            return F.cross_entropy(self(batch[0]), batch[1])

        def validation_step(self, batch: Any, batch_idx: int) -> None:
            self.log("val_loss", F.cross_entropy(self(batch[0]), batch[1]))

    return Steps


def _body_and_head(network: nn.Module) -> tuple[nn.Sequential, nn.Sequential]:
    """Return a torchvision ResNet as fastai and Lightning want it: what precedes the pooling, the rest."""
    children = list(network.children())
    return nn.Sequential(*children[:-2]), nn.Sequential(children[-2], nn.Flatten(), children[-1])


class Rival(NamedTuple):
    """How to train by a package, what BatchNorm of frozen layers does there, and its own learning rate."""

    train: Callable[..., None]
    bn: str
    lr: float | None = None  # None: chosen, as for difflr's recipes
    options: Mapping[str, Any] = MappingProxyType({})


RIVALS = {
    "fastai.fine_tune": Rival(fastai_fine_tune, "trained"),
    "fastai.fine_tune:defaults": Rival(fastai_fine_tune, "trained", 2e-3),
    "lightning.BackboneFinetuning": Rival(
        backbone_finetuning, "trained", options={"unfreeze_backbone_at_epoch": 1}
    ),
    "lightning.BackboneFinetuning:defaults": Rival(backbone_finetuning, "trained", 1e-3),
    "finetuning_scheduler": Rival(finetuning_scheduler, "drifting", options={"by_split": 1}),
    "finetuning_scheduler:defaults": Rival(finetuning_scheduler, "drifting", 1e-3),
}


def run_rival(
    task: Task,
    cell: Cell,
    seed: int,
    measured_on: str,
    threads: int | None = None,
    *,
    augmented: bool = True,
) -> dict[str, Any]:
    """Train once and return what was measured, as ``run_trial`` does for difflr's recipes."""
    if threads is not None:
        torch.set_num_threads(threads)
    warnings.filterwarnings("ignore")
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    rival, given = RIVALS[cell.recipe], stage(task, cell, seed, measured_on)
    torch.manual_seed(seed)
    network = given.start.build(given.n_classes)
    before = copy.deepcopy(network)
    batches = Batches(
        given.images,
        given.start,
        seed=seed,
        size=task.batch_size,
        flip=given.flip and augmented,
        translate=4 if augmented else 0,
    )
    held = [
        (batches.normalise(pixels), labels)
        for pixels, labels in sample(load_parts(task).validation, 200).batches(200)
    ]
    held_in = torch.utils.data.DataLoader(held, batch_size=None)
    clock, cpu = time.perf_counter(), time.process_time()
    rival.train(network, batches, held_in, cell.epochs, **cell.options, **rival.options)
    seconds, cpu_seconds = time.perf_counter() - clock, time.process_time() - cpu
    network.requires_grad_(True)
    accuracy, loss = evaluate(_Normalised(network, batches), given.held)
    measured = {
        "accuracy": accuracy,
        "loss": loss,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "flops": None,
        **changes(task, given, before, network),
        "curve_loss": [],
        "curve_accuracy": [],
    }
    return as_run(cell, seed, measured_on, None, measured)


def rivals_study(task: Task, names: Iterable[str], size: int, lengths: Iterable[int]) -> Study:
    """Return the rivals' part of the study ``recipes``."""
    cells = [
        Cell(name, {"lr": lr}, size, epochs, bn=RIVALS[name].bn)
        for epochs in lengths
        for name in names
        for lr in (RATES if RIVALS[name].lr is None else (RIVALS[name].lr,))
    ]
    return Study("recipes", task, cells, seeds=(0,), choose_by=("recipe", "epochs"))


def main() -> None:
    """Choose the rivals' rates on validation pictures, and report those."""
    job = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    job.add_argument("--data", required=True, help="folder with train/<class>/ and test/<class>/")
    job.add_argument("--weights", required=True, help="of a ResNet-18, .safetensors or .pt")
    job.add_argument("--source", help="class-per-folder tree that the weights were trained on")
    job.add_argument("--train-size", type=int, default=1000)
    job.add_argument("--test-size", type=int, default=1000)
    job.add_argument("--epochs", type=int, nargs="*", default=[6, 12])
    job.add_argument("--only", nargs="*", default=list(RIVALS), help="these rivals, instead of all")
    job.add_argument("--jobs", type=int)
    job.add_argument("--threads", type=int)
    job.add_argument("--out", type=Path, required=True, help="folder of the study's journal")
    arguments = job.parse_args()
    task = Task(
        arguments.data,
        "resnet18",
        arguments.weights,
        arguments.source,
        test_size=arguments.test_size,
    )
    study = rivals_study(task, arguments.only, arguments.train_size, arguments.epochs)
    arguments.out.mkdir(parents=True, exist_ok=True)
    restore_journal(load_recording("recipes"), arguments.out / "recipes.jsonl")
    journal = run_study(
        study,
        arguments.out,
        n_jobs=arguments.jobs,
        threads=arguments.threads,
        trial=run_rival,
        packages=PACKAGES,
    )
    print(save_recording(journal, arguments.out / "recipes.json.gz"))


if __name__ == "__main__":
    import rivals  # workers find its functions by their module; those of __main__ do not reach them

    rivals.main()
