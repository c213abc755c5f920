"""Where to cut the model families of torchvision, read off the names of their children.

Names rather than classes: a network of one's own with ResNet's children is cut like a ResNet, and
torchvision need not be imported.
"""

from collections.abc import Collection

from torch import nn

from difflr.errors import DifflrError, first_few

__all__ = ["auto_patterns"]

Cuts = dict[str, list[str]]


def auto_patterns(model: nn.Module, skip: Collection[str] = ()) -> Cuts:
    """Return the splits of a known model as patterns: split name to names of children.

    ``skip`` names parameters that need no split: a child that has no others is no part of the model.

    Raises:
        DifflrError: for a model whose children are not those of a known family.
    """
    children = dict(model.named_children())
    for known in (_resnet, _transformer, _regnet, _features):
        if cuts := known(model, children):
            return cuts
    named = {n: [name for name, _ in child.named_parameters()] for n, child in children.items()}
    with_parameters = [n for n, own in named.items() if any(f"{n}.{p}" not in skip for p in own)]
    if not with_parameters:  # the user froze all of it: the plan will say so
        with_parameters = [n for n, own in named.items() if own]
    if len(with_parameters) == 1 and len(list(model.parameters(recurse=False))) == 0:
        (inner,) = with_parameters  # a wrapper such as a LightningModule around one model
        own = [name.removeprefix(f"{inner}.") for name in skip if name.startswith(f"{inner}.")]
        nested = auto_patterns(children[inner], own)
        return {split: [f"{inner}.{name}" for name in names] for split, names in nested.items()}
    raise DifflrError(
        f"{type(model).__name__} with the children {first_few(list(children), 12)} is no family that difflr "
        "knows how to cut.",
        "Pass the splits yourself: {'stem': ['conv1', 'bn1'], 'body': 'layer*', 'head': 'fc'} or a "
        "list of modules.",
    )


def _resnet(model: nn.Module, children: dict[str, nn.Module]) -> Cuts | None:
    """ResNet, ResNeXt, Wide ResNet (stem, four layers, head: six splits)."""
    layers = [f"layer{i}" for i in range(1, 5)]
    if not {"conv1", *layers, "fc"} <= set(children):
        return None
    stem = [name for name in children if name not in (*layers, "fc")]
    return {"stem": stem, **{layer: [layer] for layer in layers}, "head": ["fc"]}


def _transformer(model: nn.Module, children: dict[str, nn.Module]) -> Cuts | None:
    """ViT: the embedding, the encoder's layers in four equal groups, the head."""
    if not {"conv_proj", "encoder", "heads"} <= set(children):
        return None
    if not any(True for _ in getattr(children["encoder"], "layers", nn.Module()).children()):
        return None
    layers = [f"encoder.layers.{n}" for n, _ in children["encoder"].layers.named_children()]  # type: ignore[union-attr]
    quarters = [layers[i * len(layers) // 4 : (i + 1) * len(layers) // 4] for i in range(4)]
    blocks = {f"blocks{i}": quarter for i, quarter in enumerate(quarters, 1) if quarter}
    list(blocks.values())[-1].append("encoder.ln")
    return {
        "stem": ["class_token", "conv_proj", "encoder.pos_embedding"],
        **blocks,
        "head": ["heads"],
    }


def _regnet(model: nn.Module, children: dict[str, nn.Module]) -> Cuts | None:
    """RegNet: stem, the blocks of the trunk, head."""
    if not {"stem", "trunk_output", "fc"} <= set(children):
        return None
    blocks = {n: [f"trunk_output.{n}"] for n, _ in children["trunk_output"].named_children()}
    return {"stem": ["stem"], **blocks, "head": ["fc"]}


def _features(model: nn.Module, children: dict[str, nn.Module]) -> Cuts | None:
    """MobileNet, EfficientNet, ConvNeXt, VGG, DenseNet, Swin, MNASNet: a new split wherever
    the picture shrinks.

    The head is the whole ``classifier`` (Swin: ``head``), as it is what fine-tuning replaces.
    """
    head = next((name for name in ("classifier", "head") if name in children), None)
    body = next((name for name in ("features", "layers") if name in children), None)
    if head is None or body is None or not isinstance(children[body], nn.Sequential):
        return None
    stages: list[list[str]] = [[]]
    for name, block in children[body].named_children():
        if stages[-1] and _shrinks(block) and _learns(model, stages[-1]):
            stages.append([])
        stages[-1].append(f"{body}.{name}")
    if not any(_learns(model, stage) for stage in stages):
        return None
    if not _learns(model, stages[-1]):  # VGG ends in a pooling layer
        stages[-2].extend(stages.pop())
    stages[-1].extend(name for name in children if name not in (body, head))
    return {**{f"stage{i}": stage for i, stage in enumerate(stages, 1)}, "head": [head]}


def _shrinks(block: nn.Module) -> bool:
    """Whether a block halves the picture: a stride above 1, or Swin's merging of patches."""
    for module in block.modules():
        stride = getattr(module, "stride", 1)
        if max(stride) > 1 if isinstance(stride, tuple) else isinstance(stride, int) and stride > 1:
            return True
    return type(block).__name__.startswith("PatchMerging")


def _learns(model: nn.Module, names: list[str]) -> bool:
    return any(True for name in names for _ in model.get_submodule(name).parameters())
