"""Layers whose buffers move with the data that they see in train mode."""

from torch import nn
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.spectral_norm import SpectralNorm

__all__ = ["follows_data"]


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
