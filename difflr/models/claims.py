"""What each part of a cut claims of a model, by patterns or lists, so that every parameter has one owner."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import accumulate
from types import EllipsisType
from typing import Any

from torch import nn
from torch.nn.parameter import UninitializedParameter

from difflr.errors import DifflrError, first_few, short_repr
from difflr.models.held import held_parameters

__all__ = ["Exclude", "Part", "contents", "excluded", "listed", "matched", "paths"]

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
    params = _Names((name, name) for name, _ in model.named_parameters(remove_duplicate=False))
    modules = _Names((name, id(module)) for name, module in model.named_modules() if name)
    parts = []
    for split, globs in patterns.items():
        part = Part(str(split), set(), set())
        parts.append(part)
        if globs is ...:
            continue
        for glob in _globs(part.name, globs):
            hit_params, hit_modules = params.matching(glob), modules.matching(glob)
            if not hit_params and not hit_modules:
                raise DifflrError(
                    f"The pattern {glob!r} of split {part.name!r} matches nothing in the model.",
                    "A pattern has as many levels as the names it is for: 'fc' takes the child fc and all "
                    "below it, '*.fc' one level further down. The top level is: "
                    f"{first_few([name for name, _ in model.named_children()], 12)}.",
                )
            part.names |= hit_params
            part.modules |= hit_modules
    if ... not in patterns.values():
        return parts
    rest = {name for name, _ in params.items}.difference(*(part.names for part in parts))
    # A module that holds a parameter of another split, at whatever depth, is not of the rest.
    others = {path for name, _ in params.items if name not in rest for path in paths(name)}
    above = {path for name in rest for path in paths(name)} - others
    for part, globs in zip(parts, patterns.values(), strict=True):
        if globs is ...:
            part.names |= rest
            part.modules |= {key for name, key in modules.items if name in above}
    return parts


class _Names:
    """Dotted names, each with a value, to be found by patterns: one look per level, not one per name."""

    def __init__(self, items: Iterable[tuple[str, Any]]) -> None:
        self.items = list(items)
        self._levels: dict[int, dict[str, set[Any]]] = {}

    def matching(self, glob: str) -> set[Any]:
        """Return the values whose names match in as many levels as the pattern has."""
        count = glob.count(".") + 1
        if count not in self._levels:
            level = self._levels.setdefault(count, {})
            for name, value in self.items:
                level.setdefault(".".join(name.split(".")[:count]), set()).add(value)
        level = self._levels[count]
        if not any(sign in glob for sign in "*?["):
            return level.get(glob, set())
        return set().union(*(level[name] for name in level if fnmatchcase(name, glob)))


def paths(name: str) -> list[str]:
    """Return a dotted name's prefixes, the shallowest first and itself last."""
    return list(accumulate(name.split("."), lambda above, own: f"{above}.{own}"))


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


def listed(model: nn.Module, items: Any) -> list[Part]:
    """Return what each item of a list claims: a module, a parameter, or a list of them."""
    if isinstance(items, str) or not isinstance(items, Iterable):
        raise DifflrError(
            f"Received {short_repr(items)}, expected a list of splits, shallow to deep.",
            "Return a list such as [self.model.layer1, self.model.layer2, self.model.fc].",
        )
    aliases = _aliases(model)
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
        label = (labels or [f"split{index}"])[0]
        if len(holders) == len(labels):
            shared = [path for path in paths(label) if all(path in paths(h) for h in holders)]
            label = (shared or [label])[-1]
        parts.append(Part(label, names, modules))
    short = [part.name.rsplit(".", 1)[-1] for part in parts]
    for index, part in enumerate(parts):
        part.name = short[index] if len(set(short)) == len(short) else f"{index}_{part.name}"
    return parts


def _aliases(model: nn.Module) -> dict[int, list[str]]:
    """Return all names of each parameter, by its id."""
    found: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        found.setdefault(id(parameter), []).append(name)
    return found


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


def excluded(model: nn.Module, exclude: Exclude) -> set[str]:
    """Return all names of the parameters that are in no split because the user said so.

    Raises:
        DifflrError: for another thing than a model, parameters without a shape, or where none is left.
    """
    if not isinstance(model, nn.Module):
        raise DifflrError(
            f"Received {short_repr(model)}, expected a torch.nn.Module.", "Pass the model."
        )
    named = dict(model.named_parameters())
    if lazy := [name for name, p in named.items() if isinstance(p, UninitializedParameter)]:
        raise DifflrError(
            f"Parameters without a shape yet (lazy modules): {first_few(lazy)}.",
            "Run one batch through the model.",
        )
    out = _names_out(model, exclude)
    if out.issuperset(named):
        raise DifflrError(
            "The model has no parameters, or exclude leaves nothing.",
            "Pass a model that can be trained, and exclude what is not to train.",
        )
    return out


def _names_out(model: nn.Module, exclude: Exclude) -> set[str]:
    if callable(exclude) and not isinstance(exclude, nn.Module):
        every = model.named_parameters(remove_duplicate=False)
        return {name for name, parameter in every if exclude(name, parameter)}
    one = isinstance(exclude, str | nn.Module | nn.Parameter) or not isinstance(exclude, Iterable)
    items = [exclude] if one else list(exclude)  # type: ignore[arg-type]
    patterns = [item for item in items if isinstance(item, str)]
    rest = [item for item in items if not isinstance(item, str)]
    parts = matched(model, {"exclude": patterns}) if patterns else []
    parts += listed(model, [rest]) if rest else []
    return {name for part in parts for name in part.names}


def contents(
    model: nn.Module, parts: Sequence[Part], out: Collection[str]
) -> list[tuple[dict[str, nn.Parameter], tuple[nn.Module, ...]]]:
    """Return what each part holds, now that each parameter but those called ``out`` has one owner.

    Raises:
        DifflrError: for parameters without a part or with two, and parts without parameters.
    """
    for part in parts:
        part.names.difference_update(out)
    owner = _owners(model, parts, out)
    aliases = list(model.named_parameters(remove_duplicate=False))
    modules: list[list[nn.Module]] = [[] for _ in parts]
    parameters: list[dict[str, nn.Parameter]] = [{} for _ in parts]
    seen: set[int] = set()
    claimed = {key: i for i in reversed(range(len(parts))) for key in parts[i].modules}
    outside = {path for name, p in aliases if id(p) not in owner for path in paths(name)}
    if outside:
        outside -= {path for name, p in aliases if id(p) in owner for path in paths(name)}
    current = 0
    for prefix, module in model.named_modules():
        if prefix in outside or prefix.rpartition(".")[0] in outside:
            outside.add(prefix)  # a teacher, and its dropout and BatchNorm without parameters
            continue
        here = module._parameters.items()
        own = {f"{prefix}.{n}".lstrip("."): p for n, p in here if p is not None}
        # A module without parameters goes where it was put, else with the one before it.
        known = [owner[id(p)] for p in own.values() if id(p) in owner]
        if own and not known:
            continue  # its own are in no split, those of its children are
        current = known[0] if known else claimed.get(id(module), current)
        modules[current].append(module)
        for name, parameter in own.items():
            # A tied parameter comes by every time under another name.
            if id(parameter) in owner and id(parameter) not in seen:
                seen.add(id(parameter))
                parameters[owner[id(parameter)]][name] = parameter
    return [(held, tuple(inside)) for held, inside in zip(parameters, modules, strict=True)]


def _owners(model: nn.Module, parts: Sequence[Part], out: Collection[str]) -> dict[int, int]:
    """Return which split owns each parameter (by id), or say what is missing, doubled or empty."""
    aliases = _aliases(model)
    claimants: dict[str, list[int]] = {}
    for index, part in enumerate(parts):
        for name in part.names:
            claimants.setdefault(name, []).append(index)
    owner: dict[int, int] = {}
    missing, doubled = [], []
    for key, names in aliases.items():
        first = claimants.get(names[0], [])
        claims = sorted({index for name in names for index in claimants.get(name, [])})
        if not claims:
            missing.append(names)
        elif len(first or claims) > 1:
            doubled.append(f"{names[0]} ({' and '.join(parts[i].name for i in first or claims)})")
        else:
            owner[key] = (first or claims)[0]
    free = {*held_parameters(model), *out} if missing else set()
    if lost := [names[0] for names in missing if free.isdisjoint(names)]:
        raise DifflrError(
            f"{_count(lost)} in no split: {first_few(lost)}.",
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
