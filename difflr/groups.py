"""Parameter groups: all parameters are in the optimizer from the first step, named by their splits."""

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
        lr: in any form that ``expand_lrs`` takes; a ``PlanScheduler`` overwrites it.
        weight_decay: for the weights: one number, or a list with one per split.
        momentum, betas: of SGD and Muon, and of the Adam family, likewise; None leaves the optimizer's own.
            A plan that cycles the momentum wants the same for all splits.
        decay_norm_bias: False (as in fastai and timm) gives biases, the scales of normalisation layers,
            other vectors and what ``without_decay`` names a group ``<split>/no_decay`` without decay.
        matrices: True gives the matrices that Muon is for, two-dimensional weights but for embeddings
            and the last split, a group ``<split>/matrices``; ``matrices`` in each group then says
            whether it is one of them (see ``JoinedOptimizer``).
        lora_plus: learning rate of LoRA's B matrices over that of their split, in a group
            ``<split>/lora_B``. LoRA+ (arXiv 2402.12354) recommends 16.

    Returns:
        Dictionaries with ``params``, ``name``, ``split`` (index), ``split_name``, ``lr`` and
        ``weight_decay``; ``lr_factor`` where the rate is not the split's.

    Raises:
        DifflrError: for numbers out of range, lists of a wrong length, or ``lora_plus`` without a B matrix.
    """
    n = len(splits)
    own = {"weight_decay": _each("weight_decay", weight_decay, n)}
    for option, value in (("momentum", momentum), ("betas", betas)):
        if value is not None:
            own[option] = _each(option, value, n)
    factor = as_number("lora_plus", lora_plus, 0.0, above=True)
    kinds: dict[int, str] = {}  # of what has a group of its own; the last one counts
    if matrices:
        head = map(id, splits[-1].parameters.values())
        kinds |= dict.fromkeys(apart.matrices(splits.model).difference(head), "/matrices")
    if factor != 1:
        kinds |= dict.fromkeys(apart.lora_b(splits.model), "/lora_B")
    if not decay_norm_bias:
        kinds |= dict.fromkeys(apart.spared(splits.model), "/no_decay")
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
                **{option: values[index] for option, values in own.items()},
            }
            if kind == "/no_decay":
                group["weight_decay"] = 0.0
            if matrices:
                group["matrices"] = kind == "/matrices"
            if kind == "/lora_B":
                group |= {"lr": rate * factor, "lr_factor": factor}
            groups.append(group)
    if factor != 1 and not any("lr_factor" in group for group in groups):
        raise DifflrError(
            f"Received lora_plus={factor:g}, but no split holds a parameter called lora_B.",
            "Wrap the model with PEFT's LoRA before it is split.",
        )
    return groups


def _each(name: str, value: Any, n: int) -> list[Any]:
    """One checked value per split; a tuple of two betas is one value."""
    values = as_plain(value)
    alone = not isinstance(values, Sequence) or isinstance(values, str)
    if not alone:
        values = [as_plain(entry) for entry in values]
        alone = name == "betas" and not any(isinstance(entry, Sequence) for entry in values)
    if alone:
        values = [values] * n
    if len(values) != n:
        raise DifflrError(
            f"Received {len(values)} values of {name}, expected {n}: one per split.",
            "Pass one for all splits, or one for each.",
        )
    return [_checked(name, entry) for entry in values]


def _checked(name: str, value: Any) -> float | tuple[float, ...]:
    if name == "weight_decay":
        return as_number(name, value, 0.0)
    if name == "momentum":
        return as_number(name, value, 0.0, 1.0, below=True)
    if not isinstance(value, Sequence) or len(value) != 2:
        raise DifflrError(
            f"Received betas={short_repr(value)}, expected two numbers.", "Pass e.g. (0.9, 0.999)."
        )
    return tuple(as_number(name, beta, 0.0, 1.0, below=True) for beta in value)
