"""The report that one reads before training: what each split holds, and what will happen to it."""

from dataclasses import dataclass

from torch.optim import Optimizer

from difflr.freezing import bn_mode
from difflr.splits import Splits

__all__ = ["SplitRow", "report", "split_rows"]


@dataclass(frozen=True)
class SplitRow:
    """One line of the report; without an optimizer ``lr`` is None and ``weight_decay`` empty."""

    name: str
    tensors: int
    parameters: int
    share: float
    trainable: str
    lr: float | None
    weight_decay: tuple[float, ...]
    bn: str


def split_rows(splits: Splits, optimizer: Optimizer | None = None) -> list[SplitRow]:
    """Return one row per split, read off the model and the optimizer as they are now.

    ``trainable`` is ``"trainable"``, ``"frozen"`` or ``"partly"``; ``lr`` is the largest of the
    split's groups; ``weight_decay`` holds each value that its groups have, the largest first;
    ``bn`` is the mode of its BatchNorm layers (see ``bn_mode``).
    """
    total = sum(split.numel for split in splits)
    groups = optimizer.param_groups if optimizer is not None else []
    group_of = {id(p): group for group in groups for p in group["params"]}
    rows = []
    for split in splits:
        params = list(split.parameters.values())
        own = [group_of[id(p)] for p in params if id(p) in group_of]
        states = {p.requires_grad for p in params}
        rows.append(
            SplitRow(
                name=split.name,
                tensors=len(params),
                parameters=split.numel,
                share=split.numel / max(total, 1),
                trainable="partly"
                if len(states) > 1
                else "trainable"
                if True in states
                else "frozen",
                lr=max((float(group["lr"]) for group in own), default=None),
                weight_decay=tuple(
                    sorted({float(group.get("weight_decay", 0)) for group in own}, reverse=True)
                ),
                bn=bn_mode(split),
            )
        )
    return rows


def report(splits: Splits, optimizer: Optimizer | None = None) -> str:
    """Return a one-screen table of the splits: sizes, what trains, LR, weight decay, BN mode.

    Where a split's groups differ, as weights and biases do, both weight decays stand: ``0.01 / 0``.

    Args:
        splits: of the model.
        optimizer: to show the learning rates and weight decays that it holds now.
    """
    head = ("split", "tensors", "parameters", "share", "state", "lr", "weight decay", "bn")
    table = [head]
    for row in split_rows(splits, optimizer):
        table.append(
            (
                row.name,
                f"{row.tensors}",
                f"{row.parameters:,}",
                f"{row.share:.1%}",
                row.trainable,
                "-" if row.lr is None else f"{row.lr:.2g}",
                " / ".join(f"{decay:g}" for decay in row.weight_decay) or "-",
                row.bn,
            )
        )
    total = sum(split.numel for split in splits)
    tensors = sum(len(split.parameters) for split in splits)
    table.append(("all", f"{tensors}", f"{total:,}", "", "", "", "", ""))
    widths = [max(len(line[i]) for line in table) for i in range(len(head))]
    left = {0, 4, 7}  # words to the left, numbers to the right
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in table
    )
