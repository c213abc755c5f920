"""The head of a network: its last linear layer, and a new one in its place."""

from typing import Any

from torch import nn

from difflr.errors import DifflrError

__all__ = ["last_linear", "replace_head"]


def replace_head(network: nn.Module, n_classes: int) -> nn.Module:
    """Replace the network's last linear layer by a new one for ``n_classes``, and return it all."""
    name = last_linear(network)
    parent = network.get_submodule(name.rpartition(".")[0])
    old: Any = network.get_submodule(name)
    setattr(parent, name.rpartition(".")[2], nn.Linear(old.in_features, n_classes))
    return network


def last_linear(network: nn.Module) -> str:
    """Return the name of the network's last linear layer."""
    linear = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise DifflrError(
            f"{type(network).__name__} has no linear layer to replace as its head.",
            "Use a backbone that ends in one, such as resnet18.",
        )
    return linear[-1]
