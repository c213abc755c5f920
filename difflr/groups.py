"""Parameter groups: every parameter is in the optimizer from the first step, named by its split."""

from collections.abc import Sequence
from typing import Any

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
    """Return the groups for any torch optimizer, one or more per split.

    Frozen splits are included: adding a group later breaks schedulers and checkpoints.

    Args:
        splits: of the model.
        lr: one per split, in any form that ``expand_lrs`` takes; a ``PlanScheduler`` overwrites it.
        weight_decay: for the weights: one number, or a list with one per split.
        momentum, betas: of SGD and Muon, and of the Adam family, likewise; None leaves the optimizer's own.
            A plan that cycles the momentum wants the same for all splits.
        decay_norm_bias: False (as in fastai and timm) gives biases, the scales of normalisation layers,
            other vectors and what ``without_decay`` names a group ``<split>/no_decay`` without decay.
        matrices: True gives the matrices that Muon is for, two-dimensional weights but for embeddings
            and the last split, a group ``<split>/matrices``. Each group then says in ``matrices``
            whether it is one of them (see ``JoinedOptimizer``).
        lora_plus: the learning rate of LoRA's B matrices over that of their split, in a group
            ``<split>/lora_B``. LoRA+ (arXiv 2402.12354) recommends 16.

    Returns:
        Dictionaries with ``params``, ``name``, ``split`` (index), ``split_name``, ``lr`` and
        ``weight_decay``; ``lr_factor`` where the rate is not that of the split.

    Raises:
        DifflrError: for numbers out of range, lists of a wrong length, or ``lora_plus`` without a B matrix.
    """
    n = len(splits)
    decays = [as_number("weight_decay", x, 0.0) for x in _each("weight_decay", weight_decay, n)]
    factor = as_number("lora_plus", lora_plus, 0.0, above=True)
    own: dict[str, list[Any]] = {}
    if momentum is not None:
        own["momentum"] = [_share("momentum", x) for x in _each("momentum", momentum, n)]
    if betas is not None:
        own["betas"] = [_pair(pair) for pair in _each("betas", betas, n)]
    kinds: dict[int, str] = {}  # of what has a group of its own; the last one counts
    if matrices:
        head = map(id, splits[-1].parameters.values())
        kinds |= dict.fromkeys(apart.matrices(splits.model).difference(head), "/matrices")
    if factor != 1:
        named = [item for split in splits for item in split.parameters.items()]
        kinds |= {id(p): "/lora_B" for name, p in named if "lora_B" in name.split(".")}
    if not decay_norm_bias:
        kinds |= dict.fromkeys(apart.spared(splits.model), "/no_decay")
    if factor != 1 and "/lora_B" not in kinds.values():
        raise DifflrError(
            f"Received lora_plus={factor:g}, but no split holds a parameter called lora_B.",
            "Wrap the model with PEFT's LoRA before it is split.",
        )
    groups = []
    for index, (split, rate) in enumerate(zip(splits, expand_lrs(lr, n), strict=True)):
        for kind in ("", "/matrices", "/lora_B", "/no_decay"):
            params = [p for p in split.parameters.values() if kinds.get(id(p), "") == kind]
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
            "Pass one for all splits, or one for each.",
        )
    return value


def _pair(value: Any) -> tuple[float, float]:
    if not isinstance(value, Sequence) or len(value) != 2:
        raise DifflrError(
            f"Received betas={short_repr(value)}, expected two numbers.", "Pass e.g. (0.9, 0.999)."
        )
    return _share("betas", value[0]), _share("betas", value[1])


def _share(name: str, value: Any) -> float:
    return as_number(name, value, 0.0, 1.0, below=True)
