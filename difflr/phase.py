"""One phase of training, as plain data: what trains, for how long, how fast."""

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from difflr.errors import DifflrError, as_index, as_int, as_number, shown

__all__ = ["MAX_EPOCHS", "Phase"]

MAX_EPOCHS = 10**6  # beyond any training, and small enough for step counts to stay exact as floats


@dataclass(frozen=True)
class Phase:
    """A stretch of epochs with one cycle of the learning rate.

    Args:
        freeze_to: index of the first split that trains; 0 trains all, -1 the last split only.
        epochs: length of the phase, at least 1.
        lrs: maximum learning rate of each split, shallow to deep; 0 for a frozen split.
        pct_start: share of the phase's steps in which the LR rises, 0 to 1.
        div_factor: the phase starts at ``lr / div_factor``.
        final_div_factor: the phase ends at ``lr / div_factor / final_div_factor``.
        frozen: indices of further splits to hold frozen, for plans that train the *first* splits.

    Raises:
        DifflrError: for a value out of its range, or when nothing would train.

    >>> Phase(freeze_to=-1, epochs=1, lrs=[0, 0, 1e-3]).trainable
    (False, False, True)
    """

    freeze_to: int
    epochs: int
    lrs: Sequence[float]
    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4
    frozen: Sequence[int] = ()

    def __post_init__(self) -> None:
        lrs = tuple(as_number("lr", lr, 0.0) for lr in _items("lrs", self.lrs))
        if not lrs:
            raise DifflrError("Received no learning rates.", "Pass one per split.")
        frozen = {as_index("frozen", i, len(lrs)) % len(lrs) for i in _items("frozen", self.frozen)}
        normal = {
            "freeze_to": as_index("freeze_to", self.freeze_to, len(lrs)),
            "epochs": as_int("epochs", self.epochs, 1, MAX_EPOCHS),
            "lrs": lrs,
            "pct_start": as_number("pct_start", self.pct_start, 0.0, 1.0),
            "div_factor": as_number("div_factor", self.div_factor, 0.0, above=True),
            "final_div_factor": as_number(
                "final_div_factor", self.final_div_factor, 0.0, above=True
            ),
            "frozen": tuple(sorted(frozen)),
        }
        for name, value in normal.items():
            object.__setattr__(self, name, value)  # how a frozen dataclass sets its own fields
        low = max(lrs) / self.div_factor
        if not math.isfinite(low / self.final_div_factor):
            raise DifflrError(
                f"div_factor={self.div_factor:g} and final_div_factor={self.final_div_factor:g} make "
                f"a learning rate of {max(lrs):g} infinite.",
                "Pass larger factors, e.g. 25 and 1e4.",
            )
        if not any(self.trainable):
            raise DifflrError(
                f"freeze_to={self.freeze_to} with frozen={list(self.frozen)} leaves nothing to train.",
                "Leave at least one split trainable.",
            )

    @property
    def trainable(self) -> tuple[bool, ...]:
        """Whether each split trains in this phase, shallow to deep."""
        n = len(self.lrs)
        return tuple(i >= self.freeze_to % n and i not in self.frozen for i in range(n))

    @property
    def trained(self) -> tuple[int, ...]:
        """Indices of the splits that train in this phase."""
        return tuple(index for index, trains in enumerate(self.trainable) if trains)

    def check(self, n_splits: int, train_bn: bool = False) -> None:
        """Raise DifflrError unless there is one LR per split, above 0 exactly where it is used."""
        if len(self.lrs) != n_splits:
            raise DifflrError(
                f"Received {len(self.lrs)} learning rates, expected {n_splits}.",
                "Give every phase one learning rate per split.",
            )
        for split, (lr, trains) in enumerate(zip(self.lrs, self.trainable, strict=True)):
            if trains and lr == 0:
                raise DifflrError(
                    f"Split {split} is trainable (freeze_to={self.freeze_to}) but has a learning rate "
                    "of 0: it would pay for its gradients and not learn.",
                    "Freeze it (raise freeze_to) or give it a learning rate above 0.",
                )
            if not trains and lr and not train_bn:
                raise DifflrError(
                    f"Split {split} is frozen (freeze_to={self.freeze_to}) but has a learning rate of "
                    f"{lr:g}, which would never be used.",
                    "Set it to 0, or lower freeze_to so that the split trains.",
                )


def _items(name: str, value: Any) -> list[Any]:
    # Learning rates need an order, which a set has not.
    wrong = (str, bytes, Mapping, Set) if name == "lrs" else (str, bytes, Mapping)
    try:
        if isinstance(value, Iterable) and not isinstance(value, wrong):
            return list(value)
    except TypeError:  # an array without dimensions
        pass
    raise DifflrError(
        f"Received {name}={shown(value)}, expected a list with one entry per split.",
        f"Pass e.g. {name}=[0, 0, 1e-3]." if name == "lrs" else f"Pass e.g. {name}=(2, 3).",
    )
