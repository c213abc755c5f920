"""One training that may be killed at any moment, for test_kill.py; each step is a line in a file."""

import json
import os
import random
import signal
import threading
import time
from pathlib import Path

import torch
from lightning_nets import Validated, Watch, trainer_for, weights
from which_lightning import pl

#: Seconds that each step waits in its middle, for kills to come there too.
PAUSE = 0.02


class Diary(Watch):
    """Writes what ``Watch`` saw before each optimizer step to a file at once; and from step
    ``kill_at`` on, ``kill -9`` comes at any moment."""

    def __init__(self, path: Path, kill_at: int | None) -> None:
        super().__init__()
        self.path, self.kill_at = path, kill_at

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        super().on_before_optimizer_step(trainer, pl_module, optimizer)
        with self.path.open("a") as file:
            file.write(json.dumps([trainer.global_step, self.trace[-1]]) + "\n")
        if trainer.global_step == self.kill_at:
            # From another thread, while this one goes on: in this step, at its end or in the next.
            threading.Timer(random.uniform(0, 2 * PAUSE), kill).start()
        time.sleep(PAUSE)


def kill() -> None:
    """End this process without a chance to do anything more."""
    os.kill(os.getpid(), signal.SIGKILL)


def train(
    folder: Path, diary: Path, every: int | None, checkpoint: Path | None, kill_at: int | None
) -> None:
    """Train to the end, with a checkpoint every few steps or (None) at the end of every epoch."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    module = Validated()
    keep = pl.callbacks.ModelCheckpoint(folder, "{step}", save_top_k=-1, every_n_train_steps=every)
    watch = Diary(diary, kill_at)
    trainer_for(watch, keep).fit(module, ckpt_path=checkpoint)
    assert not watch.leaks
    torch.save(weights(module), folder / "final.pt")
