"""Parameter groups: all parameters are in the optimizer from the first step, named by their splits."""

from collections.abc import Sequence
from typing import Any

from difflr.errors import DifflrError, as_number, as_plain, short_repr
from difflr.models import weight_decay as apart
from difflr.rates import LRs, expand_lrs, per_split
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
    own: dict[str, list[Any]] = {"weight_decay": per_split("weight_decay", weight_decay, n)}
    if momentum is not None:
        own["momentum"] = per_split("momentum", momentum, n, 1.0)
    if betas is not None:
        own["betas"] = _pairs(betas, n)
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


def _pairs(betas: Any, n: int) -> list[Any]:
    """One pair per split, of one for all or of a list."""
    betas = as_plain(betas)
    pairs = [as_plain(entry) for entry in betas] if isinstance(betas, Sequence) else [betas]
    if not any(isinstance(entry, Sequence) for entry in pairs):
        pairs = [pairs] * n
    if len(pairs) != n or not all(isinstance(p, Sequence) and len(p) == 2 for p in pairs):
        raise DifflrError(
            f"Received betas={short_repr(betas)}, expected two numbers, or two for each of {n} splits.",
            "Pass e.g. (0.9, 0.999).",
        )
    return [tuple(per_split("betas", pair, 2, 1.0)) for pair in pairs]
