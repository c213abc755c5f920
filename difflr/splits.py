"""Splits: the ordered, named parts of a model, shallow to deep, that get a learning rate each."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import takewhile
from types import EllipsisType
from typing import Any, overload

from torch import nn
from torch.nn.parameter import UninitializedParameter

from difflr.architectures import auto_patterns
from difflr.errors import DifflrError, first_few, short_repr
from difflr.held import held_parameters

__all__ = ["Part", "Split", "Splits", "listed", "matched", "split_model"]


Patterns = str | Sequence[str] | EllipsisType


@dataclass
class Part:
    """What one split claims, before it is checked: names of parameters, ids of modules."""

    name: str
    names: set[str]
    modules: set[int]


def matched(model: nn.Module, patterns: Mapping[str, Patterns]) -> list[Part]:
    """Return what each pattern claims: the names that match and all that lies below them.

    A pattern is matched against as many levels of a dotted name as it has itself, so ``layer1``
    claims ``layer1.0.conv1.weight`` and ``layers.[0-3]`` claims the first four of ``layers``. A split
    of ``...`` claims all that no other does.
    """
    params = [name for name, _ in model.named_parameters(remove_duplicate=False)]
    modules = [(name, id(module)) for name, module in model.named_modules() if name]
    parts = []
    for split, globs in patterns.items():
        part = Part(str(split), set(), set())
        parts.append(part)
        if globs is ...:
            continue
        for glob in _globs(part.name, globs):
            hit_params = {name for name in params if _matches(name, glob)}
            hit_modules = {key for name, key in modules if _matches(name, glob)}
            if not hit_params and not hit_modules:
                raise DifflrError(
                    f"The pattern {glob!r} of split {part.name!r} matches nothing in the model.",
                    "A pattern has as many levels as the names it is for: 'fc' takes the child fc and all "
                    "below it, '*.fc' one level further down. The top level is: "
                    f"{first_few([name for name, _ in model.named_children()], 12)}.",
                )
            part.names |= hit_params
            part.modules |= hit_modules
    rest = set(params).difference(*(part.names for part in parts))
    for part, globs in zip(parts, patterns.values(), strict=True):
        if globs is ...:
            part.names |= rest
            part.modules |= {  # those that hold nothing else
                key
                for name, key in modules
                if (own := {p for p in params if p.startswith(f"{name}.")}) and own <= rest
            }
    return parts


def _globs(split: str, globs: Any) -> list[str]:
    found = [globs] if isinstance(globs, str) else globs
    if isinstance(found, Iterable) and not isinstance(found, nn.Module):
        found = list(found)
        if all(isinstance(glob, str) for glob in found):
            return found
    raise DifflrError(
        f"Received {short_repr(globs)} for split {split!r}, expected names or patterns of names.",
        "Pass e.g. {'stem': ['conv1', 'bn1'], 'head': 'fc'}, or the modules in a list.",
    )


def _matches(name: str, glob: str) -> bool:
    levels = glob.count(".") + 1
    return fnmatchcase(".".join(name.split(".")[:levels]), glob)


def listed(model: nn.Module, items: Any) -> list[Part]:
    """Return what each item of a list claims: a module, a parameter, or a list of them."""
    if isinstance(items, str) or not isinstance(items, Iterable):
        raise DifflrError(
            f"Received {short_repr(items)}, expected a list of splits, shallow to deep.",
            "Return a list such as [self.model.layer1, self.model.layer2, self.model.fc].",
        )
    aliases: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        aliases.setdefault(id(parameter), []).append(name)
    prefixes = {id(m): f"{name}." if name else "" for name, m in model.named_modules()}
    parts = []
    for index, item in enumerate(items):
        names: set[str] = set()
        modules = set()
        labels, holders = [], []  # names of members; of the modules that hold single parameters
        for leaf in _leaves(item):
            if isinstance(leaf, nn.Module) and id(leaf) in prefixes:
                modules.add(id(leaf))
                prefix = prefixes[id(leaf)]
                labels += [prefix[:-1]] if prefix else []
                # By this module's name for it: a tied parameter has another name elsewhere.
                names |= {prefix + name for name, _ in leaf.named_parameters(recurse=False)}
                continue
            strays = leaf.parameters(False) if isinstance(leaf, nn.Module) else [leaf]
            for parameter in strays:
                if id(parameter) not in aliases:
                    raise DifflrError(
                        f"Split {index} holds a parameter of shape {tuple(parameter.shape)} that is "
                        "not the model's.",
                        "Build the list from the model's own modules, after replacing its head.",
                    )
                names |= set(aliases[id(parameter)])
                own = aliases[id(parameter)][0]
                holders.append(own.rpartition(".")[0] or own)
                labels.append(holders[-1])
        # The item's own name, or for a list or a new nn.Sequential that of its first member; for parameters
        # that of the module that holds them all, or else the first.
        alone = holders if len(holders) == len(labels) else []
        levels = zip(*(holder.split(".") for holder in alone), strict=False)
        shared = ".".join(
            level[0] for level in takewhile(lambda names: len(set(names)) == 1, levels)
        )
        label = shared or (labels or [f"split{index}"])[0]
        parts.append(Part(label, names, modules))
    short = [part.name.rsplit(".", 1)[-1] for part in parts]
    for index, part in enumerate(parts):
        part.name = short[index] if len(set(short)) == len(short) else f"{index}_{part.name}"
    return parts


def _leaves(item: Any) -> Iterator[nn.Module | nn.Parameter]:
    """Yield the modules (each with all that it holds) and the single parameters in an item."""
    if isinstance(item, nn.Module):
        yield from item.modules()
    elif isinstance(item, nn.Parameter):
        yield item
    elif isinstance(item, Iterable) and not isinstance(item, str):
        for member in item:
            yield from _leaves(member)
    else:
        raise DifflrError(
            f"Received {short_repr(item)} as a split, expected a module, a parameter or a list of them.",
            "Build the list from the model's own modules.",
        )


Exclude = (
    str
    | nn.Module
    | nn.Parameter
    | Iterable[str | nn.Module | nn.Parameter]
    | Callable[[str, nn.Parameter], bool]
)
How = str | Mapping[str, str | Sequence[str]] | Iterable[Any] | Callable[[nn.Module], Any] | None


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


def split_model(model: nn.Module, how: How = None, *, exclude: Exclude = ()) -> Splits:
    """Cut ``model`` into splits, shallow to deep.

    Args:
        model: any module.
        how: ``None`` or ``"stages"`` cuts timm's models by their own groups, torchvision's families by
            the names of their children, Hugging Face's and others by their lists of blocks, into a
            handful of splits; ``"blocks"`` makes one split of each block;
            a dictionary maps a split's name to one or more patterns (``"layer1"``, ``"layers.[0-3]"``)
            for names of modules or parameters, each with all that lies below it, or to ``...``: all that
            no other split holds;
            a list holds the splits as modules, parameters or lists of them (the 2020 recipe's
            ``model_splits``); a function takes the model and returns any of these; splits of this
            model stay as they are.

        exclude: what belongs to no split and is left as it is (a loss network, a teacher, a loss head
            with parameters): patterns as above, modules or parameters, one or several; or a function that
            takes a parameter's name and the parameter and returns whether to leave it out.

    What the user froze (see ``difflr.held``) stays frozen and may be in no split as well.

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
            f"Received {short_repr(model)}, expected a torch.nn.Module.", "Pass the model."
        )
    lazy = [n for n, p in model.named_parameters() if isinstance(p, UninitializedParameter)]
    if lazy:
        raise DifflrError(
            f"Parameters without a shape yet (lazy modules): {first_few(lazy)}.",
            "Run one batch through the model first.",
        )
    if callable(how) and not isinstance(how, nn.Module):
        how = how(model)
    if isinstance(how, Splits) and how.model is model:
        return how
    out = _excluded(model, exclude)
    if how is None or isinstance(how, str):
        how = auto_patterns(model, how or "stages", out | set(held_parameters(model)))
    parts = matched(model, how) if isinstance(how, Mapping) else listed(model, how)
    for part in parts:
        part.names -= out
    owner = _owners(model, parts, out)
    modules: list[list[nn.Module]] = [[] for _ in parts]
    parameters: list[dict[str, nn.Parameter]] = [{} for _ in parts]
    seen: set[int] = set()
    current = 0
    for prefix, module in model.named_modules():
        own = {f"{prefix}.{n}".lstrip("."): p for n, p in module.named_parameters(recurse=False)}
        claimed = [i for i, part in enumerate(parts) if id(module) in part.modules]
        # A module without parameters goes where it was put, else with the one before it.
        known = [owner[id(p)] for p in own.values() if id(p) in owner]
        if own and not known:
            continue  # excluded, or held by the user and in no split
        current = known[0] if known else claimed[0] if claimed else current
        modules[current].append(module)
        for name, parameter in own.items():
            # A tied parameter comes by every time under another name.
            if id(parameter) in owner and id(parameter) not in seen:
                seen.add(id(parameter))
                parameters[owner[id(parameter)]][name] = parameter
    return Splits(
        model,
        [
            Split(part.name, params, tuple(mods))
            for part, params, mods in zip(parts, parameters, modules, strict=True)
        ],
    )


def _excluded(model: nn.Module, exclude: Exclude) -> set[str]:
    """Return all names of the parameters that are in no split because the user said so."""
    if callable(exclude) and not isinstance(exclude, nn.Module):
        every = model.named_parameters(remove_duplicate=False)
        return {name for name, parameter in every if exclude(name, parameter)}
    one = isinstance(exclude, str | nn.Module | nn.Parameter)
    items = [exclude] if one else list(exclude)  # type: ignore[arg-type]
    patterns = [item for item in items if isinstance(item, str)]
    rest = [item for item in items if not isinstance(item, str)]
    parts = matched(model, {"exclude": patterns}) if patterns else []
    parts += listed(model, [rest]) if rest else []
    return {name for part in parts for name in part.names}


def _owners(model: nn.Module, parts: Sequence[Part], out: Collection[str]) -> dict[int, int]:
    """Return which split owns each parameter (by id), or say what is missing, doubled or empty."""
    free = set(held_parameters(model)) | set(out)
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
        if not claims and free.intersection(names):
            continue
        if not claims:
            missing.append(names[0])
        elif len(first or claims) > 1:
            doubled.append(f"{names[0]} ({' and '.join(parts[i].name for i in first or claims)})")
        else:
            owner[key] = (first or claims)[0]
    if missing:
        raise DifflrError(
            f"{_count(missing)} in no split: {first_few(missing)}.",
            "Add them to a split: together the splits hold every parameter exactly once.",
        )
    if doubled:
        raise DifflrError(
            f"{_count(doubled)} in two splits: {first_few(doubled)}.",
            "Leave each in one split only.",
        )
    owned = set(owner.values())
    empty = [part.name for i, part in enumerate(parts) if i not in owned]
    if empty:
        raise DifflrError(
            f"Splits without parameters: {first_few(empty)}.",
            "Leave them out: they have nothing to learn.",
        )
    return owner


def _count(names: Sequence[str]) -> str:
    return "1 parameter is" if len(names) == 1 else f"{len(names)} parameters are"
