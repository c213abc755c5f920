"""Peak memory of a head-only phase beside full training, and what the optimizer holds.

Goal: frozen parameters have no optimizer state. Each kind of training is a process of its own; the peak is
counted from what is there before it starts.
"""

import gc
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import given
import pytorch_lightning as pl
import torch
from ideal import BATCH, frozen_model
from timing import against_goal, table

from difflr.experiments.allocator import release_freed_memory
from difflr.experiments.backbones import Backbone
from difflr.experiments.data import Images
from difflr.experiments.training import fit

KINDS = ("full", "head only", "head only, features kept")
SELF = Path("/proc/self")


def peak(job: Callable[[], object]) -> float:
    """Return the MiB that ``job`` needs at most beyond what is there when it starts."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        job()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    gc.collect()
    release_freed_memory()  # glibc keeps what was freed for the next
    (SELF / "clear_refs").write_text("5")  # Linux: the peak is what is there now
    before = _status("VmRSS")
    job()
    return (_status("VmHWM") - before) / 1024


def _status(what: str) -> int:
    found = re.search(rf"^{what}:\s+(\d+) kB", (SELF / "status").read_text(), re.MULTILINE)
    assert found, f"/proc/self/status has no {what}"
    return int(found[1])


def one_kind(name: str, start: Backbone, images: Images) -> None:
    """Train two epochs and print peak, size of the optimizer's state, frozen parameters that have one."""
    model = frozen_model(start, 0 if name == "full" else 5, 2, translate=0)
    model(images.pixels[:2])  # loads what torch loads at the first forward
    holds: list[torch.optim.Optimizer] = []

    class Look(pl.Callback):
        def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            holds.extend(trainer.optimizers)

    def job() -> None:
        fit(model, images, seed=0, batch_size=BATCH, cache="kept" in name, callbacks=[Look()])

    most = peak(job)
    state = holds[0].state
    size = sum(
        value.numel() * value.element_size()
        for entry in state.values()
        for value in entry.values()
        if torch.is_tensor(value)
    )
    frozen = sum(1 for p in model.parameters() if not p.requires_grad and state.get(p))
    print(f"{most:.0f} {size / 2**20:.2f} {frozen}")


def main() -> None:
    """Print the table."""
    job = given.command_line(__doc__ or "")
    job.add_argument("--kind", choices=KINDS, help="in this process: one line instead of a table")
    arguments = job.parse_args()
    if arguments.kind:
        return one_kind(arguments.kind, given.start(arguments), given.pictures(arguments))
    rows = []
    for name in KINDS:
        command = [sys.executable, __file__, *sys.argv[1:], "--kind", name]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        most, size, frozen = done.stdout.split()[-3:]
        full = float(rows[0][1]) if rows else float(most)
        goal = against_goal(int(frozen), "≤", 0)
        rows.append((name, most, f"{float(most) / full:.2f}", size, frozen, goal))
    head = ("training", "peak beyond the start, MiB", "of full training", "optimizer state, MiB")
    print(table((*head, "frozen parameters with state", "goal"), rows))
    return None


if __name__ == "__main__":
    main()
