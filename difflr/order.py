"""The order in which a model's forward reaches its splits: a wrong one is the quietest of mistakes."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, Self

import torch

from difflr.errors import DifflrError, first_few
from difflr.splits import Splits

__all__ = ["ForwardOrder", "check_order", "describe_order"]


class ForwardOrder:
    """A context in which the first call of each module with parameters of its own is noted.

    The moment of a split is that at which half of its modules have been reached, so that one norm
    inside another stage does not move it.
    """

    def __init__(self, splits: Splits) -> None:
        self._owner = {id(p): split.name for split in splits for p in split.parameters.values()}
        self._names, self._model = splits.names, splits.model
        self._reached: dict[int, str] = {}  # in the order of the calls; shared modules count once
        self._handles: list[Any] = []

    def __enter__(self) -> Self:
        for module in self._model.modules():
            below = any(True for child in module.children() for _ in child.parameters())
            own = [id(p) for p in module.parameters(recurse=False) if id(p) in self._owner]
            if own and not below:
                self._handles.append(module.register_forward_pre_hook(self._note(own[0])))
        return self

    def __exit__(self, *_: object) -> None:
        while self._handles:
            self._handles.pop().remove()

    def _note(self, parameter: int) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            self._reached.setdefault(parameter, self._owner[parameter])

        return hook

    def out_of_order(self) -> list[str]:
        """Return what forward reached in another order than that of the splits, as ``"b before a"``."""
        moments: dict[str, list[int]] = {name: [] for name in self._names}
        for moment, name in enumerate(self._reached.values()):
            moments[name].append(moment)
        middle = {name: m[(len(m) - 1) // 2] for name, m in moments.items() if m}
        return [f"{b} before {a}" for a, b in pairwise(middle) if middle[b] < middle[a]]


def check_order(splits: Splits, *inputs: Any, **named: Any) -> None:
    """Run the model once on these inputs, and see that it goes through the splits in their order.

    The model is in evaluation mode for it, without gradients, and is left as it was.

    Raises:
        DifflrError: where forward reaches a split before the one above it in the list.
    """
    model, modes = splits.model, [(module, module.training) for module in splits.model.modules()]
    order = ForwardOrder(splits)
    try:
        with order, torch.no_grad():
            model.eval()(*inputs, **named)
    finally:
        for module, mode in modes:
            module.training = mode
    if found := order.out_of_order():
        raise DifflrError(
            f"The model's {describe_order(found)}", "Name them in forward's order, by a dictionary."
        )


def describe_order(found: list[str]) -> str:
    """Return what ``ForwardOrder.out_of_order`` found as a sentence."""
    return f"forward reaches {first_few(found, 2)}, but splits go from the input to the output."
