"""Modes of modules, train or eval: those of all that learns, or all as they were before."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from torch import nn

__all__ = ["kept_modes", "train_mode"]


@contextmanager
def kept_modes(*models: nn.Module) -> Iterator[None]:
    """Put every module of these models back, on leaving, into the mode that it has now."""
    modes = [(module, module.training) for model in models for module in model.modules()]
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode  # train() would also reach the children


def train_mode(model: nn.Module, learning: Iterable[nn.Parameter]) -> None:
    """Put the model into train mode, but for modules with parameters of which none is ``learning``.

    The BatchNorm and dropout of a teacher or a loss network keep the mode that they were left in.
    """
    inside = {id(p) for p in learning}
    owned = ((module, [id(p) for p in module.parameters()]) for module in model.modules())
    with kept_modes(*(module for module, own in owned if own and inside.isdisjoint(own))):
        model.train()
