"""Freezing: which splits train, and what BatchNorm does in the others."""

from collections.abc import Collection, Iterator

from torch import nn

from difflr.errors import DifflrError, as_index, short_repr
from difflr.models import held
from difflr.models.running_stats import follows_data
from difflr.splits import Split, Splits

__all__ = ["bn_mode", "freeze_to", "set_trainable"]


def freeze_to(splits: Splits, n: int | str, *, train_bn: bool = False) -> None:
    """Train split ``n`` and all after it; freeze those before.

    Call it after ``model.train()``, which wakes frozen BatchNorm layers.

    Args:
        splits: of the model.
        n: index or name of the first split that trains: 0 trains all, -1 only the last.
        train_bn: whether BatchNorm in frozen splits trains all the same: weight, bias and running
            statistics (fastai's habit).

    Raises:
        DifflrError: for ``None``, an index out of range or an unknown name.
    """
    if isinstance(n, str):
        if n not in splits.names:
            raise DifflrError(
                f"Received freeze_to={short_repr(n)}, the splits are {', '.join(splits.names)}.",
                "Pass a name or a whole number.",
            )
        n = splits.names.index(n)
    first = as_index("freeze_to", n, len(splits)) % len(splits)
    set_trainable(splits, range(first, len(splits)), train_bn=train_bn)


def set_trainable(splits: Splits, trainable: Collection[int], *, train_bn: bool = False) -> None:
    """Train exactly the splits with the indices ``trainable`` (see ``freeze_to``).

    A frozen split gets no gradient and loses the one it had, so no optimizer touches it; BatchNorm and
    all that follows the data (see ``follows_data``) keep their statistics. Dropout goes on.
    What the user froze stays so (see ``difflr.models.held``), statistics included.
    """
    trainable = set(trainable)
    for index, split in enumerate(splits):
        trains = index in trainable
        norms = list(_norms(split))
        awake = {id(p) for norm in norms for p in norm.parameters()} if train_bn else set()
        for name, parameter in split.parameters.items():
            if trains or id(parameter) in awake:
                if not parameter.requires_grad:
                    held.wake(splits.model, name)
            elif parameter.requires_grad:
                held.freeze(splits.model, name)
            if not parameter.requires_grad:
                parameter.grad = None  # a stale gradient would let weight decay move it
        wanted = splits.model.training and (trains or train_bn)
        for norm in norms:
            mode = wanted and not held.all_frozen(norm)  # where its split trains, by the user
            if norm.training != mode:  # once a batch: most are right already
                norm.train(mode)


def bn_mode(split: Split) -> str:
    """Return what a split's BatchNorm does now: ``"train"``, ``"eval"``, ``"mixed"`` or ``"-"``."""
    modes = {norm.training for norm in _norms(split)}
    if not modes:
        return "-"
    return "mixed" if len(modes) > 1 else "train" if modes.pop() else "eval"


def _norms(split: Split) -> Iterator[nn.Module]:
    return (module for module in split.modules if follows_data(module))
