"""The report to read before training: what each split holds, and how it would train."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch.optim import Optimizer

from difflr.errors import first_few
from difflr.freezing import bn_mode
from difflr.models.held import held_parameters
from difflr.splits import Splits
from difflr.written.tables import aligned

__all__ = ["SplitRow", "report", "split_rows"]


@dataclass(frozen=True)
class SplitRow:
    """A line of the report; without an optimizer ``lr`` is None and ``weight_decay`` empty."""

    name: str
    tensors: int
    parameters: int
    share: float
    trainable: str
    lr: float | None
    weight_decay: tuple[float, ...]
    bn: str


def split_rows(splits: Splits, optimizer: Optimizer | None = None) -> list[SplitRow]:
    """Return one row per split, of the model and the optimizer as they are now.

    ``trainable`` is ``"trainable"``, ``"frozen"``, ``"partly"`` or, where the user froze all of it,
    ``"held by you"``; ``lr`` is the largest of its groups, ``weight_decay`` holds each of theirs, the
    largest first; ``bn`` is its ``bn_mode``.
    """
    total = sum(split.numel for split in splits)
    groups = optimizer.param_groups if optimizer is not None else []
    group_of = {id(p): group for group in groups for p in group["params"]}
    held = held_parameters(splits.model)
    rows = []
    for split in splits:
        params = list(split.parameters.values())
        own = [group_of[id(p)] for p in params if id(p) in group_of]
        awake = [p.requires_grad for p in params]
        decays = {float(group.get("weight_decay", 0)) for group in own}
        rows.append(
            SplitRow(
                name=split.name,
                tensors=len(params),
                parameters=split.numel,
                share=split.numel / max(total, 1),
                trainable=_state(awake, len(held.keys() & split.parameters)),
                lr=max((float(g["lr"]) / g.get("lr_factor", 1.0) for g in own), default=None),
                weight_decay=tuple(sorted(decays, reverse=True)),
                bn=bn_mode(split),
            )
        )
    return rows


def _state(awake: Sequence[bool], held: int) -> str:
    if held and held == len(awake):
        return "held by you"
    if not any(awake):
        return "frozen"
    return "trainable" if sum(awake) + held == len(awake) else "partly"


def report(splits: Splits, optimizer: Optimizer | None = None) -> str:
    """Return a table of the splits: sizes, what trains, BN mode, and LR and weight decay.

    The last two are those that ``optimizer`` holds now (``0.01 / 0`` where its groups differ). Below
    stands what you froze before difflr saw it, what is in no split, and which further names parameters
    have: a head tied to the embedding trains with the embedding's split.
    """
    head = ("split", "tensors", "parameters", "share", "state", "lr", "weight decay", "bn")
    rows = map(_cells, split_rows(splits, optimizer))
    params = splits.learning()
    total = ("all", f"{len(params)}", f"{sum(p.numel() for p in params):,}", *[""] * 5)
    lines = aligned([head, *rows, total], words={0, 4, 7})
    inside = {name for split in splits for name in split.parameters}
    held = inside.intersection(held_parameters(splits.model))
    outside = [name for name, _ in splits.model.named_parameters() if name not in inside]
    tied = list(_tied(splits))
    for title, names in (("held by you", sorted(held)), ("in no split", outside), ("tied", tied)):
        if names:
            lines.append(f"{title}: {first_few(names)}")
    return "\n".join(lines)


def _cells(row: SplitRow) -> tuple[str, ...]:
    decays = " / ".join(f"{decay:g}" for decay in row.weight_decay) or "-"
    lr = "-" if row.lr is None else f"{row.lr:.2g}"
    sizes = f"{row.tensors}", f"{row.parameters:,}", f"{row.share:.1%}"
    return (row.name, *sizes, row.trainable, lr, decays, row.bn)


def _tied(splits: Splits) -> Iterator[str]:
    first = {id(p): (name, split.name) for split in splits for name, p in split.parameters.items()}
    for name, parameter in splits.model.named_parameters(remove_duplicate=False):
        own, split = first.get(id(parameter), (name, ""))
        if name != own:
            yield f"{name} is {own} of {split}"
