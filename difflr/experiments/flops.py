"""What a training step costs: floating-point operations per split, counted and not timed."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from difflr.errors import DifflrError
from difflr.splits import Splits

__all__ = ["Costs", "costs_or_why", "count_costs"]


@dataclass(frozen=True)
class Costs:
    """Floating-point operations for one picture, per split.

    ``forward`` is the split's forward pass, ``first`` the part of it in the split's first layer. One
    beside it (the shortcut of a ResNet's block) is counted as if it stood after it.
    A layer's gradients cost as much again for its weights, if they train, and as much again for
    its inputs, if anything before it trains.
    """

    forward: tuple[int, ...]
    first: tuple[int, ...]

    def backward(self, trainable: Collection[int]) -> tuple[int, ...]:
        """Return the operations of the backward pass in each split when these splits train."""
        start = min(trainable, default=len(self.forward))
        costs = []
        for i, (forward, first) in enumerate(zip(self.forward, self.first, strict=True)):
            weights = forward if i in trainable else 0
            # Nothing asks for the gradient of what goes into the first layer that trains.
            inputs = forward - first if i == start else forward if i > start else 0
            costs.append(weights + inputs)
        return tuple(costs)

    def step(self, trainable: Collection[int]) -> int:
        """Return the operations of one step, forward and backward, that trains these splits."""
        return sum(self.forward) + sum(self.backward(trainable))

    def share(self, trainable: Collection[int]) -> float:
        """Return the cost of such a step as a share of the step that trains all splits."""
        return self.step(trainable) / self.step(range(len(self.forward)))


def count_costs(
    splits: Splits, input_shape: Sequence[int] = (3, 224, 224), dtype: torch.dtype = torch.float32
) -> Costs:
    """Count the forward pass with torch's FLOP counter, on tensors without data.

    Nothing is computed and the model does not change. Matrix products, convolutions and attention
    are counted; normalisation, activations and the optimizer are not. The backward pass follows
    from the forward pass: torch's counter takes grouped convolutions for full ones in it.

    Args:
        splits: of the model.
        input_shape: of one picture, without the batch.
        dtype: of the input; ``torch.int64`` for tokens.

    Raises:
        DifflrError: when the model does not take one tensor of this shape.
    """
    model = splits.model
    batch = 2  # BatchNorm in train mode refuses a single value per channel
    tensors = {
        name: torch.empty_like(tensor, device="meta")
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]
    }
    x = torch.empty((batch, *input_shape), dtype=dtype, device="meta")
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            functional_call(model, tensors, (x,))
    except Exception as error:  # whatever a stranger's model raises for an input it cannot take
        raise DifflrError(
            f"The model does not take one tensor of shape {tuple(input_shape)}: {error}",
            "Pass input_shape=(channels, height, width) as the model expects it.",
        ) from error
    # Keys are "ResNet.layer1.0.conv1": the class of the root, then the module's name.
    counted = {
        key.partition(".")[2]: sum(operations.values()) // batch
        for key, operations in counter.get_flop_counts().items()
        if key != "Global"
    }
    modules = dict(model.named_modules())
    owner = {id(module): i for i, split in enumerate(splits) for module in split.modules}
    forward, first = [0] * len(splits), [0] * len(splits)
    for name, total in counted.items():
        own, split = total - _inside(name, modules[name], counted), owner[id(modules[name])]
        if own and not forward[split]:
            first[split] = own
        forward[split] += own
    return Costs(tuple(forward), tuple(first))


def costs_or_why(splits: Splits, input_shape: Sequence[int] | None) -> tuple[Costs | None, str]:
    """Return the costs where they can be counted, else why not; no shape asks for none."""
    if input_shape is None:
        return None, ""
    try:
        return count_costs(splits, input_shape), ""
    except DifflrError as error:
        return None, f"No costs: {error}"


def _inside(name: str, module: nn.Module, counted: Mapping[str, int]) -> int:
    """Return what was counted in a module's children; a list is never called, but what it holds is."""
    found = 0
    for child, below in module.named_children():
        path = f"{name}.{child}" if name else child
        found += counted[path] if path in counted else _inside(path, below, counted)
    return found
