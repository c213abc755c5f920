"""Where a learner's groups do not cover a network: each parameter in one of them, shallow to deep."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from difflr.errors import short_repr
from difflr.lessons.checking import Wrong
from difflr.lessons.plain import unexpected
from difflr.splits import Split

__all__ = ["covering_or_wrong"]


def covering_or_wrong(
    parameters: Mapping[str, nn.Parameter], groups: Any
) -> list[list[nn.Parameter]]:
    """Return ``groups`` as lists of parameters, or raise ``Wrong`` with the misconception.

    Args:
        parameters: of a WordNet by name, as they were before the learner's code got it.
        groups: lists, dictionaries with ``params``, or single parameters.
    """
    names = {id(p): name for name, p in parameters.items()}
    found = [group for group in _as_lists(groups) if group]  # torch passes over empty ones
    flat = [id(p) for group in found for p in group]
    if strange := [p for group in found for p in group if id(p) not in names]:
        raise Wrong(
            f"Your groups hold a tensor of shape {tuple(strange[0].shape)} that is no parameter of the "
            "network that was passed.",
            "Take them from `network.parameters()` or from its layers, without copying.",
        )
    if len(set(flat)) < len(flat):
        raise Wrong(
            "You take two names for two parameters. `readout.weight` and `embed.weight` are one "
            "tensor, and an optimizer refuses it in two groups.",
            "Tell tensors apart by identity, not by name: `network.named_parameters()` lists each "
            "once, `child.parameters()` knows nothing of the other children.",
            "Keep a set of `id(parameter)` of those already taken, and leave those out.",
        )
    missing = [name for key, name in names.items() if key not in flat]
    compare = "Compare your groups with `network.named_parameters()`. Something is never trained."
    if missing == ["temperature"]:
        raise Wrong(
            "You take `children()` for all there is. A parameter that the network holds directly "
            "belongs to no child.",
            compare,
            "Missing is `temperature`. `network.parameters(recurse=False)` lists what a module holds "
            "directly.",
        )
    if missing:
        frozen = not parameters[missing[0]].requires_grad
        raise Wrong(
            f"`{missing[0]}` is in no group, so it never learns.",
            "Your function freezes it. A tied weight has two names and one `requires_grad`."
            if frozen
            else compare,
        )
    if len(found) < 2:
        raise Wrong(
            "There should be at least two groups that hold something: a group is there to have a "
            "learning rate of its own.",
            "Put the head into a group of its own.",
        )
    depth = {"body": 1, "temperature": 2}  # the tied weight is both first and last
    spans = [[depth.get(names[id(p)].split(".")[0]) for p in group] for group in found]
    order = [d for span in spans for d in sorted(filter(None, span))]
    if order != sorted(order):
        raise Wrong(
            "The groups do not run from shallow to deep: `forward` uses `temperature` last of all.",
            "Put it into the last group, or into a group of its own after the others.",
        )
    return found


def _as_lists(groups: Any) -> list[list[Any]]:
    if isinstance(groups, Mapping):
        raise Wrong(
            "Your answer is a dictionary. An optimizer takes a list of groups, one after the other.",
            "Return its values: `list(groups.values())`.",
        )
    if not isinstance(groups, Iterable):
        raise unexpected(groups, "a list of groups", "Return the groups, and no optimizer of them.")
    found = []
    for group in groups:
        if isinstance(group, Split):
            raise Wrong(
                "Your answer holds splits, which know more than an optimizer takes.",
                "A group is a list of parameters: `list(split.parameters.values())` for each split.",
            )
        members = group["params"] if isinstance(group, Mapping) else group
        members = [members] if isinstance(members, torch.Tensor) else list(members)
        if strange := [each for each in members if not isinstance(each, torch.Tensor)]:
            raise Wrong(
                f"A group holds {short_repr(strange[0])}, which is no parameter.",
                "Groups hold the tensors themselves, not their names or layers: `list(layer.parameters())`.",
            )
        found.append(members)
    return found
