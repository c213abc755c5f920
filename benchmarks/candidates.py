"""One epoch of full fine-tuning, by difflr, by its peers, and with nothing around the network at all.

Each candidate trains an epoch and counts from its start to its end; setting up a Trainer, once a run, comes
before. The peers' pictures go the way their users' do: a PIL image per picture, cropped and flipped by
their own transforms, through a DataLoader with or without worker processes.
"""

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from ideal import DEVICE, frozen_model, ideal_step
from PIL import Image
from timing import Candidate, Stopwatch, whole
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from difflr.experiments.allocator import keep_freed_memory
from difflr.experiments.backbones import Backbone
from difflr.experiments.data import Images
from difflr.experiments.training import fit

__all__ = [
    "difflr_epoch",
    "epoch_timer",
    "fastai_epoch",
    "limit_epoch",
    "scheduler_epoch",
    "usual_epoch",
]


def epoch_timer(pl: Any, watch: Stopwatch) -> Any:
    """Return a callback of this Lightning (there are two packages) that counts the epoch that it trains."""

    class Timer(pl.Callback):
        def on_train_epoch_start(self, *_: Any) -> None:
            watch.start()

        def on_train_epoch_end(self, *_: Any) -> None:
            watch.stop()

    return Timer()


def limit_epoch(
    start: Backbone, images: Images, batch: int, *, bf16: bool = False, compiled: bool = False
) -> Candidate:
    """Forward, backward and fused AdamW on batches that are already normalised: the bare limit."""
    step = ideal_step(start, images, batch, bf16=bf16, compiled=compiled)

    def epoch() -> None:
        with keep_freed_memory():
            for _ in range(-(-len(images) // batch)):
                step()

    return whole(epoch)


def difflr_epoch(
    start: Backbone, images: Images, batch: int, *, bf16: bool = False, compiled: bool = False
) -> Candidate:
    """Train with ``fit``: Lightning, augmentation, plan, freezing, curves in TensorBoard."""
    import pytorch_lightning as pl
    from pytorch_lightning.loggers import TensorBoardLogger

    model = frozen_model(start, 0, flip=True)
    if compiled:
        model.network.compile()
    pictures = Images(images.pixels.to(DEVICE), images.labels.to(DEVICE))
    precision = "bf16-mixed" if bf16 else "32-true"

    def epoch(watch: Stopwatch) -> None:
        with tempfile.TemporaryDirectory() as folder:
            fit(
                model,
                pictures,
                seed=0,
                batch_size=batch,
                precision=precision,
                logger=TensorBoardLogger(folder, max_queue=1000),
                callbacks=[epoch_timer(pl, watch)],
            )

    return epoch


class _Files(Dataset[Any]):
    """PIL pictures with torchvision's transforms, as in most tutorials; decoded once, not per epoch."""

    def __init__(self, images: Images, start: Backbone) -> None:
        from torchvision import transforms

        self.pictures = [Image.fromarray(p.permute(1, 2, 0).numpy()) for p in images.pixels.cpu()]
        self.labels = images.labels.tolist()
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(images.pixels.shape[-1], padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(start.mean, start.std),
            ]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(self.pictures[index]), self.labels[index]


def _lit(pl: Any, network: nn.Module) -> Any:
    class Usual(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
            return F.cross_entropy(self.network(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            return torch.optim.AdamW(self.parameters(), lr=1e-4)

    return Usual()


def _trainer(pl: Any, folder: str, callbacks: Sequence[Any], **options: Any) -> Any:
    return pl.Trainer(
        max_epochs=1,
        devices=1,
        default_root_dir=folder,
        callbacks=list(callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )


def _loader(start: Backbone, images: Images, batch: int, workers: int) -> DataLoader[Any]:
    return DataLoader(
        _Files(images, start),
        batch,
        shuffle=True,
        num_workers=workers,
        persistent_workers=bool(workers),
    )


def usual_epoch(start: Backbone, images: Images, batch: int, workers: int = 0) -> Candidate:
    """Train as the usual Lightning tutorial does."""
    import pytorch_lightning as pl

    model = _lit(pl, start.build(10))
    loader = _loader(start, images, batch, workers)

    def epoch(watch: Stopwatch) -> None:
        with tempfile.TemporaryDirectory() as folder:
            timer = epoch_timer(pl, watch)
            trainer = _trainer(pl, folder, [timer], logger=False, enable_checkpointing=False)
            trainer.fit(model, loader)

    return epoch


def scheduler_epoch(start: Backbone, images: Images, batch: int, workers: int = 0) -> Candidate:
    """Train with finetuning-scheduler, all parameters in its first phase.

    The checkpoint that it writes after the epoch is not counted.
    """
    import lightning.pytorch as pl
    from finetuning_scheduler import FinetuningScheduler

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)  # its import sets it to INFO
    model = _lit(pl, start.build(10))
    loader = _loader(start, images, batch, workers)
    names = [name for name, _ in model.named_parameters()]
    schedule = {0: {"params": names, "max_transition_epoch": 1}}

    def epoch(watch: Stopwatch) -> None:
        with tempfile.TemporaryDirectory() as folder:
            callback = FinetuningScheduler(
                schedule,
                epoch_transitions_only=True,
                restore_best=False,
                log_dir=folder,
                logging_level=logging.ERROR,
            )
            timer = epoch_timer(pl, watch)
            _trainer(pl, folder, [timer, callback], logger=False).fit(model, loader)

    return epoch


def fastai_epoch(start: Backbone, images: Images, batch: int, workers: int = 0) -> Candidate:
    """Train with fastai's Learner and data block, one cycle, its Adam."""
    import fastai.callback.all  # noqa: F401  (gives the Learner fit_one_cycle)
    from fastai.data.block import CategoryBlock, DataBlock
    from fastai.data.transforms import IndexSplitter, Normalize
    from fastai.learner import Learner
    from fastai.vision.augment import CropPad, Flip, RandomCrop
    from fastai.vision.core import PILImage
    from fastai.vision.data import ImageBlock

    side = images.pixels.shape[-1]
    pictures = [p.permute(1, 2, 0).numpy() for p in images.pixels.cpu()]
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_x=lambda i: PILImage.create(pictures[i]),
        get_y=lambda i: int(images.labels[i]),
        splitter=IndexSplitter([]),
        item_tfms=[CropPad(side + 8), RandomCrop(side)],
        batch_tfms=[Flip(), Normalize.from_stats(start.mean, start.std)],
    )
    dls = block.dataloaders(
        range(len(images)),
        bs=batch,
        num_workers=workers,
        device=DEVICE,
        path=Path(tempfile.gettempdir()),
    )
    learner = Learner(dls, start.build(10), loss_func=nn.CrossEntropyLoss())

    def epoch() -> None:
        with learner.no_bar(), learner.no_logging():
            learner.fit_one_cycle(1, 1e-4)

    return whole(epoch)
