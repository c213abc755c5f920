"""Parameter groups: every parameter is in the optimizer from the first step, named by its split."""

from collections.abc import Sequence
from typing import Any

from torch.nn import Parameter

from difflr.errors import DifflrError, as_number, as_plain, short_repr
from difflr.models import weight_decay as apart
from difflr.rates import LRs, expand_lrs
from difflr.splits import Splits

__all__ = ["param_groups"]


def param_groups(
    splits: Splits,
    lr: LRs = 0.0,
    *,
    weight_decay: float | Sequence[float] = 0.01,
    momentum: float | Sequence[float] | None = None,
    betas: tuple[float, float] | Sequence[tuple[float, float]] | None = None,
    decay_norm_bias: bool = False,
    matrices: bool = False,
    lora_plus: float = 1.0,
) -> list[dict[str, Any]]:
    """Return the groups for any torch optimizer: one or two per split, frozen splits included.

    Groups that are there from step 0 keep schedulers and checkpoints whole: a group that is added
    when a split is unfrozen breaks both.

    Args:
        splits: of the model.
        lr: one learning rate per split, in any form that ``expand_lrs`` takes. A ``PlanScheduler``
            overwrites it.
        weight_decay: for the weights: one number, or a list with one per split.
        momentum, betas: of SGD and Muon, and of the Adam family, likewise; None leaves the optimizer's own.
            A plan that cycles the momentum refuses different ones.
        decay_norm_bias: False (as in fastai and timm) gives biases, the scales of normalisation
            layers and other vectors a group of their own, ``<split>/no_decay``, without weight
            decay, and so what ``without_decay`` names. True puts all of a split into one group.
        matrices: True gives the matrices that Muon is for a group of their own, ``<split>/matrices``:
            two-dimensional weights of hidden layers, so neither embeddings nor the last split, the head.
            Each group then says in ``matrices`` whether it is one of them (see ``JoinedOptimizer``).
        lora_plus: the learning rate of LoRA's B matrices over that of their split, in a group of their own,
            ``<split>/lora_B``; LoRA+ (arXiv 2402.12354) recommends 16.

    Returns:
        Dictionaries with ``params``, ``name``, ``split`` (index), ``split_name``, ``lr`` and
        ``weight_decay``; ``lr_factor`` where the rate is not that of the split.

    Raises:
        DifflrError: for numbers out of range, lists of another length than ``splits``, or ``lora_plus``
            where no split holds a B matrix.
    """
    n = len(splits)
    decays = [as_number("weight_decay", x, 0.0) for x in _each("weight_decay", weight_decay, n)]
    factor = as_number("lora_plus", lora_plus, 0.0, above=True)
    own: dict[str, list[Any]] = {}
    if momentum is not None:
        found = _each("momentum", momentum, n)
        own["momentum"] = [as_number("momentum", x, 0.0, 1.0, below=True) for x in found]
    if betas is not None:
        own["betas"] = [_pair(pair) for pair in _each("betas", betas, n)]
    spared = set() if decay_norm_bias else apart.spared(splits.model)
    hidden = apart.matrices(splits.model) if matrices else set()
    hidden.difference_update(map(id, splits[-1].parameters.values()))
    groups = []
    for index, (split, rate) in enumerate(zip(splits, expand_lrs(lr, n), strict=True)):
        members: dict[str, list[Parameter]] = {"": [], "/matrices": [], "/lora_B": []}
        members["/no_decay"] = []
        for name, parameter in split.parameters.items():
            kind = ""
            if id(parameter) in spared:
                kind = "/no_decay"
            elif factor != 1 and "lora_B" in name.split("."):
                kind = "/lora_B"
            elif id(parameter) in hidden:
                kind = "/matrices"
            members[kind].append(parameter)
        for kind, params in members.items():
            if not params:
                continue
            group = {
                "params": params,
                "name": split.name + kind,
                "split": index,
                "split_name": split.name,
                "lr": rate,
                "weight_decay": 0.0 if kind == "/no_decay" else decays[index],
                **{key: values[index] for key, values in own.items()},
            }
            if matrices:
                group["matrices"] = kind == "/matrices"
            if kind == "/lora_B":
                group |= {"lr": rate * factor, "lr_factor": factor}
            groups.append(group)
    if factor != 1 and not any("lr_factor" in group for group in groups):
        raise DifflrError(
            f"Received lora_plus={factor:g}, but no split holds a parameter called lora_B.",
            "Wrap the model with PEFT's LoRA before it is split, or leave lora_plus out.",
        )
    return groups


def _each(name: str, value: Any, n: int) -> list[Any]:
    """One value per split; a tuple of two betas is one value."""
    value = as_plain(value)
    if not isinstance(value, Sequence) or isinstance(value, str):
        return [value] * n
    value = [as_plain(entry) for entry in value]
    if name == "betas" and not any(isinstance(entry, Sequence) for entry in value):
        return [value] * n
    if len(value) != n:
        raise DifflrError(
            f"Received {len(value)} values of {name}, expected {n}: one per split.",
            "Pass one for all splits, or a list with one for each.",
        )
    return value


def _pair(value: Any) -> tuple[float, float]:
    if not isinstance(value, Sequence) or len(value) != 2:
        raise DifflrError(
            f"Received betas={short_repr(value)}, expected two numbers.", "Pass e.g. (0.9, 0.999)."
        )
    first, second = (as_number("betas", beta, 0.0, 1.0, below=True) for beta in value)
    return first, second
