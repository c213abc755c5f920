"""A model of 1,000 blocks and 10,004 tensors, on no device: what cutting it and stepping its schedule take.

Goals: splits, groups and report at most 0.5 s each, a step of the scheduler at most 1 ms; torch's OneCycleLR
over the same groups stands beside it.
"""

import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from timing import against_goal, median, table
from torch import nn

import difflr

BLOCKS = 1000


class Block(nn.Module):
    """Ten parameters, in layers of which some are spared weight decay."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.mix = nn.Linear(8, 8), nn.Linear(8, 8)
        self.norm, self.batch_norm = nn.LayerNorm(8), nn.BatchNorm1d(8)
        self.out = nn.Linear(8, 8)


class Deep(nn.Module):
    """An embedding, the blocks, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(8, 8)
        self.blocks = nn.ModuleList(Block() for _ in range(BLOCKS))
        self.head = nn.Linear(8, 2)


def seconds(what: Callable[[], Any], rounds: int) -> float:
    """Return the median processor time of a call, in seconds."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        what()
        times.append(time.process_time() - start)
    return median(times)


def main() -> None:
    """Print one Markdown table."""
    warnings.filterwarnings("ignore")
    with torch.device("meta"):
        model = Deep()
    splits = difflr.split_model(model, "blocks")
    groups = difflr.param_groups(splits, 1e-3)
    optimizer = torch.optim.AdamW(groups)
    plan = difflr.make_plan("layer_decay", splits, epochs=4, decay=0.999)
    scheduler = difflr.PlanScheduler(optimizer, plan, steps_per_epoch=100)
    twin = torch.optim.AdamW(difflr.param_groups(splits, 1e-3))
    peaks = [1e-3] * len(groups)
    one_cycle = torch.optim.lr_scheduler.OneCycleLR(twin, max_lr=peaks, total_steps=400)
    tried: dict[str, Callable[[], Any]] = {
        "split_model, by stages": lambda: difflr.split_model(model),
        "split_model, by blocks": lambda: difflr.split_model(model, "blocks"),
        "param_groups": lambda: difflr.param_groups(splits, 1e-3),
        "report": lambda: difflr.report(splits, optimizer),
    }
    rows = []
    for name, what in tried.items():
        took = seconds(what, 5)
        rows.append((name, f"{took:.2f} s", against_goal(took, "≤", 0.5, " s")))
    ours, torchs = (1000 * seconds(one.step, 50) for one in (scheduler, one_cycle))
    rows.append(
        (
            f"PlanScheduler.step, {len(groups):,} groups",
            f"{ours:.1f} ms",
            against_goal(ours, "≤", 1, " ms"),
        )
    )
    rows.append(("OneCycleLR.step, the same groups", f"{torchs:.1f} ms", ""))
    print(table(("with 1,002 splits", "processor time", "goal"), rows))


if __name__ == "__main__":
    main()
