"""A plan: phases in order, as plain data that knows no torch.

``Plan.lrs(step, steps_per_epoch)`` is the only place where a learning rate is computed. The preview
draws it, the scheduler writes it into the optimizer, the tests compare it with torch's OneCycleLR.
"""

import hashlib
import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence, Sized
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from itertools import accumulate
from typing import Any, NamedTuple

from difflr.errors import DifflrError, as_int, as_number, shown
from difflr.onecycle import Anneal, anneal, position
from difflr.phase import Phase

__all__ = ["Plan", "Point"]

MAX_STEPS = 10**9  # per epoch; step counts stay exact as floats


class Point(NamedTuple):
    """One training step of a plan: which phase, one LR per split, and the momentum."""

    phase: int
    lrs: tuple[float, ...]
    momentum: float


@dataclass(frozen=True)
class Plan:
    """Phases in order, for a fixed number of splits.

    Args:
        phases: the phases, first to last; all with one LR per split.
        anneal: ``"cos"`` or ``"linear"``, as OneCycleLR's ``anneal_strategy``.
        base_momentum, max_momentum: momentum (SGD) or beta1 (Adam) at the LR's peak and at its ends.
        cycle_momentum: False leaves the optimizer's momentum alone.
        train_bn: True trains BatchNorm inside frozen splits too, at the LR given for the frozen
            split, and updates its statistics (fastai's habit). False keeps it as it was.

    Raises:
        DifflrError: for phases that disagree on the number of splits, an LR above 0 on a frozen
            split (unless ``train_bn``) or an LR of 0 on a trainable one.

    >>> plan = Plan([Phase(-1, 1, [0, 1e-3]), Phase(0, 2, [1e-5, 1e-3])])
    >>> plan.epochs, plan.n_splits, plan.phase_at(1).freeze_to
    (3, 2, 0)
    """

    phases: Sequence[Phase]
    anneal: Anneal = "cos"
    base_momentum: float = 0.85
    max_momentum: float = 0.95
    cycle_momentum: bool = True
    train_bn: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.phases, Sequence) or not all(
            isinstance(phase, Phase) for phase in self.phases
        ):
            raise DifflrError(
                f"Received phases={shown(self.phases)}, expected a list of Phase.",
                "Build each with Phase(freeze_to, epochs, lrs).",
            )
        if not self.phases:
            raise DifflrError("A plan without phases trains nothing.", "Pass at least one Phase.")
        if not isinstance(self.anneal, str) or self.anneal not in ("cos", "linear"):
            raise DifflrError(
                f"Received anneal={shown(self.anneal)}, expected 'cos' or 'linear'.", "Pass one."
            )
        for name in ("base_momentum", "max_momentum"):
            object.__setattr__(self, name, as_number(name, getattr(self, name), 0.0, 1.0))
        for name in ("cycle_momentum", "train_bn"):
            if not isinstance(getattr(self, name), bool):
                raise DifflrError(
                    f"Received {name}={shown(getattr(self, name))}, expected True or False.",
                    "Pass one of them.",
                )
        object.__setattr__(self, "phases", tuple(self.phases))
        for index, phase in enumerate(self.phases, 1):
            try:
                phase.check(self.n_splits, self.train_bn)
            except DifflrError as error:
                raise DifflrError(f"Phase {index}: {error.problem}", error.remedy) from None

    @property
    def n_splits(self) -> int:
        """How many splits the plan is made for."""
        return len(self.phases[0].lrs)

    @property
    def epochs(self) -> int:
        """Length of the whole plan in epochs."""
        return self.starts[-1] + self.phases[-1].epochs

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """First epoch of each phase, counted from 0."""
        return tuple(accumulate((phase.epochs for phase in self.phases[:-1]), initial=0))

    def phase_at(self, epoch: int) -> Phase:
        """Return the phase that epoch ``epoch`` (from 0) belongs to; the last one ever after."""
        return self.phases[self.index_at(as_int("epoch", epoch, 0))]

    def index_at(self, epoch: int) -> int:
        """Return the index of the phase that epoch ``epoch`` (from 0) belongs to."""
        return bisect_right(self.starts, epoch) - 1

    def at(self, step: int, steps_per_epoch: int) -> Point:
        """Return phase, LRs and momentum of optimizer step ``step`` (from 0).

        Phases are half-open: the step on a border opens the next phase. Past the end the last step
        holds, since Lightning steps a scheduler once more after the last batch.
        """
        steps_per_epoch = as_int("steps_per_epoch", steps_per_epoch, 1, MAX_STEPS)
        step = min(as_int("step", step, 0), self.epochs * steps_per_epoch - 1)
        index = self.index_at(step // steps_per_epoch)
        phase = self.phases[index]
        rising, pct = position(
            step - self.starts[index] * steps_per_epoch,
            phase.epochs * steps_per_epoch,
            phase.pct_start,
        )
        lrs = []
        for peak in phase.lrs:
            low = peak / phase.div_factor
            start, end = (low, peak) if rising else (peak, low / phase.final_div_factor)
            lrs.append(anneal(start, end, pct, self.anneal))
        high_to_low = (self.max_momentum, self.base_momentum)
        start, end = high_to_low if rising else high_to_low[::-1]
        return Point(index, tuple(lrs), anneal(start, end, pct, self.anneal))

    def lrs(self, step: int, steps_per_epoch: int) -> tuple[float, ...]:
        """Return the learning rate of each split at optimizer step ``step`` (from 0)."""
        return self.at(step, steps_per_epoch).lrs

    def check(self, splits: Sized | int, max_epochs: int | None = None) -> None:
        """Raise DifflrError unless the plan fits these splits and this number of epochs."""
        n = splits if isinstance(splits, int) else len(splits)
        if n != self.n_splits:
            raise DifflrError(
                f"The plan has {self.n_splits} learning rates per phase, the model has {n} splits.",
                "Make the plan for this model's splits: one learning rate per split.",
            )
        if max_epochs is not None and max_epochs != self.epochs:
            raise DifflrError(
                f"The plan lasts {self.epochs} epochs, the trainer runs {max_epochs}.",
                f"Set max_epochs={self.epochs}, or change the epochs of the phases.",
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON-ready data; ``Plan.from_dict`` reads it back."""
        return json.loads(json.dumps(asdict(self)))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Plan":
        """Build a plan from what ``to_dict`` returned."""
        try:
            phases = [_build(Phase, phase) for phase in data["phases"]]
        except (KeyError, TypeError) as error:
            raise DifflrError(
                f"Received {shown(data)}, expected a dictionary with a list of 'phases'.",
                "Pass what Plan.to_dict() returned.",
            ) from error
        return _build(cls, {**data, "phases": phases})

    @property
    def fingerprint(self) -> str:
        """Twelve characters that differ between plans that train differently."""
        text = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def __str__(self) -> str:
        lines = [
            f"{'epochs':>8}  {'freeze_to':>9}  {'pct_start':>9}  maximum LR per split (shallow to deep)"
        ]
        for start, phase in zip(self.starts, self.phases, strict=True):
            last = start + phase.epochs
            span = f"{start + 1}-{last}" if phase.epochs > 1 else f"{last}"
            rates = "  ".join(
                f"{lr:>7.2g}" if trains or lr else f"{'frozen':>7}"
                for lr, trains in zip(phase.lrs, phase.trainable, strict=True)
            )
            lines.append(f"{span:>8}  {phase.freeze_to:>9}  {phase.pct_start:>9g}  {rates}")
        return "\n".join(lines)


def _build(cls: Any, data: Any) -> Any:
    """Call ``cls`` with the entries of ``data``, naming an entry that it does not have."""
    if not isinstance(data, Mapping):
        raise DifflrError(
            f"Received {shown(data)}, expected a dictionary that describes a {cls.__name__}.",
            "Pass what Plan.to_dict() returned.",
        )
    known = {field.name for field in fields(cls)}
    if unknown := sorted(set(map(str, data)) - known):
        raise DifflrError(
            f"A {cls.__name__} has no {', '.join(unknown)}.", f"It has {', '.join(sorted(known))}."
        )
    try:
        return cls(**data)
    except TypeError as error:
        raise DifflrError(
            f"A {cls.__name__} is incomplete: {error}.", "Add what is missing."
        ) from None
