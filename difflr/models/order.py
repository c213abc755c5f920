"""The order in which a model's forward reaches its parts: a wrong one is the quietest of mistakes."""

from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any

from torch import nn

from difflr.errors import first_few
from difflr.models.blocks import has_parameters

__all__ = ["ForwardOrder", "is_compiled"]


class ForwardOrder:
    """A context in which the first call of each module with parameters of its own is noted.

    Args:
        model: whose forward is going to be called.
        parts: their names with their parameters, in the order in which forward should reach them. The
            moment of a part is that at which half of its modules have been reached, so that one norm
            inside another stage does not move it.
    """

    def __init__(self, model: nn.Module, parts: Mapping[str, Iterable[nn.Parameter]]) -> None:
        self._owner = {id(p): name for name, held in parts.items() for p in held}
        self._names, self._model = tuple(parts), model
        self._reached: dict[int, str] = {}  # in the order of the calls; shared modules count once
        self._handles: list[Any] = []

    def __enter__(self) -> "ForwardOrder":
        for module in self._model.modules():
            below = any(map(has_parameters, module.children()))
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

    def out_of_order(self) -> str:
        """Return in words which parts forward reached in another order; nothing where all is well."""
        moments: dict[str, list[int]] = {name: [] for name in self._names}
        for moment, name in enumerate(self._reached.values()):
            moments[name].append(moment)
        middle = {name: m[(len(m) - 1) // 2] for name, m in moments.items() if m}
        found = [f"{b} before {a}" for a, b in pairwise(middle) if middle[b] < middle[a]]
        if not found:
            return ""
        return f"forward reaches {first_few(found, 2)}, but splits go from the input to the output."


def is_compiled(model: nn.Module) -> bool:
    """Whether a part of the model is compiled."""
    return any(
        hasattr(part, "_orig_mod") or part._compiled_call_impl is not None
        for part in model.modules()
    )
