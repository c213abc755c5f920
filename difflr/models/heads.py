"""The head of a network: its last linear layer, and a new one in its place."""

from typing import Any

from torch import nn

from difflr.errors import DifflrError
from difflr.models.blocks import has_parameters

__all__ = ["HEADS", "last_linear", "replace_head"]

HEADS = (
    *("classification_head", "classifier", "heads", "head", "fc", "last_linear", "score"),
    *("output_layer", "output", "out", "logits"),
)


def replace_head(network: nn.Module, n_classes: int) -> nn.Module:
    """Replace the network's last linear layer by a new one for ``n_classes``, and return it all.

    Of a module around a single network, that network's. A timm model does it itself
    (``reset_classifier``); ``num_classes`` and Hugging Face's ``num_labels`` are kept in step.
    """
    like = next(network.parameters(), None)
    if callable(getattr(type(network), "reset_classifier", None)):
        network.reset_classifier(n_classes)  # type: ignore[operator]
        return network if like is None else network.to(like.device)
    if inner := _inside(network):
        replace_head(network.get_submodule(inner), n_classes)
        return network
    name = last_linear(network)
    parent = network.get_submodule(name.rpartition(".")[0])
    old: Any = network.get_submodule(name)
    new = nn.Linear(
        old.in_features, n_classes, old.bias is not None, old.weight.device, old.weight.dtype
    )
    setattr(parent, name.rpartition(".")[2], new)
    for holder in (network, getattr(network, "config", None)):
        for count in ("num_labels", "num_classes"):
            if isinstance(getattr(holder, count, None), int):
                setattr(holder, count, n_classes)
    return network


def last_linear(network: nn.Module) -> str:
    """Return the name of the network's last linear layer.

    That of the child that is called like a head (``fc``, ``classifier``, ``head``, …), wherever it
    was declared; without such a child, the last one declared.
    """
    if inner := _inside(network):
        return f"{inner}.{last_linear(network.get_submodule(inner))}"
    children = dict(network.named_children())
    child = next((name for name in HEADS if name in children), "")
    linear = [
        f"{child}.{name}".strip(".")
        for name, module in network.get_submodule(child).named_modules()
        if isinstance(module, nn.Linear)
    ]
    if not linear:
        where = f"head, {child}," if child else "body"
        raise DifflrError(
            f"{type(network).__name__} has no linear layer in its {where} to replace.",
            "Use a backbone that ends in one, such as resnet18, or set the new head yourself.",
        )
    return linear[-1]


def _inside(network: nn.Module) -> str:
    """Return the name of the one child that holds all parameters and is a network itself, or ``""``."""
    learning = [n for n, child in network.named_children() if has_parameters(child)]
    if len(learning) != 1 or learning[0] in HEADS or any(True for _ in network.parameters(False)):
        return ""
    child = network.get_submodule(learning[0])
    return learning[0] if any(True for _ in child.children()) else ""
