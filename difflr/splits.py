"""Splits: the ordered, named parts of a model, shallow to deep, with a learning rate each."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import torch
from torch import nn

from difflr.errors import DifflrError
from difflr.models.architectures import auto_patterns
from difflr.models.claims import Exclude, contents, excluded, listed, matched
from difflr.models.held import held_parameters
from difflr.models.modes import kept_modes
from difflr.models.order import ForwardOrder

__all__ = ["Split", "Splits", "check_order", "split_model"]

How = str | Mapping[str, str | Sequence[str]] | Iterable[Any] | Callable[[nn.Module], Any] | None


@dataclass(frozen=True, eq=False)
class Split:
    """A part of a model: its parameters, by their names in the model, and its modules."""

    name: str
    parameters: dict[str, nn.Parameter]
    modules: tuple[nn.Module, ...]

    @property
    def numel(self) -> int:
        """Number of parameters (scalars)."""
        return sum(parameter.numel() for parameter in self.parameters.values())


class Splits(Sequence[Split]):
    """The splits of one model, shallow to deep, with every parameter once."""

    def __init__(self, model: nn.Module, splits: Sequence[Split]) -> None:
        self.model = model
        self._splits = tuple(splits)

    @overload
    def __getitem__(self, index: int) -> Split: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Split, ...]: ...
    def __getitem__(self, index: int | slice) -> Split | tuple[Split, ...]:
        return self._splits[index]

    def __len__(self) -> int:
        return len(self._splits)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the splits, shallow to deep."""
        return tuple(split.name for split in self)

    def learning(self) -> list[nn.Parameter]:
        """Return the parameters of all splits."""
        return [parameter for split in self for parameter in split.parameters.values()]

    def forward_order(self) -> ForwardOrder:
        """Return a context that notes the order in which forward reaches the splits."""
        return ForwardOrder(self.model, {s.name: s.parameters.values() for s in self})

    def __repr__(self) -> str:
        parts = ", ".join(f"{split.name}: {split.numel:,}" for split in self)
        return f"Splits({parts})"


def split_model(model: nn.Module, how: How = None, *, exclude: Exclude = ()) -> Splits:
    """Cut ``model`` into splits, shallow to deep.

    Args:
        model: any module.
        how: ``None`` or ``"stages"`` cuts models of timm, torchvision, Hugging Face, and others with
            lists of blocks, into a handful of splits; ``"blocks"`` makes one of each block;
            a dictionary maps a split's name to patterns (``"layer1"``, ``"layers.[0-3]"``) for names
            of modules or parameters, each with all below it, or to ``...``: all the rest;
            a list holds the splits as modules, parameters or lists of them (the 2020 recipe's
            ``model_splits``); a function takes the model and returns any of these; splits of this
            model stay as they are.
        exclude: what belongs to no split and is left alone (a teacher, a loss with parameters):
            patterns, modules or parameters, or a function that takes a parameter's name and the
            parameter, true for what is left out.

    What the user froze (see ``difflr.models.held``) stays frozen, and may be in no split. A parameter
    with several names belongs to the split of its first.

    Raises:
        DifflrError: for a parameter in no split or in two, a pattern that matches nothing, an empty
            split, or a model that ``None`` does not know.

    >>> import torchvision
    >>> split_model(torchvision.models.resnet18()).names
    ('stem', 'layer1', 'layer2', 'layer3', 'layer4', 'head')
    """
    out = excluded(model, exclude)
    if callable(how) and not isinstance(how, nn.Module):
        how = how(model)
    if isinstance(how, Splits) and how.model is model:
        return how
    if how is None or isinstance(how, str):
        how = auto_patterns(model, how or "stages", out, held_parameters(model))
    parts = matched(model, how) if isinstance(how, Mapping) else listed(model, how)
    held = contents(model, parts, out)
    return Splits(model, [Split(p.name, *own) for p, own in zip(parts, held, strict=True)])


def check_order(splits: Splits, *inputs: Any, **named: Any) -> None:
    """Run the model once on these inputs, in evaluation mode without gradients; it is left as it was.

    Raises:
        DifflrError: where forward reaches a split before the one above it in the list.
    """
    with splits.forward_order() as order, kept_modes(splits.model), torch.no_grad():
        splits.model.eval()(*inputs, **named)
    if found := order.out_of_order():
        raise DifflrError(f"The model's {found}", "Name them in forward's order, by a dictionary.")
