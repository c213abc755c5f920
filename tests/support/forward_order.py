"""The order in which a model's forward reaches the modules of its splits."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from difflr import Splits, split_model


def reached(splits: Splits, call: Callable[[], Any]) -> dict[str, list[int]]:
    """Return the times at which ``call`` first reached the modules with parameters of each split."""
    times: dict[str, list[int]] = {split.name: [] for split in splits}
    clock = 0
    seen: set[int] = set()
    owner = {id(p): split.name for split in splits for p in split.parameters.values()}
    handles = []

    def note(key: int, name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any) -> None:
            nonlocal clock
            if key in seen:  # shared by several blocks, or tied
                return
            seen.add(key)
            clock += 1
            times[name].append(clock)

        return hook

    for module in splits.model.modules():
        own = [id(p) for p in module.parameters(recurse=False) if id(p) in owner]
        if own and not any(
            True for child in module.children() if any(True for _ in child.parameters())
        ):
            handles.append(module.register_forward_pre_hook(note(own[0], owner[own[0]])))
    try:
        with torch.no_grad():
            call()
    finally:
        for handle in handles:
            handle.remove()
    return times


def out_of_order(splits: Splits, call: Callable[[], Any]) -> list[str]:
    """Return which splits forward reaches before the one above them, none where all is well.

    The moment that counts is that at which half of a split's modules have been reached first: one
    norm of another stage does not move it.
    """
    times = {name: found for name, found in reached(splits, call).items() if found}
    middle = {name: found[(len(found) - 1) // 2] for name, found in times.items()}
    names = list(middle)
    return [
        f"{after} before {before}"
        for before, after in pairwise(names)
        if middle[after] < middle[before]
    ]


def check_order(model: nn.Module, call, least: int = 4) -> None:
    """Both levels: forward goes through the splits in their order, none holds nearly everything."""
    counts = []
    for level in ("stages", "blocks"):
        splits = split_model(model, level)
        tensors = [len(split.parameters) for split in splits]
        assert max(tensors) < 0.8 * sum(tensors)
        assert out_of_order(splits, call) == []
        counts.append(len(splits))
    assert least <= counts[0] <= 9
    assert counts[1] >= counts[0] or counts[0] <= 8
