"""WiSE-FT: the network between the one before and the one after fine-tuning.

Source: Wortsman et al. 2022, "Robust fine-tuning of zero-shot models" (arXiv 2109.01903), which found
that it keeps much of what either end is good at, at no cost in training or inference.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from difflr.errors import DifflrError, as_number, first_few, short_repr

__all__ = ["interpolate"]

Weights = nn.Module | Mapping[str, Tensor]


def interpolate(before: Weights, after: Weights, alpha: float) -> dict[str, Tensor]:
    """Return the state dict ``(1 - alpha) · before + alpha · after``, for ``load_state_dict``.

    New tensors, of the same types and on the devices of ``after``; 0 and 1 are the two ends bit for bit.
    In between, whole numbers and booleans (``num_batches_tracked``) are those of ``after``. BatchNorm's
    running mean and variance are interpolated like the weights, which is not what the interpolated
    network would measure: ``recalibrate`` it afterwards.

    Args:
        before: the network before fine-tuning, or a *copy* of its state dict.
        after: the same network after it, or its state dict.
        alpha: from 0 (before) to 1 (after); the authors suggest 0.5 where nothing is known.

    Raises:
        DifflrError: for an ``alpha`` outside, names, shapes or types that differ (a replaced head), and
            for a ``before`` that was not copied and so has moved with training.
    """
    alpha = as_number("alpha", alpha, 0.0, 1.0)
    start, end = _state("before", before), _state("after", after)
    _check(start, end)
    return {name: _between(start[name], tensor, alpha) for name, tensor in end.items()}


def _between(start: Tensor, end: Tensor, alpha: float) -> Tensor:
    start = start.to(end.device)
    if alpha == 0:
        return start.clone()
    if alpha == 1 or not (end.is_floating_point() or end.is_complex()):
        return end.clone()
    wide = end.dtype if end.element_size() >= 4 else torch.float32  # float8 has no lerp of its own
    return torch.lerp(start.to(wide), end.to(wide), alpha).to(end.dtype)


def _state(role: str, weights: Any) -> dict[str, Tensor]:
    state = weights.state_dict() if isinstance(weights, nn.Module) else weights
    if not isinstance(state, Mapping):
        raise DifflrError(
            f"Received {role}={short_repr(weights)}, expected a model or a state dict.",
            "Pass model or model.state_dict().",
        )
    if other := [str(name) for name, value in state.items() if not isinstance(value, Tensor)]:
        raise DifflrError(
            f"{role} holds what is no tensor: {first_few(other)}.",
            'Pass the weights alone, of a Lightning checkpoint checkpoint["state_dict"].',
        )
    return {name: tensor.detach() for name, tensor in state.items()}


def _check(start: dict[str, Tensor], end: dict[str, Tensor]) -> None:
    for role, one, other in (("before", start, end), ("after", end, start)):
        if only := [name for name in one if name not in other]:
            raise DifflrError(
                f"Only {role} has {first_few(only)}.",
                "Pass the same network twice; rename keys of which one side has a prefix, such as module.",
            )
    if not end:
        raise DifflrError("Both state dicts are empty.", "Pass the weights of a network.")
    if shapes := _differing(start, end, lambda tensor: tuple(tensor.shape)):
        raise DifflrError(
            f"Shapes differ: {first_few(shapes)}. A head that was replaced has nothing to be interpolated "
            "with.",
            "Copy before after replacing the head, best after training it alone; or give before the head of "
            "after, before | {name: after[name] for name in …}, to interpolate the body only.",
        )
    if kinds := _differing(start, end, lambda tensor: tensor.dtype):
        raise DifflrError(
            f"Types differ: {first_few(kinds)}.", "Convert one side, e.g. before.float()."
        )
    moving = [name for name, tensor in end.items() if tensor.is_floating_point() and tensor.numel()]
    if moving and all(start[name].data_ptr() == end[name].data_ptr() for name in moving):
        raise DifflrError(
            "before and after are the same tensors: a state dict refers to weights, which training moves.",
            "Keep a copy: before = copy.deepcopy(model.state_dict()).",
        )


def _differing(
    start: dict[str, Tensor], end: dict[str, Tensor], of: Callable[[Tensor], Any]
) -> list[str]:
    return [
        f"{name} {of(start[name])} and {of(tensor)}"
        for name, tensor in end.items()
        if of(start[name]) != of(tensor)
    ]
