"""How far an optimizer step moves each split, against the size of its weights."""

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from difflr.lightning.package import pl
from difflr.splits import Splits

__all__ = ["Movement"]


class Movement:
    """The update-to-weight ratio of one optimizer step, split by split.

    Call ``before`` right before a step and ``after`` right behind it.
    """

    def __init__(self, module: pl.LightningModule) -> None:
        splits = getattr(module, "splits", None)
        self._weights: Mapping[str, Sequence[nn.Parameter]] = {
            "all weights": [*module.parameters()]
        }
        if isinstance(splits, Splits):
            self._weights = {split.name: [*split.parameters.values()] for split in splits}
        self._old: list[list[tuple[nn.Parameter, torch.Tensor]]] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the splits; one name for all weights where the module has no splits."""
        return tuple(self._weights)

    def before(self) -> None:
        """Keep the weights that train, unless they are kept already."""
        if self._old is None:
            self._old = [
                [(weight, weight.detach().clone()) for weight in weights if weight.requires_grad]
                for weights in self._weights.values()
            ]

    def after(self) -> tuple[float, ...] | None:
        """Return ‖w_new − w_old‖ / ‖w_old‖ of each split, NaN where it is frozen; None without a step."""
        kept, self._old = self._old, None
        return None if kept is None else tuple(_ratio(pairs) for pairs in kept)


def _ratio(pairs: Sequence[tuple[nn.Parameter, torch.Tensor]]) -> float:
    if not pairs:
        return float("nan")
    moved = sum(float((new.detach() - old).square().sum()) for new, old in pairs)
    size = sum(float(old.square().sum()) for _, old in pairs)
    return float((moved / size) ** 0.5) if size else float("nan")
