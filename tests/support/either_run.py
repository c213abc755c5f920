"""One training with either Lightning, for test_packages.py: python either_run.py PACKAGE FOLDER."""

import sys
from importlib import import_module
from pathlib import Path

import torch
from nets import TinyNet, loader
from torch.nn import functional as F

import difflr

if __name__ == "__main__":
    pl = import_module(sys.argv[1])
    folder = Path(sys.argv[2])
    torch.set_num_threads(1)

    class Lit(difflr.SplitsMixin, pl.LightningModule):
        """The mixin before the LightningModule of the package at hand."""

        def __init__(self):
            super().__init__()
            self.net = TinyNet()
            self.milestones = difflr.make_plan("gradual", 6, epochs=3, lr=0.1)

        def training_step(self, batch, batch_idx):
            return F.cross_entropy(self.net(batch[0]), batch[1])

        def train_dataloader(self):
            return loader(3)

    pl.seed_everything(0)
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=3,
        log_every_n_steps=1,
        logger=pl.loggers.CSVLogger(folder, name="", version=""),
        callbacks=[pl.callbacks.ModelCheckpoint(folder, "end")],
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Lit())
