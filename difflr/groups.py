"""Parameter groups: every parameter is in the optimizer from the first step, named by its split."""

from typing import Any

from torch import nn
from torch.nn import Parameter
from torch.nn.modules.batchnorm import _NormBase

from difflr.errors import as_number
from difflr.models.weight_decay import without_decay
from difflr.rates import LRs, expand_lrs
from difflr.splits import Splits

__all__ = ["param_groups"]

_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


def param_groups(
    splits: Splits, lr: LRs = 0.0, *, weight_decay: float = 0.01, decay_norm_bias: bool = False
) -> list[dict[str, Any]]:
    """Return the groups for any torch optimizer: one or two per split, frozen splits included.

    Groups that are there from step 0 keep schedulers and checkpoints whole: a group that is added
    when a split is unfrozen breaks both.

    Args:
        splits: of the model.
        lr: one learning rate per split, in any form that ``expand_lrs`` takes. A ``PlanScheduler``
            overwrites it.
        weight_decay: for the weights.
        decay_norm_bias: False (as in fastai and timm) gives biases, the scales of normalisation
            layers and other vectors a group of their own, ``<split>/no_decay``, without weight
            decay, and so what ``without_decay`` names. True puts all of a split into one group.

    Returns:
        Dictionaries with ``params``, ``name``, ``split`` (index), ``split_name``, ``lr`` and
        ``weight_decay``.
    """
    decay = as_number("weight_decay", weight_decay, 0.0)
    tokens = without_decay(splits.model)
    groups = []
    for index, (split, rate) in enumerate(zip(splits, expand_lrs(lr, len(splits)), strict=True)):
        # By class too: a LayerNorm over several dimensions has a weight of as many.
        norms = {id(p) for m in split.modules if isinstance(m, _NORMS) for p in m.parameters(False)}
        decayed: list[Parameter] = []
        exempt: list[Parameter] = []
        for name, parameter in split.parameters.items():
            small = parameter.ndim <= 1 or name.endswith("bias") or id(parameter) in norms
            small = small or name in tokens
            spare = small and not decay_norm_bias
            (exempt if spare else decayed).append(parameter)
        for suffix, members, wd in (("", decayed, decay), ("/no_decay", exempt, 0.0)):
            if members:
                groups.append(
                    {
                        "params": members,
                        "name": split.name + suffix,
                        "split": index,
                        "split_name": split.name,
                        "lr": rate,
                        "weight_decay": wd,
                    }
                )
    return groups
