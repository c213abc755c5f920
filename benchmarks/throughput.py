"""Pictures per second of a whole training epoch: the bare limit, difflr, and its peers.

Goal: each peer's epoch at least 1.5 times as long as difflr's (95% of the limit: ``steps.py``). With
``--workers`` the peers' loaders are tried with so many processes too. On a GPU the same table is measured
by CUDA's events, with all pictures on the device and with ``torch.compile`` on and off.
"""

import argparse
from collections.abc import Sequence
from functools import partial

import candidates
import given
import torch
from timing import Candidate, Stopwatch, against_goal, alternate, measure, median, ratio, table

from difflr.experiments.backbones import Backbone
from difflr.experiments.data import Images

PEERS = {
    "usual Lightning, PIL transforms": candidates.usual_epoch,
    "fastai's Learner": candidates.fastai_epoch,
    "finetuning-scheduler, PIL transforms": candidates.scheduler_epoch,
}
HEAD = ("batch", "candidate", "pictures/s", "of the limit", "its time / difflr's")
Row = Sequence[object]


def line_up(start: Backbone, images: Images, batch: int, workers: int) -> dict[str, Candidate]:
    """Return all candidates; without the peers' environment only the limit and difflr."""
    found: dict[str, Candidate] = {}
    for bf16 in (False, True):
        for compiled in (False, True) if torch.cuda.is_available() else (False,):
            how = ("bf16" if bf16 else "float32") + (", compiled" if compiled else "")
            options = {"bf16": bf16, "compiled": compiled}
            found[f"limit, {how}"] = candidates.limit_epoch(start, images, batch, **options)
            found[f"difflr, {how}"] = candidates.difflr_epoch(start, images, batch, **options)
    for name, peer in PEERS.items():
        for count in sorted({0, workers}):
            try:
                made = peer(start, images, batch, count)
            except ImportError:
                continue
            found[name + (f", {count} workers" if count else "")] = made
    return found


def rows(batch: int, seconds: dict[str, list[float]], count: int) -> list[Row]:
    """Return the lines of the table: each candidate beside the limit and beside difflr."""
    found: list[Row] = []
    for name, own in seconds.items():
        of_limit = goal = ""
        other = ratio(own, seconds["difflr, float32"])
        fast = ratio(own, seconds["difflr, bf16"])
        if name.startswith("difflr"):
            share = ratio(seconds[name.replace("difflr", "limit")], own)
            of_limit = f"{share.median:.0%} ({share.low:.0%} to {share.high:.0%})"
        elif not name.startswith("limit"):
            goal = against_goal(other.median, "≥", 1.5)
        speed = f"{count / median(own):.0f}"
        found.append((batch, name, speed, of_limit, str(other), str(fast), goal))
    return found


def main() -> None:
    """Print the table, and what setting up a run takes."""
    job = given.command_line(__doc__ or "", rounds=3, count=1024)
    job.add_argument("--batches", type=int, nargs="*", default=[64, 128], help="sizes of a batch")
    job.add_argument("--workers", type=int, default=0, help="of the peers' loaders")
    arguments: argparse.Namespace = job.parse_args()
    images, start = given.pictures(arguments), given.start(arguments)
    lines: list[Row] = []
    for batch in arguments.batches:
        whole_batches = images.subset(len(images) // batch * batch, seed=0)
        found = line_up(start, whole_batches, batch, arguments.workers)
        seconds = alternate(found, arguments.rounds, arguments.clock)
        lines += rows(batch, seconds, len(whole_batches))
    print(table((*HEAD, "/ difflr's in bf16", "goal"), lines))
    for name in ("difflr, float32", "usual Lightning, PIL transforms"):
        if name in found:
            watch = Stopwatch(arguments.clock)
            in_all = measure(partial(found[name], watch), arguments.clock)
            print(
                f"Once a run, not counted above: {1000 * (in_all - watch.seconds):.0f} ms, {name}.\n"
            )


if __name__ == "__main__":
    main()
