"""Pictures per second of a whole training epoch: the bare limit, difflr, and its peers.

Goals: 95% of the limit, 1.5 times each peer. On a GPU the same table is measured by CUDA's events, with
all pictures on the device and with ``torch.compile`` on and off (written for one, not run on one here).
"""

import argparse
import logging
import warnings

import candidates
import torch
from timing import alternate, median, table

from difflr.grid import Task
from difflr.trial import load_parts, load_start


def main() -> None:
    """Print one Markdown table."""
    job = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    job.add_argument("--data", required=True)
    job.add_argument("--weights", required=True)
    job.add_argument("--batches", type=int, default=16, help="per epoch")
    job.add_argument("--rounds", type=int, default=5)
    job.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    arguments = job.parse_args()
    warnings.filterwarnings("ignore")
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    task = Task(arguments.data, "resnet18", arguments.weights, source=None)
    pool, start = load_parts(task).pool, load_start(task)
    gpu = torch.cuda.is_available()
    rows = []
    for batch in (64, 128):
        images = pool.subset(batch * arguments.batches, seed=0)
        jobs = {}
        for bf16 in (False, True):
            for compiled in (False, True) if gpu else (False,):
                how = ("bf16" if bf16 else "fp32") + (", compiled" if compiled else "")
                options = {"bf16": bf16, "compiled": compiled}
                jobs[f"limit, {how}"] = candidates.limit_epoch(start, images, batch, **options)
                jobs[f"difflr, {how}"] = candidates.difflr_epoch(start, images, batch, **options)
        for name, peer in candidates.PEERS.items():
            try:
                jobs[name] = peer(start, images, batch)
            except ImportError:
                continue  # without the peers' environment: the others are still compared
        seconds = {
            name: median(values)
            for name, values in alternate(jobs, arguments.rounds, arguments.clock).items()
        }
        for name, one in seconds.items():
            own, limit = ("difflr, fp32", "limit, fp32")
            if name.startswith("difflr"):
                limit = name.replace("difflr", "limit")
            rows.append(
                (
                    batch,
                    name,
                    f"{len(images) / one:.0f}",
                    f"{seconds[limit] / one:.0%} ({limit})" if "limit" not in name else "",
                    f"{one / seconds[own]:.2f}",
                    f"{one / seconds['difflr, bf16']:.2f}",
                )
            )
    head = (
        "batch",
        "candidate",
        "pictures/s",
        "of the limit",
        "its time / difflr fp32",
        "/ difflr bf16",
    )
    print(table(head, rows))


if __name__ == "__main__":
    main()
