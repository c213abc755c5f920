"""Layers whose buffers move with the data that they see in train mode."""

from collections.abc import Callable, Iterable
from typing import Any, TypeGuard

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.spectral_norm import SpectralNorm

from difflr.errors import DifflrError
from difflr.models.modes import kept_modes

__all__ = ["follows_data", "is_batch_norm", "recalibrate"]


def follows_data(module: nn.Module) -> bool:
    """Whether the forward of a module in train mode moves its own buffers.

    Layers with running statistics do (BatchNorm, InstanceNorm where asked to, and others that name them
    ``running_…``), and spectral normalisation, whose estimate of the largest singular value goes on with
    every forward.
    """
    # Asked of every module before every batch: its own table, not a walk through named_buffers.
    if any(n.startswith("running_") and b is not None for n, b in module._buffers.items()):
        return True
    hooks = module._forward_pre_hooks.values()
    return isinstance(module, _SpectralNorm) or any(isinstance(h, SpectralNorm) for h in hooks)


def is_batch_norm(module: nn.Module) -> TypeGuard[_BatchNorm]:
    """Whether a module is a BatchNorm, of any dimension or of several devices; InstanceNorm is none."""
    return isinstance(module, _BatchNorm)


def recalibrate(
    model: nn.Module,
    batches: Iterable[Any],
    *,
    forward: Callable[[nn.Module, Any], Any] | None = None,
) -> int:
    """Estimate BatchNorm's running mean and variance anew: the plain average over ``batches``.

    For a network whose weights no longer fit its statistics: interpolated or averaged ones, old statistics
    under moved weights. Source: stochastic weight averaging (arXiv 1803.05407), section 3.2. As torch's
    ``update_bn``, each batch counts the same; but all other layers run as in eval mode (no dropout), no
    gradient is kept, each layer's mode and momentum are put back, and an error changes nothing. Frozen
    layers are estimated too; those that no batch reaches keep what they have.

    Args:
        model: in any mode.
        batches: on the model's device: tensors, or tuples or lists whose first entry is the input.
        forward: how to run the model on a batch of another form: takes both.

    Returns:
        How many layers were estimated; without any, no batch is taken.

    Raises:
        DifflrError: for no batches, none that reaches such a layer, or one that needs ``forward``.
    """
    layers = [m for m in model.modules() if is_batch_norm(m) and m.running_mean is not None]
    if not layers:
        return 0
    kept = [
        (layer.momentum, {name: buffer.clone() for name, buffer in layer.named_buffers()})
        for layer in layers
    ]
    run = 0
    try:
        with kept_modes(model), torch.no_grad():
            model.eval()
            for layer in layers:
                layer.training, layer.momentum = True, None  # None: the cumulative average
                layer.reset_running_stats()
            for batch in batches:
                (forward or _run)(model, batch)
        run = sum(bool(layer.num_batches_tracked) for layer in layers)
        if not run:
            raise DifflrError(
                "There are no batches, or they reach no BatchNorm layer.",
                "Pass a loader or a list with at least one, and forward= if the model needs it.",
            )
    finally:
        for layer, (momentum, buffers) in zip(layers, kept, strict=True):
            layer.momentum = momentum
            if not run or not layer.num_batches_tracked:
                for name, buffer in layer.named_buffers():
                    buffer.copy_(buffers[name])
    return run


def _run(model: nn.Module, batch: Any) -> None:
    inputs = batch[0] if isinstance(batch, tuple | list) and batch else batch
    if not isinstance(inputs, torch.Tensor):
        raise DifflrError(
            f"Received a batch of type {type(batch).__name__} without a tensor as its input.",
            "Say how to run it: forward=lambda model, batch: model(**batch).",
        )
    model(inputs)
