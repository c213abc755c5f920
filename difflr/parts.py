"""The two ways of saying what a split holds: patterns for names, or the modules themselves."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from difflr.errors import DifflrError, shown, some

__all__ = ["Part", "listed", "matched"]


@dataclass
class Part:
    """What one split claims, before it is checked: names of parameters, ids of modules."""

    name: str
    names: set[str]
    modules: set[int]


def matched(model: nn.Module, patterns: Mapping[str, str | Sequence[str]]) -> list[Part]:
    """Return what each pattern claims: the names that match and all that lies below them.

    A pattern is matched against as many levels of a dotted name as it has itself, so ``layer1``
    claims ``layer1.0.conv1.weight`` and ``layers.[0-3]`` claims the first four of ``layers``.
    """
    params = [name for name, _ in model.named_parameters(remove_duplicate=False)]
    modules = [(name, id(module)) for name, module in model.named_modules() if name]
    parts = []
    for split, globs in patterns.items():
        part = Part(str(split), set(), set())
        for glob in _globs(part.name, globs):
            hit_params = {name for name in params if _matches(name, glob)}
            hit_modules = {key for name, key in modules if _matches(name, glob)}
            if not hit_params and not hit_modules:
                raise DifflrError(
                    f"The pattern {glob!r} of split {part.name!r} matches nothing in the model.",
                    f"Its top level is: {some([name for name, _ in model.named_children()], 12)}.",
                )
            part.names |= hit_params
            part.modules |= hit_modules
        parts.append(part)
    return parts


def _globs(split: str, globs: Any) -> list[str]:
    found = [globs] if isinstance(globs, str) else globs
    if isinstance(found, Iterable) and not isinstance(found, nn.Module):
        found = list(found)
        if all(isinstance(glob, str) for glob in found):
            return found
    raise DifflrError(
        f"Received {shown(globs)} for split {split!r}, expected names or patterns of names.",
        "Pass e.g. {'stem': ['conv1', 'bn1'], 'head': 'fc'}, or the modules in a list.",
    )


def _matches(name: str, glob: str) -> bool:
    levels = glob.count(".") + 1
    return fnmatchcase(".".join(name.split(".")[:levels]), glob)


def listed(model: nn.Module, items: Any) -> list[Part]:
    """Return what each item of a list claims: a module, a parameter, or a list of them."""
    if isinstance(items, str) or not isinstance(items, Iterable):
        raise DifflrError(
            f"Received {shown(items)}, expected a list of splits, shallow to deep.",
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
        labels = []
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
                labels.append(aliases[id(parameter)][0])
        # The item's own name, or for a list or a new nn.Sequential that of its first member.
        parts.append(Part(labels[0] if labels else f"split{index}", names, modules))
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
            f"Received {shown(item)} as a split, expected a module, a parameter or a list of them.",
            "Build the list from the model's own modules.",
        )
