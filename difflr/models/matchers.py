"""timm's own grouping of a model's parameters by depth, read without timm.

A timm model has a method ``group_matcher(coarse=…)``, which timm's layer decay goes by. Only the
method's answer is read here, so any model that has such a method is cut by it.
"""

import inspect
import re
from collections.abc import Callable, Iterable
from typing import Any

from torch import nn

__all__ = ["matched_layers"]

_WITH_THE_LAST = 99999.0  # timm's MATCH_PREV_GROUP: what belongs to the group before it


def matched_layers(model: nn.Module, *, coarse: bool) -> list[list[str]] | None:
    """Return the names of the parameters by layer, shallow to deep; None without a matcher.

    The same as timm's ``group_parameters``: what no pattern matches is the head, the last layer.
    """
    # By class: wrappers (PEFT, torch.compile) pass attributes on, and have other names.
    if not callable(getattr(type(model), "group_matcher", None)):
        return None
    method: Any = model.group_matcher
    # One of a user's own may know a single grouping: it is the fine one.
    known = inspect.signature(method).parameters.values()
    if not any(p.name == "coarse" or p.kind is p.VAR_KEYWORD for p in known):
        if coarse:
            return None
        matcher = method()
    else:
        matcher = method(coarse=coarse)
    key_of = _by_patterns(matcher) if isinstance(matcher, dict) else _by_function(matcher)
    keyed: dict[tuple[float, ...], list[str]] = {}
    for name, _ in model.named_parameters():
        keyed.setdefault(key_of(name), []).append(name)
    layers: list[list[str]] = []
    for key in sorted(keyed):
        if layers and key[-1] == _WITH_THE_LAST:
            layers[-1].extend(keyed[key])
        else:
            layers.append(keyed[key])
    return layers


def _by_patterns(matcher: dict[str, Any]) -> Callable[[str], tuple[float, ...]]:
    """A group's place in the dictionary, then the numbers in its pattern, then its suffix."""
    patterns: list[tuple[re.Pattern[str], int, tuple[float, ...]]] = []
    for place, spec in enumerate(matcher.values()):
        for pattern, suffix in [(spec, None)] if isinstance(spec, str) else spec or ():
            patterns.append((re.compile(pattern), place, tuple(map(float, suffix or ()))))

    def key_of(name: str) -> tuple[float, ...]:
        for pattern, place, suffix in patterns:
            if found := pattern.match(name):
                numbers = (float(number) for number in found.groups() if number is not None)
                return (float(place), *numbers, *suffix)
        return (float("inf"),)

    return key_of


def _by_function(matcher: Callable[[str], Any]) -> Callable[[str], tuple[float, ...]]:
    def key_of(name: str) -> tuple[float, ...]:
        place = matcher(name)
        return tuple(place) if isinstance(place, Iterable) else (place,)

    return key_of
