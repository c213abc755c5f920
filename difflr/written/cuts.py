"""A user's own cut of a network, as the command line takes it and results keep it: text alone."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from difflr.errors import DifflrError, short_repr
from difflr.written.files import read_within, user_path

__all__ = ["LEVELS", "Cut", "as_patterns", "known_names", "parse_cut"]

#: What ``split_model`` takes, in JSON: its word, or patterns by split, where "..." is all the rest.
Cut = str | Mapping[str, Sequence[str]]

LEVELS = ("stages", "blocks")
_RESNETS = {
    *("strokenet", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
    *("resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d"),
    *("wide_resnet50_2", "wide_resnet101_2"),
}
_REMEDY = (
    "Write stages, blocks, the path of a JSON file, or splits from shallow to deep: "
    "stem=conv1,bn1 early=layer1,layer2 late=layer3,layer4 head=fc (... takes the rest)."
)


def parse_cut(words: Sequence[str]) -> Cut | None:
    """Return the cut that a command line names; None for no word.

    >>> parse_cut(["stem=conv1,bn1", "rest=...", "head=fc"])
    {'stem': ['conv1', 'bn1'], 'rest': ['...'], 'head': ['fc']}
    """
    if not words:
        return None
    if len(words) == 1 and "=" not in words[0]:
        return words[0] if words[0] in LEVELS else _from_file(user_path(words[0]))
    parts = [word.partition("=") for word in words]
    return _checked([(name, patterns.split(",")) for name, _, patterns in parts], " ".join(words))


def known_names(backbone: str) -> tuple[str, ...] | None:
    """Return the names of a ResNet's splits, which are known without building it; None for another network.

    >>> known_names("resnet50")
    ('stem', 'layer1', 'layer2', 'layer3', 'layer4', 'head')
    """
    if backbone not in _RESNETS:
        return None
    return ("stem", "layer1", "layer2", "layer3", "layer4", "head")


def as_patterns(cut: Cut | None, below: str = "") -> Any:
    """Return a cut as ``split_model`` takes it, its patterns for names below a module."""
    if cut is None or isinstance(cut, str):
        return cut
    return {
        name: ... if "..." in patterns else [f"{below}{pattern}" for pattern in patterns]
        for name, patterns in cut.items()
    }


def _from_file(path: Path) -> Cut:
    try:
        pairs = json.loads(read_within(path, 2**20), object_pairs_hook=list)
        if not isinstance(pairs, list) or not all(len(pair) == 2 for pair in pairs):
            raise ValueError("it is no object")
        found = [(n, [p] if isinstance(p, str) else list(p)) for n, p in pairs]
    except OSError as error:
        raise DifflrError(
            f"The cut {str(path)!r} cannot be read: {error.strerror}.", _REMEDY
        ) from error
    except (ValueError, TypeError, RecursionError) as error:
        raise DifflrError(f"The cut {str(path)!r} cannot be read: {error}.", _REMEDY) from error
    return _checked(found, str(path))


def _checked(cut: Sequence[tuple[str, list[str]]], text: str) -> dict[str, list[str]]:
    whole = all(
        isinstance(name, str)
        and name
        and patterns
        and all(isinstance(p, str) and p for p in patterns)
        and (len(patterns) == 1 or "..." not in patterns)
        for name, patterns in cut
    )
    if not whole or not 2 <= len(cut) == len(dict(cut)):
        raise DifflrError(
            f"Received {short_repr(text)}, expected two splits or more, each with a name and patterns.",
            _REMEDY,
        )
    return dict(cut)
