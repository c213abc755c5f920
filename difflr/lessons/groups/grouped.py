"""Where a learner's parameter groups go wrong: members, names, learning rates, weight decay."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from difflr.errors import short_repr
from difflr.lessons.checking import Wrong
from difflr.lessons.plain import number, unexpected
from difflr.splits import Splits

__all__ = ["decay_or_wrong", "every_parameter", "near", "optimizer_or_wrong", "rates_or_wrong"]


def optimizer_or_wrong(groups: Any) -> Optimizer:
    """Return an AdamW of the learner's groups, or say what they lack."""
    if not isinstance(groups, (list, tuple)) or not groups:
        raise unexpected(groups, "a list of dictionaries")
    for group in groups:
        if not isinstance(group, Mapping) or "params" not in group:
            raise Wrong(
                f"Received {short_repr(group)} as a group, expected a dictionary with `params`.",
                "A group is written `{'params': […], 'name': …, 'lr': …, 'weight_decay': …}`.",
            )
        for key in ("name", "lr", "weight_decay"):
            if key not in group:
                raise Wrong(
                    f"A group has no `{key}`."
                    + (" It would get the optimizer's own." if key != "name" else ""),
                    "Every group should have `params`, `name`, `lr` and `weight_decay`.",
                )
    counts = Counter(str(group["name"]) for group in groups)
    if double := [name for name, count in counts.items() if count > 1]:
        raise Wrong(
            f"Two groups are called `{double[0]}`. Nobody could tell their curves apart.",
            "Let the name say both the split and what sets the two groups apart.",
        )
    found = [{**group, "params": _members(group["params"])} for group in groups]
    members = Counter(id(p) for group in found for p in group["params"])
    if members and max(members.values()) > 1:
        raise Wrong(
            "A parameter is in two groups: torch would refuse it.",
            "Each parameter of a split goes either to the one group or to the other.",
        )
    for group in found:
        group |= {key: number(group[key]) for key in ("lr", "weight_decay")}
    return torch.optim.AdamW([group for group in found if group["params"]])


def _members(params: Any) -> list[torch.Tensor]:
    """Return a group's parameters: torch takes one by itself, too."""
    members = [params] if isinstance(params, torch.Tensor) else list(params)
    if strange := [each for each in members if not isinstance(each, nn.Parameter)]:
        raise Wrong(
            f"A group's `params` hold {short_repr(strange[0])}, which is no parameter.",
            "Take `split.parameters.values()`.",
        )
    return members


def every_parameter(network: nn.Module, optimizer: Optimizer) -> dict[str, dict[str, Any]]:
    """Return the group of each parameter by name, or say which parameter is in none."""
    group_of = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    missing = [(n, p) for n, p in network.named_parameters() if id(p) not in group_of]
    if missing and not any(p.requires_grad for _, p in missing):
        raise Wrong(
            f"`{missing[0][0]}` is in no group, and nor are {len(missing) - 1} others: you leave out "
            "what is frozen now. Once thawed it would have gradients and never move.",
            "An optimizer passes over what has no gradient, so frozen parameters do no harm in it.",
            "Take all of `split.parameters`, whatever `requires_grad` says.",
        )
    if missing:
        raise Wrong(
            f"`{missing[0][0]}` is in no group, and would never learn.",
            "Compare your groups with `network.named_parameters()`.",
        )
    return {name: group_of[id(p)] for name, p in network.named_parameters()}


def rates_or_wrong(splits: Splits, rate_of: Mapping[str, float], lrs: Sequence[float]) -> None:
    """Raise ``Wrong`` unless each parameter has the learning rate of its split.

    Args:
        splits: of the network.
        rate_of: the learning rate that each parameter (by name) has in truth.
        lrs: asked for, one per split.
    """
    found = [sorted({rate_of[name] for name in split.parameters}) for split in splits]
    if any(len(rates) > 1 for rates in found):
        raise Wrong(
            "One split has several learning rates. Both of its groups should have the same.",
            "Only the weight decay differs between them.",
        )
    rates = [each[0] for each in found]
    if near(rates, lrs):
        return
    if near(rates, lrs[::-1]):
        raise Wrong(
            "Your learning rates run from deep to shallow: the head has that of the stem.",
            "The first learning rate belongs to the first split.",
        )
    if len(set(rates)) == 1:
        raise Wrong(
            f"All splits have the same learning rate, {rates[0]:.2g}. Each should have its own.",
            "A learning rate is an entry of a group: `group['lr']`. The optimizer's own `lr` is for groups "
            "without one.",
        )
    off = next(i for i in range(len(lrs)) if not near(rates[i : i + 1], lrs[i : i + 1]))
    raise Wrong(
        f"Split `{splits.names[off]}` has a learning rate of {rates[off]:.2g}, expected {lrs[off]:.2g}.",
        "Which learning rate belongs to which group? There may be more groups than splits.",
    )


def decay_or_wrong(
    network: nn.Module, group_of: Mapping[str, Mapping[str, Any]], weight_decay: float
) -> None:
    """Raise ``Wrong`` unless weights decay, and biases and the scales of norms do not."""
    for name, parameter in network.named_parameters():
        decays = float(group_of[name]["weight_decay"])
        if parameter.ndim > 1 and not math.isclose(decays, weight_decay, rel_tol=1e-6):
            raise Wrong(
                f"`{name}` is a weight of a layer, and does not decay by {weight_decay:g}.",
                "What should not decay are vectors: biases, and the scales of normalisation layers.",
            )
        if parameter.ndim <= 1 and decays and name.endswith("bias"):
            raise Wrong(
                f"`{name}` decays. Biases should not.", "A bias is a vector: its `ndim` is 1."
            )
        if parameter.ndim <= 1 and decays:
            raise Wrong(
                f"`{name}` decays. It is the scale of a normalisation layer, although its name does "
                "not say so: names are a poor guide to what a parameter is.",
                "How many dimensions has the weight of a convolution, of a linear layer, of a norm?",
                "`parameter.ndim <= 1` finds biases and scales alike.",
            )


def near(rates: Sequence[float], lrs: Sequence[float], share: float = 0.05) -> bool:
    """Whether two lists of learning rates agree to a share of theirs."""
    return len(rates) == len(lrs) and all(
        abs(a - b) <= share * b for a, b in zip(rates, lrs, strict=True)
    )
