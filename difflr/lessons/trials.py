"""Small trainings in which the checks of lessons 2 and 3 look at what moves."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from difflr.lessons.checking import Unfinished, called
from difflr.lessons.stubs import is_unfinished
from difflr.splits import Split

__all__ = ["Passes", "copied", "moved", "performed", "tensors", "train_step"]


def performed(function: Any, *arguments: Any) -> None:
    """Run a learner's function that works on its arguments and need not return anything."""
    if not callable(function):
        called(function)  # says what was expected
    if is_unfinished(function(*arguments)):
        raise Unfinished


def train_step(network: nn.Module, optimizer: Optimizer, *, set_to_none: bool = True) -> None:
    """Take one step on random pictures; its gradients are left for the next one to clear."""
    optimizer.zero_grad(set_to_none=set_to_none)
    images, labels = _batch()
    F.cross_entropy(network(images), labels).backward()
    optimizer.step()


def copied(network: nn.Module) -> dict[str, Tensor]:
    """Return copies of all parameters and buffers by name."""
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


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
    """Three batches to be gone through, with copies of the network before and after each pass."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.states = [copied(network)]

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for _ in range(len(self)):
            yield _batch()
        self.states.append(copied(self.network))

    def __len__(self) -> int:
        return 3


def _batch() -> tuple[Tensor, Tensor]:
    return torch.randn(8, 3, 16, 16), torch.randint(0, 10, (8,))
