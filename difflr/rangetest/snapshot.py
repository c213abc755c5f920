"""Try something out with a model and an optimizer, and leave no trace of it."""

import copy
import random
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer

from difflr.models import held
from difflr.models.modes import kept_modes

__all__ = ["untouched"]


@contextmanager
def untouched(
    model: nn.Module, optimizer: Optimizer | None = None, batches: Any = None
) -> Iterator[None]:
    """Undo, on leaving, whatever training does to model, optimizer and random state.

    The objects stay the same (parameters, groups, states), so references to them stay valid.

    Args:
        model: its parameters, buffers, gradients, modes and what is frozen are put back.
        optimizer: its groups and states are put back.
        batches: a loader, whose own random generators are put back as torch's, numpy's and
            Python's are.
    """
    tensors = [*model.parameters(), *model.buffers()]
    values = [tensor.detach().clone() for tensor in tensors]
    grads = [(p, p.grad, p.requires_grad) for p in model.parameters()]
    notes = list(held.notes(model))
    for parameter, _, _ in grads:
        parameter.grad = None  # training must not write into the gradients that are kept
    drawn = [(generator, generator.get_state()) for generator in _generators(batches)]
    states = random.getstate(), np.random.get_state()
    devices = range(torch.cuda.device_count())
    try:
        with kept_modes(model), torch.random.fork_rng(devices), _kept(optimizer):
            yield
    finally:
        with torch.no_grad():
            for tensor, value in zip(tensors, values, strict=True):
                tensor.copy_(value)
        held.restore(notes)
        for parameter, grad, requires_grad in grads:
            parameter.requires_grad_(requires_grad)
            parameter.grad = grad
        random.setstate(states[0])
        np.random.set_state(states[1])
        for generator, state in drawn:
            generator.set_state(state)


@contextmanager
def _kept(optimizer: Optimizer | None) -> Iterator[None]:
    """Put an optimizer's groups and states aside, while copies of them are trained with."""
    if optimizer is None:
        yield
        return
    state = optimizer.state
    groups = [
        {key: value if key == "params" else copy.deepcopy(value) for key, value in group.items()}
        for group in optimizer.param_groups
    ]
    # What torch's check of the order of calls goes by, if it is there.
    called = {k: v for k, v in vars(optimizer).items() if k == "_opt_called"}
    optimizer.state = defaultdict(dict, {p: copy.deepcopy(s) for p, s in state.items()})
    try:
        yield
    finally:
        optimizer.state = state
        for group, kept in zip(optimizer.param_groups, groups, strict=True):
            group.clear()
            group.update(kept)
        vars(optimizer).pop("_opt_called", None)
        vars(optimizer).update(called)


def _generators(batches: Any) -> list[torch.Generator]:
    """Return the loader's own random generators, which are not part of torch's global state."""
    holders = (batches, getattr(batches, "sampler", None), getattr(batches, "dataset", None))
    found = {
        id(g): g for h in holders if isinstance(g := getattr(h, "generator", None), torch.Generator)
    }
    return list(found.values())
