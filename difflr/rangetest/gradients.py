"""Auto-RGN: learning rates from the gradients, without a search.

Source: Lee et al. 2023, "Surgical Fine-Tuning Improves Adaptation to Distribution Shifts" (arXiv
2210.11466), section 4: where the gradient is large beside the weights, the network has most to change.
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from difflr.errors import DifflrError, as_int, as_number, first_few, short_repr
from difflr.freezing import set_trainable
from difflr.models.modes import train_mode
from difflr.rangetest.finder import Loss, cross_entropy_of_pair
from difflr.rangetest.snapshot import untouched
from difflr.splits import Split, Splits

__all__ = ["SuggestedLRs", "suggest_lrs"]


@dataclass(frozen=True)
class SuggestedLRs:
    """One learning rate per split, shallow to deep, and what it was made from.

    Attributes:
        lrs: for ``Phase``, ``param_groups`` or ``expand_lrs``; 0 where the split has no gradient.
        relative_norms: ``‖gradient‖ / ‖weights‖`` of each split (L2), the mean over the batches.
        names: of the splits.
        batches: how many were measured.
    """

    lrs: tuple[float, ...]
    relative_norms: tuple[float, ...]
    names: tuple[str, ...]
    batches: int

    @property
    def frozen(self) -> tuple[int, ...]:
        """Indices of the splits without a gradient, for ``Phase(0, epochs, lrs, frozen=frozen)``."""
        return tuple(index for index, lr in enumerate(self.lrs) if lr == 0)

    def describe(self) -> str:
        """Return one line per split: its name, relative gradient norm and learning rate."""
        width = max(map(len, self.names))
        rows = zip(self.names, self.relative_norms, self.lrs, strict=True)
        return "\n".join(f"{n:{width}}  ‖g‖/‖w‖ {r:.3g}  LR {lr:.3g}" for n, r, lr in rows)


def suggest_lrs(
    splits: Splits,
    batches: Iterable[Any],
    lr: float,
    *,
    loss: Loss | None = None,
    n_batches: int = 5,
) -> SuggestedLRs:
    """Suggest a learning rate per split: ``lr`` times its relative gradient norm, the largest being 1.

    Measured in train mode, with all splits awake; no step is taken. Model (parameters, buffers, gradients,
    modes, what is frozen) and random state (Python, numpy, torch, the loader's own generators) are
    afterwards what they were, bit for bit. What the user froze stays frozen and counts in neither norm.

    The authors measure anew before each epoch, rate each tensor on its own and leave BatchNorm's weights
    alone; here a split is measured once and as a whole. A new, random head has a large gradient: measure
    after it was trained alone for an epoch, if it is not to take the largest rate for that reason.

    Args:
        splits: of the model.
        batches: a loader, or a list of batches.
        lr: the rate of the split with the largest relative gradient norm.
        loss: takes model and batch, returns a scalar; by default the cross-entropy of
            ``model(batch[0])`` against ``batch[1]``.
        n_batches: how many batches to measure at most (the authors: 5).

    Raises:
        DifflrError: for bad numbers, no batches, a loss that is no finite scalar of the parameters, a
            split whose weights are all 0, or gradients that are all 0 or not finite.
    """
    if not isinstance(splits, Splits):
        raise DifflrError(
            f"Received splits={short_repr(splits)}, expected the splits of a model.",
            "Pass split_model(model).",
        )
    lr = as_number("lr", lr, 0.0, above=True)
    n_batches = as_int("n_batches", n_batches, 1)
    step_loss = loss or cross_entropy_of_pair
    with untouched(splits.model, None, batches), torch.enable_grad():
        train_mode(splits.model, splits.learning())
        set_trainable(splits, range(len(splits)))
        sizes = [_norm(_learning(split)) for split in splits]
        if empty := [
            s.name for s, size in zip(splits, sizes, strict=True) if _learning(s) and size == 0
        ]:
            raise DifflrError(
                f"All weights of {first_few(empty)} are 0, beside which any gradient is infinite.",
                "Train it alone for an epoch first, or join it with another split.",
            )
        measured = [
            _ratios(splits, sizes, step_loss(splits.model, batch))
            for batch in itertools.islice(batches, n_batches)
        ]
    if not measured:
        raise DifflrError("There are no batches.", "Pass a loader or a list with at least one.")
    norms = [sum(column) / len(measured) for column in zip(*measured, strict=True)]
    if max(norms) == 0:
        raise DifflrError(
            "The gradients of all splits are 0.", "Check that the loss depends on the weights."
        )
    lrs = tuple(lr * (norm / max(norms)) for norm in norms)
    return SuggestedLRs(lrs, tuple(norms), splits.names, len(measured))


def _ratios(splits: Splits, sizes: list[float], value: Any) -> list[float]:
    """Return each split's ``‖gradient‖ / ‖weights‖`` for the loss of one batch."""
    if not isinstance(value, Tensor) or value.numel() != 1 or not value.requires_grad:
        raise DifflrError(
            "The loss is not one number that depends on parameters with a gradient.",
            "Return a mean or a sum with its graph; at least one parameter must not be frozen by you.",
        )
    if not torch.isfinite(value).all():
        raise DifflrError(
            "The loss of a batch is not a finite number.", "Check the data and the model first."
        )
    value.backward()
    ratios = []
    for split, size in zip(splits, sizes, strict=True):
        learning = _learning(split)
        norm = _norm([p.grad for p in learning if p.grad is not None])
        if not norm < float("inf"):
            raise DifflrError(
                f"The gradient of split {split.name} is not finite.",
                "Check the data and the model first.",
            )
        ratios.append(norm / size if learning else 0.0)
        for parameter in learning:
            parameter.grad = None
    return ratios


def _learning(split: Split) -> list[Tensor]:
    return [parameter for parameter in split.parameters.values() if parameter.requires_grad]


def _norm(tensors: list[Tensor]) -> float:
    """Return the L2 norm of all these numbers together, whatever their precision."""
    dense = (t.detach().coalesce().values() if t.is_sparse else t.detach() for t in tensors)
    norms = [
        torch.linalg.vector_norm(t, dtype=torch.promote_types(t.dtype, torch.float32)).cpu()
        for t in dense
    ]
    return float(torch.stack([norm.double() for norm in norms]).norm()) if norms else 0.0
