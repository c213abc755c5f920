"""Train difflr's task by its rivals' own recipes, each through its real package.

Run it in the environment of ``make peers``::

    .venv/peers/bin/python benchmarks/rivals.py --data FOLDER --weights FILE.safetensors

Every finished run is one line of ``rivals.jsonl``; the same command goes on where it stopped. The base
learning rates are chosen as difflr's studies choose theirs: the grid ``RATES``, two seeds, measured on
validation pictures that no run trains on. Then the chosen rate, and the rate that each package has by
default, are run from five other seeds and measured on the test pictures.

What is the same for all: pictures, their order, shifts and flips (``difflr.training.augment``, drawn by
the same numbers), normalisation, network, new head. What is the rival's: optimizer, schedule, freezing,
BatchNorm. Where a package leaves something open, this was decided:

- ``fastai.fine_tune``: a ``Learner`` with fastai's split of a ResNet into three, Adam, weight decay and
  all else at fastai's defaults. Of the epochs, one is its frozen epoch. No validation pictures.
- ``lightning.BackboneFinetuning``: AdamW at a constant rate (a ``OneCycleLR`` breaks when the callback
  adds its group). By default it unfreezes at epoch 10, so in six epochs it trains the head and, as it
  does by default, BatchNorm. ``unfreeze_backbone_at_epoch=1`` is the same callback unfreezing in time.
- ``finetuning_scheduler.FinetuningScheduler``: AdamW at a constant rate; the schedule that it generates
  itself (two parameters a phase, early stopping on 200 validation pictures, later phases at 1e-5).
  ``by_split=1`` gives it a schedule with one of difflr's splits more in each epoch, all at ``lr``.
- ``difflr.*``: the recipes of difflr in the same process, for seconds that can be compared.

``seconds`` and ``cpu_seconds`` are of the training alone, on the threads of this process.
"""

import argparse
import json
import logging
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

import difflr
from difflr.data import Images
from difflr.grid import Task
from difflr.studies import RATES
from difflr.training import Classifier, augment, evaluate, fit
from difflr.trial import load_parts, load_start

__all__ = ["RIVALS", "Batches", "run"]

CHOOSING, REPORTING = (0, 1), tuple(range(100, 105))
PACKAGES = ("difflr", "fastai", "finetuning-scheduler", "pytorch-lightning", "torch")


class Batches:
    """The batches that difflr trains on: shuffled, augmented, normalised, channels last."""

    def __init__(self, images: Images, start: Any, *, seed: int, size: int, flip: bool) -> None:
        self.loader = images.batches(size, seed=seed)
        self.seed, self.flip, self.step = seed, flip, 0
        self.mean, self.std = (
            255 * torch.tensor(numbers).view(1, 3, 1, 1) for numbers in (start.mean, start.std)
        )

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for pixels, labels in self.loader:
            numbers = torch.Generator().manual_seed(self.seed * 1_000_003 + self.step)
            self.step += 1
            yield self.normalise(augment(pixels, numbers, flip=self.flip)), labels

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


# A rival and what is passed to it; the learning rate in the second place is its package's own.
RIVALS: dict[str, tuple[Callable[..., None], float, dict[str, Any]]] = {
    "fastai.fine_tune": (fastai_fine_tune, 2e-3, {}),
    "lightning.BackboneFinetuning": (backbone_finetuning, 1e-3, {}),
    "lightning.BackboneFinetuning:1": (
        backbone_finetuning,
        1e-3,
        {"unfreeze_backbone_at_epoch": 1},
    ),
    "finetuning_scheduler.FinetuningScheduler": (finetuning_scheduler, 1e-3, {}),
    "finetuning_scheduler.FinetuningScheduler:1": (finetuning_scheduler, 1e-3, {"by_split": 1}),
}
OWN: dict[str, tuple[None, float, dict[str, Any]]] = {
    "difflr.differential": (None, 1e-3, {}),
    "difflr.uniform": (None, 3e-4, {}),
    "difflr.fine_tune": (None, 2e-3, {}),
}


def run(
    task: Task, name: str, options: dict[str, Any], size: int, epochs: int, seed: int, on: str
) -> dict[str, Any]:
    """Train once and return the line of ``rivals.jsonl``."""
    parts, start = load_parts(task), load_start(task)
    images = parts.pool.subset(size, seed).resized(task.image_size)
    held = parts.test if on == "test" else parts.validation
    torch.manual_seed(seed)
    network = start.build(parts.n_classes)
    clock, cpu = time.perf_counter(), time.process_time()
    if name in OWN:
        plan = difflr.make_plan(
            name.partition(".")[2], difflr.split_model(network), epochs, **options
        )
        model: nn.Module = Classifier(
            network, plan, mean=start.mean, std=start.std, flip=parts.flip, seed=seed
        )
        fit(model, images, seed=seed, batch_size=task.batch_size)
    else:
        network.to(memory_format=torch.channels_last)
        batches = Batches(images, start, seed=seed, size=task.batch_size, flip=parts.flip)
        some = parts.validation.subset(200, 0).batches(200)
        few = [(batches.normalise(pixels), labels) for pixels, labels in some]
        held_in = torch.utils.data.DataLoader(few, batch_size=None)
        RIVALS[name][0](network, batches, held_in, epochs, **options)
        model = _Normalised(network.requires_grad_(True), batches)
    seconds, cpu_seconds = time.perf_counter() - clock, time.process_time() - cpu
    accuracy, loss = evaluate(model, held.resized(task.image_size))
    return {
        "recipe": name.partition(":")[0],
        "options": options,
        "train_size": size,
        "epochs": epochs,
        "seed": seed,
        "measured_on": on,
        "accuracy": accuracy,
        "loss": loss,
        "seconds": round(seconds, 3),
        "cpu_seconds": round(cpu_seconds, 3),
        "threads": torch.get_num_threads(),
        "versions": {package: version(package) for package in PACKAGES},
    }


def _key(line: dict[str, Any]) -> str:
    names = ("recipe", "options", "train_size", "epochs", "seed", "measured_on")
    return json.dumps([line[name] for name in names], sort_keys=True)


class _Journal:
    """The lines of a file, and one more for every run that is not there yet."""

    def __init__(self, path: Path, task: Task, size: int) -> None:
        self.path, self.task, self.size = path, task, size
        text = path.read_text().splitlines() if path.exists() else []
        self.lines = {_key(line): line for line in map(json.loads, text)}

    def get(self, name: str, options: dict[str, Any], epochs: int, seed: int, on: str) -> Any:
        wanted = {"recipe": name.partition(":")[0], "options": options, "train_size": self.size}
        key = _key({**wanted, "epochs": epochs, "seed": seed, "measured_on": on})
        if key not in self.lines:
            line = run(self.task, name, options, self.size, epochs, seed, on)
            self.lines[key] = line
            with self.path.open("a") as file:
                file.write(json.dumps(line, sort_keys=True) + "\n")
            print(
                f"{name} {options} e={epochs} seed={seed} {on}: {line['accuracy']:.3f}", flush=True
            )
        return self.lines[key]


def main() -> None:
    """Report the default rates, choose the best on validation pictures, and report those."""
    job = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    job.add_argument("--data", required=True, help="folder with train/<class>/ and test/<class>/")
    job.add_argument("--weights", required=True, help="of a ResNet-18, .safetensors or .pt")
    job.add_argument("--train-size", type=int, default=1000)
    job.add_argument("--epochs", type=int, default=6)
    job.add_argument(
        "--rates", type=float, nargs="*", default=list(RATES), help="base rates to try"
    )
    job.add_argument("--only", nargs="*", help="these candidates, instead of all")
    job.add_argument("--out", type=Path, default=Path(__file__).with_name("rivals.jsonl"))
    arguments = job.parse_args()
    warnings.filterwarnings("ignore")
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    task = Task(arguments.data, "resnet18", arguments.weights, source=None)
    journal = _Journal(arguments.out, task, arguments.train_size)
    wanted = arguments.only or [*RIVALS, *OWN]
    candidates = {name: one for name, one in {**RIVALS, **OWN}.items() if name in wanted}
    epochs = arguments.epochs

    def report(name: str, options: dict[str, Any]) -> None:
        for seed in REPORTING:
            journal.get(name, options, epochs, seed, "test")

    for name, (_, lr, options) in candidates.items():
        report(name, {**options, "lr": lr})
    for name, (_, _, options) in candidates.items() if arguments.rates else ():
        scores = defaultdict(list)
        for lr in arguments.rates:
            for seed in CHOOSING:
                line = journal.get(name, {**options, "lr": lr}, epochs, seed, "validation")
                scores[lr].append(line["accuracy"])
        best = max(scores, key=lambda lr: fmean(scores[lr]))
        report(name, {**options, "lr": best})


if __name__ == "__main__":
    main()
