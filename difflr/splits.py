"""Splits: the ordered, named parts of a model, shallow to deep, that get a learning rate each."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

from torch import nn
from torch.nn.parameter import UninitializedParameter

from difflr.architectures import auto_patterns
from difflr.errors import DifflrError, shown, some
from difflr.parts import Part, listed, matched

__all__ = ["Split", "Splits", "split_model"]

How = Mapping[str, str | Sequence[str]] | Iterable[Any] | Callable[[nn.Module], Any] | None


@dataclass(frozen=True, eq=False)
class Split:
    """One part of a model: its name, its parameters by their name in the model, its modules."""

    name: str
    parameters: dict[str, nn.Parameter]
    modules: tuple[nn.Module, ...]

    @property
    def numel(self) -> int:
        """Number of parameters (scalars)."""
        return sum(parameter.numel() for parameter in self.parameters.values())


class Splits(Sequence[Split]):
    """The splits of one model, shallow to deep; together they hold every parameter exactly once."""

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

    def __iter__(self) -> Iterator[Split]:
        return iter(self._splits)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the splits, shallow to deep."""
        return tuple(split.name for split in self._splits)

    def __repr__(self) -> str:
        parts = ", ".join(f"{split.name}: {split.numel:,}" for split in self)
        return f"Splits({parts})"


def split_model(model: nn.Module, how: How = None) -> Splits:
    """Cut ``model`` into splits, shallow to deep.

    Args:
        model: any module.
        how: ``None`` knows torchvision's families (ResNet, MobileNetV3, EfficientNet, ConvNeXt, VGG,
            DenseNet, ViT, Swin, …) by the names of their children;
            a dictionary maps a split's name to one or more patterns (``"layer1"``, ``"layers.[0-3]"``)
            for names of modules or parameters, each with all that lies below it;
            a list holds the splits as modules, parameters or lists of them (the 2020 recipe's
            ``model_splits``); a function takes the model and returns any of these.

    Returns:
        The splits. A parameter shared under several names belongs to the split of its first name.

    Raises:
        DifflrError: when a parameter is in no split or in two, when a pattern matches nothing, when
            a split is empty, or when ``None`` does not know the model.

    >>> import torchvision
    >>> split_model(torchvision.models.resnet18()).names
    ('stem', 'layer1', 'layer2', 'layer3', 'layer4', 'head')
    """
    if not isinstance(model, nn.Module):
        raise DifflrError(
            f"Received {shown(model)}, expected a torch.nn.Module.", "Pass the model."
        )
    lazy = [n for n, p in model.named_parameters() if isinstance(p, UninitializedParameter)]
    if lazy:
        raise DifflrError(
            f"Parameters without a shape yet (lazy modules): {some(lazy)}.",
            "Run one batch through the model first.",
        )
    if callable(how) and not isinstance(how, nn.Module):
        how = how(model)
    if how is None:
        how = auto_patterns(model)
    parts = matched(model, how) if isinstance(how, Mapping) else listed(model, how)
    owner = _owners(model, parts)
    modules: list[list[nn.Module]] = [[] for _ in parts]
    parameters: list[dict[str, nn.Parameter]] = [{} for _ in parts]
    held: set[int] = set()
    current = 0
    for prefix, module in model.named_modules():
        own = {f"{prefix}.{n}".lstrip("."): p for n, p in module.named_parameters(recurse=False)}
        claimed = [i for i, part in enumerate(parts) if id(module) in part.modules]
        # A module without parameters goes where it was put, else with the one before it.
        current = next((owner[id(p)] for p in own.values()), claimed[0] if claimed else current)
        modules[current].append(module)
        for name, parameter in own.items():
            if id(parameter) not in held:  # a tied parameter comes by every time under another name
                held.add(id(parameter))
                parameters[owner[id(parameter)]][name] = parameter
    return Splits(
        model,
        [
            Split(part.name, params, tuple(mods))
            for part, params, mods in zip(parts, parameters, modules, strict=True)
        ],
    )


def _owners(model: nn.Module, parts: Sequence[Part]) -> dict[int, int]:
    """Return which split owns each parameter (by id), or say what is missing, doubled or empty."""
    aliases: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        aliases.setdefault(id(parameter), []).append(name)
    if not aliases:
        raise DifflrError("The model has no parameters.", "Pass a model that can be trained.")
    owner: dict[int, int] = {}
    missing, doubled = [], []
    for key, names in aliases.items():
        claims = [i for i, part in enumerate(parts) if any(n in part.names for n in names)]
        first = [i for i in claims if names[0] in parts[i].names]
        if not claims:
            missing.append(names[0])
        elif len(first or claims) > 1:
            doubled.append(f"{names[0]} ({' and '.join(parts[i].name for i in first or claims)})")
        else:
            owner[key] = (first or claims)[0]
    if missing:
        raise DifflrError(
            f"{_count(missing)} in no split: {some(missing)}.",
            "Add them to a split: together the splits hold every parameter exactly once.",
        )
    if doubled:
        raise DifflrError(
            f"{_count(doubled)} in two splits: {some(doubled)}.",
            "Leave each in one split only.",
        )
    empty = [part.name for i, part in enumerate(parts) if i not in owner.values()]
    if empty:
        raise DifflrError(
            f"Splits without parameters: {some(empty)}.",
            "Leave them out: they have nothing to learn.",
        )
    return owner


def _count(names: Sequence[str]) -> str:
    return "1 parameter is" if len(names) == 1 else f"{len(names)} parameters are"
