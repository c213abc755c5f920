"""Small trainings in which the checks of lessons 2 and 3 look at what moves."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from difflr.splits import Split

__all__ = ["Passes", "copied", "moved", "tensors", "train_step"]


def train_step(network: nn.Module, optimizer: Optimizer, *, set_to_none: bool = True) -> None:
    """Take one step on random pictures; its gradients are left for the next one to clear."""
    optimizer.zero_grad(set_to_none=set_to_none)
    images, labels = _batch()
    F.cross_entropy(network(images), labels).backward()
    optimizer.step()


def copied(network: nn.Module) -> dict[str, Tensor]:
    """Return copies of all parameters and buffers by name, on the CPU."""
    return {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}


def tensors(network: nn.Module, split: Split) -> list[str]:
    """Return the names of the split's parameters and buffers."""
    own = {id(module) for module in split.modules}
    buffers = [
        f"{prefix}.{name}".lstrip(".")
        for prefix, module in network.named_modules()
        if id(module) in own
        for name, _ in module.named_buffers(recurse=False)
    ]
    return [*split.parameters, *buffers]


def moved(before: dict[str, Tensor], after: dict[str, Tensor], names: list[str]) -> list[str]:
    """Return the names of those tensors of which any bit differs."""
    return [name for name in names if not torch.equal(before[name], after[name])]


class Passes:
    """Three batches to be gone through, the same in every pass, and what a training does with them.

    What counts as a step is seen at the optimizers, not at how the batches are fetched: a list of
    them, or ``next``, does as well as a loop. The network has a head ``fc``.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.states: list[dict[str, Tensor]] = []  # after each training step
        self.optimizers: list[Optimizer] = []  # that took one
        self.any_backward = False
        self.piled_up = False  # whether a step used gradients of earlier batches
        self._batches = [_batch() for _ in range(3)]
        self._fresh: Tensor | None = None  # the head's gradient for the last batch alone
        self._stepped = True  # since the last backward

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return iter(self._batches)

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self._batches[index]

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Note, meanwhile, the network after every step."""
        head = self.network.get_parameter("fc.weight")
        hooks = (
            *(each.register_hook(self._backward) for each in self.network.parameters()),
            head.register_hook(self._of_head),
            register_optimizer_step_pre_hook(self._before_step),
            register_optimizer_step_post_hook(self._after_step),
        )
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _backward(self, _gradient: Tensor) -> None:  # of any parameter: the head may be frozen
        self._stepped, self.any_backward = False, True

    def _of_head(self, gradient: Tensor) -> None:
        self._fresh = gradient.detach().clone()

    def _before_step(self, optimizer: Optimizer, *_: Any) -> None:
        held = self.network.get_parameter("fc.weight").grad
        if held is not None and self._fresh is not None:  # clipping may scale it
            alike = F.cosine_similarity(held.flatten(), self._fresh.flatten(), dim=0)
            self.piled_up |= bool(alike < 0.999)

    def _after_step(self, optimizer: Optimizer, *_: Any) -> None:
        if not any(optimizer is each for each in self.optimizers):
            self.optimizers.append(optimizer)
        if self._stepped and self.states:  # another optimizer, for the same batch
            self.states.pop()
        self.states.append(copied(self.network))
        self._stepped = True


def _batch() -> tuple[Tensor, Tensor]:
    return torch.randn(8, 3, 16, 16), torch.randint(0, 10, (8,))
