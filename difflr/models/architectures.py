"""Where to cut a model by itself: by timm's own matcher, by torchvision's names, by its lists of blocks.

Names and structure rather than classes: a network of one's own with ResNet's children is cut like a
ResNet, and neither torchvision nor timm nor transformers need be imported.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain

from torch import nn

from difflr.errors import DifflrError, first_few, short_repr
from difflr.models.blocks import Ladder, Unit, composite, expanded, has_parameters, ladder
from difflr.models.claims import paths
from difflr.models.heads import HEADS
from difflr.models.matchers import matched_layers
from difflr.written.cuts import LEVELS

__all__ = ["auto_patterns"]

Cuts = dict[str, list[str]]

_MOST = 6  # more stages than these are gathered into four
_NEARLY_ALL = 0.75  # of the parameter tensors in one split: no cut that grades anything
_TWO_NETWORKS = re.compile(r"teacher|student|generator|discriminator|critic|momentum|ema|target")


def auto_patterns(
    model: nn.Module,
    level: str = "stages",
    out: Collection[str] = (),
    held: Collection[str] = (),
) -> Cuts:
    """Return the splits of a model as patterns: split name to names of modules or parameters.

    Args:
        model: any module.
        level: ``"stages"``, of which there are a handful (a network of like blocks has four equal
            groups of them), or ``"blocks"``, one split each.
        out: names of parameters that are in no split. A child that has no others is no part of the model.
        held: of those that need none, as the user froze them. A child that has no others is no part of it
            either (a teacher), unless what remains is a head: then it is the backbone. With PEFT's adapters
            what holds none is left out.

    Raises:
        DifflrError: for a model that neither has timm's ``group_matcher`` nor the children of a
            known family nor a list of blocks, where one split would hold nearly everything, or whose
            layers are quantised.
    """
    if level not in LEVELS:
        raise DifflrError(
            f"Received {short_repr(level)}, expected {' or '.join(map(repr, LEVELS))}, or a cut.",
            "Pass None for stages, 'blocks' for one split per block, or the splits yourself.",
        )
    inside = []
    for inner, prefix in _networks(model, frozenset(out), frozenset(held)):
        inside.append((inner, prefix))
        spare = {*out, *held} if held and _adapted(inner) else set(out)
        for reader in (_by_matcher, _by_family, _by_lists):
            found = reader(inner, level == "blocks")
            if found is None or not _grades(found):
                continue
            _refuse_quantized(inner)
            names, cuts = _short_names(found.parts), _patterns([u.names for u in found.parts])
            return {
                name: [prefix + pattern for pattern in cut]
                for name, cut, unit in zip(names, cuts, found.parts, strict=True)
                if not spare.issuperset(prefix + own for own in unit.names)
            }
    raise _unknown(model, *next((one for one in inside if composite(one[0])), inside[-1]))


def _refuse_quantized(model: nn.Module) -> None:
    """Layers of whole numbers hold no parameters: splits would grade the little that is left."""
    found = [n for n, m in model.named_modules() if ".nn.quantized." in type(m).__module__]
    if found:
        raise DifflrError(
            f"Layers hold quantised weights, which no optimizer trains: {first_few(found)}.",
            "Fine-tune the model in floating point and quantise it afterwards, or pass the splits of what "
            "is left.",
        )


def _networks(
    model: nn.Module, out: frozenset[str], held: frozenset[str]
) -> Iterator[tuple[nn.Module, str]]:
    """Yield what may be the network to cut, with its prefix: without what needs no split, or with it."""
    for skip in (out | held, out):
        inner, prefix = _unwrapped(model, skip)
        if prefix.rstrip(".").rpartition(".")[2] not in HEADS:
            yield inner, prefix
    yield _unwrapped(model, frozenset())


def _unwrapped(model: nn.Module, skip: frozenset[str], prefix: str = "") -> tuple[nn.Module, str]:
    """Go into wrappers around one model: LightningModules, torch.compile, PEFT, DataParallel."""
    if callable(getattr(type(model), "group_matcher", None)):
        return model, prefix
    own = dict(model.named_children())
    kept = [
        name
        for name, child in own.items()
        if any(f"{prefix}{name}.{p}" not in skip for p, _ in child.named_parameters())
    ]
    # Where the user froze all of it, the plan will say so.
    kept = kept or [name for name, child in own.items() if has_parameters(child)]
    if len(kept) == 1 and not any(True for _ in model.parameters(recurse=False)):
        return _unwrapped(own[kept[0]], skip, f"{prefix}{kept[0]}.")
    return model, prefix


def _adapted(model: nn.Module) -> bool:
    """Whether PEFT put adapters into the model, so that what it froze is meant to stay so."""
    return any(
        "lora_" in name or ".modules_to_save." in name for name, _ in model.named_parameters()
    )


def _by_matcher(model: nn.Module, fine: bool) -> Ladder | None:
    """timm's groups: as they are, or its stages, gathered where they are many."""
    if not fine:
        try:
            stages = _layers(model, coarse=True)
        except (AssertionError, NotImplementedError):  # a model with fine groups only
            stages = None
        if stages and _grades(stages := _gathered(stages)):
            return stages
    blocks = _layers(model, coarse=False)
    return blocks if fine or blocks is None else _gathered(blocks)


def _layers(model: nn.Module, *, coarse: bool) -> Ladder | None:
    layers = matched_layers(model, coarse=coarse)
    if layers is None or len(layers) < 3:
        return None
    head = layers.pop() if _classifier_names(model) & set(layers[-1]) else []
    stem = layers.pop(0)
    units = [
        # A number tells a block from what came into its group beside it.
        Unit(next((path for path in found if re.search(r"\d", path)), found[0]), layer)
        for found, layer in zip(_patterns([stem, *layers, head])[1:-1], layers, strict=True)
    ]
    return Ladder(stem, units, head)


def _classifier_names(model: nn.Module) -> set[str]:
    """The names of the parameters of a timm model's classifiers."""
    getter = getattr(model, "get_classifier", None)
    found = getter() if callable(getter) else None
    heads = found if isinstance(found, Iterable) and not isinstance(found, nn.Module) else [found]
    ids = {id(p) for head in heads if isinstance(head, nn.Module) for p in head.parameters()}
    return {name for name, parameter in model.named_parameters() if id(parameter) in ids}


def _by_lists(model: nn.Module, fine: bool) -> Ladder | None:
    """By the lists of blocks that the model holds, in the order of their registration."""
    learning = [n for n, child in model.named_children() if has_parameters(child)]
    if len(learning) > 1 and any(map(_TWO_NETWORKS.search, learning)):
        return None
    found = ladder(model, fine=fine)
    if found is None:
        return None
    tables = {id(p) for m in model.modules() if isinstance(m, nn.Embedding) for p in m.parameters()}
    sizes = {n: 0 if id(p) in tables else p.numel() for n, p in model.named_parameters()}
    body = sum(sizes[name] for unit in found.units for name in unit.names)
    if sum(sizes[name] for name in found.stem) > body:
        return None  # the lists are not what the network is made of
    return found if fine else _gathered(found)


def _by_family(model: nn.Module, fine: bool) -> Ladder | None:
    """By the names of the children of torchvision's families."""
    for known in (_resnet, _features):
        if cuts := known(dict(model.named_children())):
            stem, head = (_under(model, cuts.pop(end, [])) for end in ("stem", "head"))
            units = [Unit(stage, _under(model, paths)) for stage, paths in cuts.items()]
            return Ladder(stem, _into_blocks(model, cuts) if fine else units, head)
    return None


def _into_blocks(model: nn.Module, stages: Cuts) -> list[Unit]:
    """The stages of a family as blocks; a norm goes with the layer before it."""
    blocks: list[Unit] = []
    for path in chain.from_iterable(stages.values()):
        names, module = _under(model, [path]), model.get_submodule(path)
        alone = not any(True for _ in module.children())
        norm = alone and "norm" in type(module).__name__.lower()
        if norm and blocks:
            blocks[-1].names.extend(names)
        elif names:
            blocks.extend(expanded(model, Unit(path, names)))
    return blocks


def _under(model: nn.Module, paths: Sequence[str]) -> list[str]:
    return [
        name
        for name, _ in model.named_parameters()
        if any(name == path or name.startswith(f"{path}.") for path in paths)
    ]


def _gathered(found: Ladder) -> Ladder:
    """Many units between the stem and the head in four equal groups."""
    count = len(found.units)
    if count <= _MOST:
        return found
    groups = []
    for i in range(4):
        quarter = found.units[i * count // 4 : (i + 1) * count // 4]
        groups.append(Unit(f"blocks{i + 1}", [name for unit in quarter for name in unit.names]))
    return Ladder(found.stem, groups, found.head)


def _grades(found: Ladder) -> bool:
    """Whether the cut spreads the model over its splits, rather than one holding nearly all."""
    tensors = [len(unit.names) for unit in found.parts]
    return len(tensors) > 1 and (sum(tensors) <= 8 or max(tensors) <= _NEARLY_ALL * sum(tensors))


def _short_names(units: list[Unit]) -> list[str]:
    """The paths of the units without what all have in common, a number never alone."""
    paths = [u.path.replace(".weight_ih_l", "_l").split(".") for u in units]  # an LSTM's layer
    long = [path for path in paths if len(path) > 1]
    shared = 0
    while long and all(len(p) > shared + 1 and p[shared] == long[0][shared] for p in long):
        shared += 1
    while shared and any(path[shared].isdigit() for path in long):
        shared -= 1
    return [".".join(path[shared:] if len(path) > 1 else path) for path in paths]


def _patterns(parts: Sequence[Sequence[str]]) -> list[list[str]]:
    """Each part's parameters as the shallowest modules that lie wholly in it."""
    owners: dict[str, set[int]] = {}
    for index, names in enumerate(parts):
        for name in names:
            for path in paths(name):
                owners.setdefault(path, set()).add(index)
    return [
        list(dict.fromkeys(next(p for p in paths(n) if len(owners[p]) == 1) for n in names))
        for names in parts
    ]


def _unknown(model: nn.Module, inner: nn.Module, prefix: str) -> DifflrError:
    """The refusal: the model's own blocks, and a line to paste and change."""
    blocks = [
        (f"{prefix}{name}", sum(p.numel() for p in child.parameters()))
        for name, child in inner.named_children()
        if has_parameters(child)
    ]
    blocks += [(prefix + name, p.numel()) for name, p in inner.named_parameters(recurse=False)]
    shown = [f"{name} ({numel:,})" for name, numel in blocks]
    names = [name for name, _ in blocks]
    body = names[1:-1] or names[:1]
    stem = {"stem": names[:1]} if len(names) > 2 else {}
    cut = {**stem, "body": body, "head": names[-1:]}
    return DifflrError(
        f"{type(model).__name__} is no family that difflr knows how to cut. Its blocks (parameters) are, "
        f"as registered: {first_few(shown, 12)}.",
        f"Pass the splits yourself, shallow to deep, e.g. split_model(model, {short_repr(cut, 400)})",
    )


def _resnet(children: dict[str, nn.Module]) -> Cuts | None:
    """ResNet, ResNeXt, Wide ResNet (stem, four layers, head: six splits)."""
    layers = [f"layer{i}" for i in range(1, 5)]
    if not {"conv1", *layers, "fc"} <= set(children):
        return None
    stem = [name for name in children if name not in (*layers, "fc")]
    return {"stem": stem, **{layer: [layer] for layer in layers}, "head": ["fc"]}


def _features(children: dict[str, nn.Module]) -> Cuts | None:
    """MobileNet, EfficientNet, ConvNeXt, VGG, DenseNet, Swin, MNASNet: a new split wherever
    the picture shrinks.

    The head is the whole ``classifier`` (Swin: ``head``), as it is what fine-tuning replaces.
    """
    head = next((name for name in ("classifier", "head") if name in children), None)
    body = next((name for name in ("features", "layers") if name in children), None)
    if head is None or body is None or not isinstance(children[body], nn.Sequential):
        return None
    if not has_parameters(children[body]):
        return None
    stages: list[list[str]] = [[]]
    filled = False  # whether the last stage has parameters
    for name, block in children[body].named_children():
        if filled and _shrinks(block):
            stages.append([])
            filled = False
        stages[-1].append(f"{body}.{name}")
        filled = filled or has_parameters(block)
    if not filled:  # VGG ends in a pooling layer
        stages[-2].extend(stages.pop())
    place = list(children).index(body)
    stages[0][:0] = [name for name in list(children)[:place] if name != head]
    stages[-1].extend(name for name in list(children)[place + 1 :] if name != head)
    return {**{f"stage{i}": stage for i, stage in enumerate(stages, 1)}, "head": [head]}


def _shrinks(block: nn.Module) -> bool:
    """Whether a block halves the picture: a stride above 1, or Swin's merging of patches."""
    for module in block.modules():
        stride = getattr(module, "stride", 1)
        strides = stride if isinstance(stride, tuple) else (stride,)
        if any(isinstance(one, int) and one > 1 for one in strides):
            return True
    return type(block).__name__.startswith("PatchMerging")
