"""Where a learner's cut of a network goes wrong: names, coverage, order."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from torch import nn

from difflr.errors import DifflrError, first_few, short_repr
from difflr.lessons.checking import Wrong
from difflr.models.claims import listed, matched
from difflr.splits import Splits, split_model

__all__ = ["cut_or_wrong"]


def cut_or_wrong(
    network: nn.Module, how: Any, depth: Callable[[str], int], least: int, most: int
) -> Splits:
    """Return ``network`` cut as ``how`` says, or raise ``Wrong`` with the misconception.

    Args:
        network: fresh, as the learner's code got it.
        how: what ``split_model`` takes, or ``Splits``.
        depth: for the name of a parameter, how late in ``forward`` it is used.
        least, most: how many splits there may be.
    """
    if isinstance(how, Splits):
        how = [list(split.parameters.values()) for split in how]
    _kinds(how)
    try:
        parts = matched(network, how) if isinstance(how, Mapping) else listed(network, how)
    except DifflrError as error:
        raise Wrong("A split names something that the network does not have.", str(error)) from None
    first_names = [name for name, _ in network.named_parameters()]
    claims = {name: [p.name for p in parts if name in p.names] for name in first_names}
    missing = [name for name, claimed in claims.items() if not claimed]
    bare = [name for name in missing if "." not in name]
    if bare:
        raise Wrong(
            "A parameter that belongs to no layer is forgotten. It would be in no parameter group, "
            "so it would never learn, and nothing would say so.",
            "`network.children()` lists layers. `network.named_parameters()` lists all that learns: "
            "compare the two.",
            f"It is `{bare[0]}`. Put it with the layer that it works together with in `forward`.",
        )
    if missing:
        raise Wrong(
            f"{len(missing)} parameters are in no split. They would never learn, and no optimizer "
            "would say so.",
            "A layer can be easy to overlook when it is small, such as a normalisation layer."
            if len(missing) <= 2
            else "Hold your names and patterns against `network.named_parameters()`, one by one.",
            f"They are {first_few([f'`{name}`' for name in missing])}.",
        )
    doubled = [name for name, claimed in claims.items() if len(claimed) > 1]
    if doubled:
        raise Wrong(
            "A parameter is in two splits. Which of the two learning rates should it learn with?",
            "A pattern claims all that lies below it: look for two that overlap.",
            f"`{doubled[0]}` is in {' and '.join(claims[doubled[0]])}.",
        )
    try:
        splits = split_model(network, how)
    except DifflrError as error:
        raise Wrong("This cut does not work.", str(error)) from None
    _order(splits, depth)
    if not least <= len(splits) <= most:
        raise Wrong(
            f"There are {len(splits)} splits; asked for are {least} to {most}.",
            "With too few there is nothing to tell apart; with too many nobody can say why each "
            "has its learning rate.",
        )
    return splits


def _kinds(how: Any) -> None:
    """Raise ``Wrong`` where names and modules are in the wrong kind of container."""
    if isinstance(how, Mapping):
        flat = [each for value in how.values() for each in _flat(value)]
        if strange := [each for each in flat if not isinstance(each, str)]:
            raise Wrong(
                "A dictionary holds names or patterns, in a list or alone, for each split. Yours "
                f"holds {short_repr(strange[0])}.",
                "Write names, or return a list of lists of modules or parameters.",
            )
        for name, value in how.items():
            if isinstance(value, (list, tuple)) and any(not isinstance(v, str) for v in value):
                raise Wrong(
                    f"The names of a split are one list. In split {short_repr(name)} a list lies within "
                    "a list.",
                    f"Write `{short_repr(name)}: {short_repr(_flat(value))}`.",
                )
    elif names := [each for each in _flat(how) if isinstance(each, str)]:
        raise Wrong(
            f"Names belong into a dictionary; in a list stand modules or parameters. Yours holds "
            f"the name {short_repr(names[0])}.",
            "`{'stem': ['patches', 'position'], …}` or `[[network.patches, network.position], …]`.",
        )


def _flat(item: Any) -> list[Any]:
    """Return what lists within lists hold."""
    if isinstance(item, (list, tuple)):
        return [each for member in item for each in _flat(member)]
    return [item]


def _order(splits: Splits, depth: Callable[[str], int]) -> None:
    spans = [[depth(name) for name in split.parameters] for split in splits]
    for (early, before), (late, after) in pairwise(zip(splits, spans, strict=True)):
        if max(before) > min(after):
            raise Wrong(
                "The splits do not run from shallow to deep. The order in which layers are written down in "
                "`__init__` (or in your splits) need not be the order in which `forward` uses them.",
                "Follow a picture through `forward`: what touches it first belongs to the first split.",
                f"`{early.name}` comes before `{late.name}`, but holds something that `forward` uses later.",
            )
