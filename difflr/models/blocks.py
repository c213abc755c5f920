"""The lists of blocks in a model, and its parameters in the order of depth by them.

Nearly every network is a stem, a list of like blocks (or stages of blocks) and a head. Where the
lists are found by their structure, no name of a family is needed: Hugging Face's models are read so,
networks of one's own, LSTMs by their layers.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from torch import nn

from difflr.models.claims import paths

__all__ = ["Ladder", "Unit", "composite", "expanded", "has_parameters", "ladder"]

_MINOR = 0.12  # a list with less than this share of what all lists hold is no trunk
_HEAD = re.compile(
    r"^(fc\d*|classifier|heads?|head_\w+|\w+_head|aux\w*|AuxLogits|logit_\w+|(text|visual)_projection|cls"
    r"|score|fpn|neck|rpn|roi_heads|last_linear|qa_outputs|class_labels_classifier|bbox_predictor)$"
)
_BACKBONE = ("backbone", "trunk", "base_model")
_TOWER = re.compile(r"^(text|vision|visual|audio|image)(_model|_encoder|_tower)?$")
_BESIDE = re.compile(r"embed|norm|downsampl|transition|merg|reduc")
# Registered behind the blocks or before them, and run on the other side.
_EARLY = re.compile(r"embed|encoder\.LayerNorm\.")
_LATE = re.compile(r"(^|\.)(final_layer_?norm|post_layernorm|ln_f|norm_f)\.")
_LIST = re.compile(r"^(layers?|blocks?|stages?|h)\d*$")
_CLOSING = re.compile(r"norm|pool|ln_f", re.IGNORECASE)
_PLURAL = ("layers", "blocks", "stages")  # a stage's blocks; a block's own parts have other names
_NUMBERED = re.compile(r"^([A-Za-z_]+?)_?(\d+)([a-z]?)$")


@dataclass
class Unit:
    """One block or stage: its path, and the names of its parameters."""

    path: str
    names: list[str]


@dataclass
class Ladder:
    """The names of a model's parameters from the input to the output."""

    stem: list[str]
    units: list[Unit]
    head: list[str]

    @property
    def parts(self) -> list[Unit]:
        """The stem, the units and the head, but for those that hold nothing."""
        # A model may call a part of its body so (SelecSLS, its last convolutions).
        named = [f"body.{u.path}" if u.path in ("stem", "head") else u.path for u in self.units]
        body = [Unit(name, unit.names) for name, unit in zip(named, self.units, strict=True)]
        parts = [Unit("stem", self.stem), *body, Unit("head", self.head)]
        return [unit for unit in parts if unit.names]


@dataclass
class _List:
    """A list of blocks: the module that it stands in, its name there, the paths of each member."""

    parent: str
    name: str
    members: list[list[str]]


def ladder(model: nn.Module, *, fine: bool = False) -> Ladder | None:
    """Return a model's stem, its units (stages; ``fine``: blocks) and its head; None without lists.

    The lists are in the order of their registration, and what stands around them goes by its place.
    """
    base = _base(model)
    root = model.get_submodule(base)
    inside = f"{base}." if base else ""
    names = [name for name, _ in model.named_parameters()]
    parts = [(n, child) for n, child in root.named_children() if has_parameters(child)]
    towers = [inside + n for n, _ in parts if _TOWER.match(n)]
    if len(towers) > 1:
        return _side_by_side(model, towers, names, fine=fine)
    lists = _trunk(model, list(_lists(root, base)))
    if not lists:
        return None
    result = _placed(names, inside, lists)
    if fine:
        result.units = [part for unit in result.units for part in expanded(model, unit)]
    return result


def _base(model: nn.Module) -> str:
    """The path of the network under its head: Hugging Face says it, others name it so."""
    for name in (getattr(model, "base_model_prefix", ""), *_BACKBONE):
        child = getattr(model, name, None) if isinstance(name, str) and name else None
        if isinstance(child, nn.Module) and name in model._modules:
            if deeper := _base(child):
                return f"{name}.{deeper}"
            if any(True for _ in _lists(child, name)):
                return name
    return ""


def has_parameters(module: nn.Module) -> bool:
    """Whether there is anything to learn in a module, frozen or not."""
    return any(True for _ in module.parameters())


def _numel(model: nn.Module, path: str) -> int:
    parent, _, leaf = path.rpartition(".")
    owner = model.get_submodule(parent)
    if leaf in owner._parameters:
        return owner.get_parameter(leaf).numel()
    return sum(parameter.numel() for parameter in model.get_submodule(path).parameters())


def _lists(module: nn.Module, path: str) -> Iterator[_List]:
    """Yield the outermost lists of blocks below a module, in the order of registration."""
    inside = f"{path}." if path else ""
    if isinstance(module, nn.RNNBase):
        layers: dict[int, list[str]] = {}
        for name, _ in module.named_parameters():
            if found := re.search(r"_l(\d+)", name):
                layers.setdefault(int(found.group(1)), []).append(inside + name)
        yield _List(path, "", list(layers.values()))
        return
    children = [(n, child) for n, child in module.named_children() if has_parameters(child)]
    parent, _, own = path.rpartition(".")
    if _is_list(own, module, children):
        yield _List(parent, own, [[inside + n] for n, _ in children])
        return
    numbered = _numbered(children)
    if numbered:
        yield _List(path, "", [[inside + name] for name in numbered])
    for name, child in children:
        if name not in numbered and not (name == "head" or _HEAD.match(name)):
            yield from _lists(child, inside + name)


def _is_list(name: str, module: nn.Module, children: list[tuple[str, nn.Module]]) -> bool:
    """Whether a module is a container of blocks: like modules that hold modules themselves."""
    if not isinstance(module, nn.ModuleList | nn.Sequential | nn.ModuleDict) or not children:
        return False
    if not all(composite(child) for _, child in children):
        return False
    if isinstance(module, nn.Sequential):
        return len(children) > 1 or bool(_LIST.match(name))
    classes = Counter(type(child) for _, child in children)
    return max(classes.values()) * 2 > len(children)


def composite(module: nn.Module) -> bool:
    """Whether a module is made of modules that hold parameters; an RNN's layers are counted as such."""
    return isinstance(module, nn.RNNBase) or any(map(has_parameters, module.children()))


def _numbered(children: list[tuple[str, nn.Module]]) -> list[str]:
    """Names such as layer1, layer2, … of at least two children that hold modules, if they count up."""
    groups: dict[str, list[tuple[int, str]]] = {}
    for name, child in children:
        if (found := _NUMBERED.match(name)) and composite(child) and not _HEAD.match(name):
            groups.setdefault(found.group(1), []).append((int(found.group(2)), name))
    found_groups = [group for group in groups.values() if len(group) > 1]
    if any([n for n, _ in group] != sorted(n for n, _ in group) for group in found_groups):
        return []  # counted down or mixed: the numbers are no order of depth that one can trust
    chosen = {name for group in found_groups for _, name in group}
    return [name for name, _ in children if name in chosen]


def _trunk(model: nn.Module, lists: list[_List]) -> list[_List]:
    """Join lists that stand beside one another, and leave out the small ones."""
    joined: list[_List] = []
    for found in lists:
        twin = next(
            (
                other
                for other in joined
                if other.parent == found.parent
                and len(other.members) == len(found.members) > 1
                and (_BESIDE.search(found.name) or _BESIDE.search(other.name))
            ),
            None,
        )
        if twin is None:
            joined.append(found)
            continue
        for mine, other in zip(twin.members, found.members, strict=True):
            mine.extend(other)
        if _BESIDE.search(twin.name):  # the blocks lend their name, not what stands beside them
            twin.name = found.name
            for mine in twin.members:
                mine.insert(0, mine.pop())
    sizes = [sum(_numel(model, p) for m in found.members for p in m) for found in joined]
    least = max(_MINOR * sum(sizes), 1)
    return [found for found, size in zip(joined, sizes, strict=True) if size >= least]


def _placed(names: list[str], inside: str, lists: list[_List]) -> Ladder:
    """Give every parameter to a unit, or by its place around the lists to the stem or the head."""
    members = [member for found in lists for member in found.members]
    ends = [count - 1 for count in accumulate(len(found.members) for found in lists)]
    owner = {path: index for index, member in enumerate(members) for path in member}
    result = Ladder([], [Unit(member[0], []) for member in members], [])
    current = -1  # no unit yet
    for name in names:
        index = _index(owner, name)
        if index is not None:
            current = max(current, index)
            result.units[index].names.append(name)
        elif not name.startswith(inside) or _HEAD.match(name[len(inside) :].split(".")[0]):
            result.head.append(name)
        elif current < 0 and _LATE.search(name):
            result.units[ends[0]].names.append(name)
        elif current < 0 or (_EARLY.search(name) and _below(name, lists[0].parent)):
            result.stem.append(name)
        elif current in ends[1:] and _EARLY.search(name) and _below(name, lists[-1].parent):
            result.units[ends[-2] + 1].names.append(name)
        elif current in ends[:-1] and _below(name, lists[ends.index(current) + 1].parent):
            result.units[current + 1].names.append(name)  # as a decoder's own embedding
        elif (
            current < ends[-1] or inside or _below(name, lists[-1].parent) or _CLOSING.search(name)
        ):
            result.units[current].names.append(name)
        else:
            result.head.append(name)
    return result


def _index(owner: dict[str, int], name: str) -> int | None:
    return next((owner[path] for path in reversed(paths(name)) if path in owner), None)


def _below(name: str, parent: str) -> bool:
    return bool(parent) and name.startswith(f"{parent}.")


def expanded(model: nn.Module, unit: Unit) -> list[Unit]:
    """Return a stage as its blocks, and a block as itself."""
    above, _, own = unit.path.rpartition(".")
    if own in model.get_submodule(above)._parameters:
        return [unit]
    module = model.get_submodule(unit.path)
    if isinstance(module, nn.RNNBase):
        return [unit]
    lists = [
        found
        for found in _lists(module, unit.path)
        if (found.name in _PLURAL or f"{found.parent}.{found.name}".strip(".") == unit.path)
        and len({type(model.get_submodule(member[0])) for member in found.members}) == 1
    ]
    members = [member for found in lists for member in found.members]
    inside = sum(_numel(model, path) for member in members for path in member)
    if inside * 2 < _numel(model, unit.path):
        return [unit]
    owner = {path: index for index, member in enumerate(members) for path in member}
    parts = [Unit(member[0], []) for member in members]
    current = 0  # what stands before the blocks goes with the first, what is behind with the last
    for name in unit.names:
        index = _index(owner, name)
        current = current if index is None else index
        parts[current].names.append(name)
    return parts


def _side_by_side(
    model: nn.Module, towers: list[str], names: list[str], *, fine: bool
) -> Ladder | None:
    """Join towers that run beside one another (text and picture): depth by depth, one head."""
    ladders = []
    for tower in towers:
        if (found := ladder(model.get_submodule(tower), fine=fine)) is None:
            return None
        ladders.append((f"{tower}.", found))
    count = max(len(found.units) for _, found in ladders)
    result = Ladder([], [Unit(f"depth{i + 1}", []) for i in range(count)], [])
    for prefix, found in ladders:
        result.stem += [prefix + name for name in found.stem]
        for index, unit in enumerate(found.units):
            # The deepest blocks of all towers stand beside one another.
            place = count - 1 - (len(found.units) - 1 - index) * count // len(found.units)
            result.units[place].names += [prefix + name for name in unit.names]
        result.units[-1].names += [prefix + name for name in found.head]  # a pooling of its own
    held = {name for part in result.parts for name in part.names}
    result.head += [name for name in names if name not in held]
    return result
