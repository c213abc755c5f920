"""A plan: phases in order, as plain data that knows no torch.

``Plan.lrs(step, steps_per_epoch)`` alone computes learning rates (LRs): the preview draws them, the scheduler
writes them into the optimizer, the tests compare them with torch's OneCycleLR.
"""

import hashlib
import json
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence, Set, Sized
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any, NamedTuple

from difflr.checked import Checked
from difflr.errors import DifflrError, as_index, as_int, as_number, short_repr
from difflr.shapes import Anneal, Shape, one_cycle, shape_from_dict
from difflr.written.spans import rate_columns

__all__ = ["MAX_EPOCHS", "Phase", "Plan", "Point"]

# Their product stays exact as a float.
MAX_EPOCHS, MAX_STEPS = 10**6, 10**9


@dataclass(frozen=True)
class Phase(Checked):
    """A stretch of epochs with one cycle of the learning rate.

    Args:
        freeze_to: index of the first split that trains; 0 trains all, -1 the last only.
        epochs: length, at least 1.
        lrs: maximum LR of each split, shallow to deep; 0 for a frozen one.
        pct_start: share of the steps in which the LR rises, 0 to 1.
        div_factor, final_div_factor: the LR starts at ``lr / div_factor`` and ends at
            ``lr / div_factor / final_div_factor``.
        frozen: indices of further splits to freeze, so that the *first* can train alone.
        shape: of ``difflr.shapes``, or its name, in place of one cycle and its three settings.
        continues: whether the LR moves on as if this and the phase before were one; ``lrs`` and what
            trains may differ.

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
    shape: Shape | str | None = None
    continues: bool = False

    def __post_init__(self) -> None:
        example = "[0, 1e-3], one entry per split (expand_lrs writes a slice or a Ratio out)"
        lrs = tuple(as_number("lr", lr, 0.0) for lr in _items("lrs", self.lrs, example))
        n = len(lrs)
        frozen = {as_index("frozen", i, n) % n for i in _items("frozen", self.frozen, "[2, 3]")}
        vars(self).update(
            freeze_to=as_index("freeze_to", self.freeze_to, n),
            epochs=as_int("epochs", self.epochs, 1, MAX_EPOCHS),
            lrs=lrs,
            pct_start=as_number("pct_start", self.pct_start, 0.0, 1.0),
            div_factor=as_number("div_factor", self.div_factor, 0.0, above=True),
            final_div_factor=as_number("final_div_factor", self.final_div_factor, 0.0, above=True),
            frozen=tuple(sorted(frozen)),
            shape=None if self.shape is None else shape_from_dict(self.shape),
        )
        _check_choice("continues", self.continues, True, False)
        end = max(lrs) / self.div_factor / self.final_div_factor
        as_number("lr / div_factor / final_div_factor", end)  # too small factors make it infinite
        if not self.trained:
            raise DifflrError(
                f"freeze_to={self.freeze_to} with frozen={list(self.frozen)} leaves nothing to train.",
                "Leave a split to train.",
            )

    @property
    def moves_like(self) -> tuple[Any, ...]:
        """What decides how the LR moves."""
        cycle = (self.pct_start, self.div_factor, self.final_div_factor)
        return cycle if self.shape is None else (self.shape,)

    @property
    def trainable(self) -> tuple[bool, ...]:
        """Whether each split trains, shallow to deep."""
        n, frozen = len(self.lrs), set(self.frozen)
        return tuple(i >= self.freeze_to % n and i not in frozen for i in range(n))

    @property
    def trained(self) -> tuple[int, ...]:
        """Indices of the splits that train."""
        return tuple(index for index, trains in enumerate(self.trainable) if trains)

    def check(self, n_splits: int, train_bn: bool = False) -> None:
        """Raise DifflrError unless there is one LR per split, above 0 exactly where it is used."""
        if len(self.lrs) != n_splits:
            raise DifflrError(
                f"Received {len(self.lrs)} learning rates, expected {n_splits}.",
                "Give every phase one per split.",
            )
        for split, (lr, trains) in enumerate(zip(self.lrs, self.trainable, strict=True)):
            if trains and lr == 0:
                raise DifflrError(
                    f"Split {split} is trainable (freeze_to={self.freeze_to}) but has a learning rate "
                    "of 0: it would pay for its gradients and not learn.",
                    "Freeze it (raise freeze_to, or put it into frozen) or give it a learning rate above 0.",
                )
            if not trains and lr and not train_bn:
                named = split in self.frozen
                by = f"frozen={list(self.frozen)}" if named else f"freeze_to={self.freeze_to}"
                raise DifflrError(
                    f"Split {split} is frozen ({by}), so its learning rate of {lr:g} would never be used.",
                    f"Set it to 0, or {'take the split out of frozen' if named else 'lower freeze_to'}.",
                )


class Point(NamedTuple):
    """One step of a plan; a ``momentum`` of None is the optimizer's own."""

    phase: int
    lrs: tuple[float, ...]
    momentum: float | None


@dataclass(frozen=True)
class Plan(Checked):
    """Phases in order, for a fixed number of splits.

    Args:
        phases: first to last; all with one LR per split.
        anneal: ``"cos"`` or ``"linear"``, as OneCycleLR's ``anneal_strategy``.
        base_momentum, max_momentum: momentum (SGD) or beta1 (Adam) at the LR's peak and at its ends.
        cycle_momentum: whether phases of one cycle move the momentum, against the LR.
        train_bn: whether BatchNorm in frozen splits trains too, statistics included, at the split's
            LR (fastai's habit).

    Raises:
        DifflrError: for phases that disagree on the number of splits, an LR above 0 on a frozen
            split (unless ``train_bn``) or of 0 on a trainable one.

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
        phases = _items("phases", self.phases, "[Phase(0, 1, [1e-3])]")
        _check_choice("anneal", self.anneal, "cos", "linear")
        _check_choice("cycle_momentum", self.cycle_momentum, True, False)
        _check_choice("train_bn", self.train_bn, True, False)
        vars(self).update(
            phases=tuple(map(Phase.build, phases)),  # out of JSON they are still dictionaries
            # At 1 the average never moves, and Adam divides by zero.
            base_momentum=as_number("base_momentum", self.base_momentum, 0.0, 1.0, below=True),
            max_momentum=as_number("max_momentum", self.max_momentum, 0.0, 1.0, below=True),
        )
        before: tuple[Any, ...] = ()
        for index, phase in enumerate(self.phases, 1):
            try:
                phase.check(self.n_splits, self.train_bn)
            except DifflrError as error:
                raise DifflrError(f"Phase {index}: {error.problem}", error.remedy) from None
            if phase.continues and phase.moves_like != before:
                problem = "Phase 1 continues, but nothing is before it."
                if before:
                    problem = (
                        f"Phase {index} continues phase {index - 1}, but moves in another way."
                    )
                remedy = "Give both one shape (or pct_start and factors), or pass continues=False."
                raise DifflrError(problem, remedy)
            before = phase.moves_like

    @property
    def n_splits(self) -> int:
        """Number of splits."""
        return len(self.phases[0].lrs)

    @property
    def moves_momentum(self) -> bool:
        """Whether a phase cycles the momentum."""
        return self.cycle_momentum and any(phase.shape is None for phase in self.phases)

    @property
    def epochs(self) -> int:
        """Length in epochs."""
        return self.starts[-1] + self.phases[-1].epochs

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """First epoch of each phase, from 0."""
        return tuple(accumulate((phase.epochs for phase in self.phases[:-1]), initial=0))

    def phase_at(self, epoch: int) -> Phase:
        """Return the phase of ``epoch`` (from 0); past the end the last one."""
        return self.phases[self.index_at(as_int("epoch", epoch, 0))]

    def index_at(self, epoch: int) -> int:
        """Return the index of the phase of ``epoch`` (from 0)."""
        return bisect_right(self.starts, epoch) - 1

    def at(self, step: int, steps_per_epoch: int) -> Point:
        """Return phase, LRs and momentum of optimizer step ``step`` (from 0).

        Past the end the last step holds: Lightning steps a scheduler after the last batch too.
        """
        steps_per_epoch = as_int("steps_per_epoch", steps_per_epoch, 1, MAX_STEPS)
        step = min(as_int("step", step, 0), self.epochs * steps_per_epoch - 1)
        index = self.index_at(step // steps_per_epoch)
        phase = self.phases[index]
        first, epochs = self._stretch(index)
        step, total = step - first * steps_per_epoch, epochs * steps_per_epoch
        if isinstance(phase.shape, Shape):
            share = phase.shape.factor(step, total, steps_per_epoch)
            return Point(index, tuple(peak * share for peak in phase.lrs), None)
        rises, between = one_cycle(step, total, phase.pct_start, self.anneal)
        div, final = phase.div_factor, phase.final_div_factor
        if rises:
            lrs = tuple(between(peak / div, peak) for peak in phase.lrs)
            return Point(index, lrs, between(self.max_momentum, self.base_momentum))
        lrs = tuple(between(peak, peak / div / final) for peak in phase.lrs)
        return Point(index, lrs, between(self.base_momentum, self.max_momentum))

    def _stretch(self, index: int) -> tuple[int, int]:
        """Return first epoch and length of the phases that move as one with this one."""
        first, after = index, index + 1
        while self.phases[first].continues:
            first -= 1
        while after < len(self.phases) and self.phases[after].continues:
            after += 1
        return self.starts[first], sum(phase.epochs for phase in self.phases[first:after])

    def lrs(self, step: int, steps_per_epoch: int) -> tuple[float, ...]:
        """Return the LR of each split at optimizer step ``step`` (from 0)."""
        return self.at(step, steps_per_epoch).lrs

    def check(self, splits: Sized | int, max_epochs: int | None = None) -> None:
        """Raise DifflrError unless the plan fits these splits and this number of epochs."""
        n = splits if isinstance(splits, int) else len(splits)
        if n != self.n_splits:
            raise DifflrError(
                f"The plan has {self.n_splits} learning rates per phase, the model has {n} splits.",
                "Make the plan for this model's splits.",
            )
        if max_epochs is not None and max_epochs != self.epochs:
            raise DifflrError(
                f"The plan lasts {self.epochs} epochs, the trainer runs {max_epochs}.",
                f"Set max_epochs={self.epochs}, or change the phases.",
            )

    def phases_at_minimum(self, steps_per_epoch: int) -> list[int]:
        """Return the indices of phases whose only step has less than a hundredth of their LR.

        One cycle has its minimum there (unless ``pct_start`` is 1), a warm-up from 0 its start.

        >>> Plan([Phase(-1, 1, [0, 1e-2]), Phase(0, 2, [1e-4, 1e-2])]).phases_at_minimum(1)
        [0]
        """
        return [
            index
            for index, (start, phase) in enumerate(zip(self.starts, self.phases, strict=True))
            if phase.epochs * steps_per_epoch == 1
            and max(self.lrs(start, 1)) < max(phase.lrs) / 100
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON-ready data; ``Plan.from_dict`` reads it back."""
        phases = []
        for phase in self.phases:
            entry = {**phase.entries(), "lrs": list(phase.lrs), "frozen": list(phase.frozen)}
            # Left out where they say nothing, so that older files and checkpoints still fit.
            if shape := entry.pop("shape"):
                entry["shape"] = shape.to_dict()
            if not phase.continues:
                del entry["continues"]
            phases.append(entry)
        return {**self.entries(), "phases": phases}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Plan":
        """Build a plan from what ``to_dict`` returned."""
        return cls.build(data)

    @property
    def fingerprint(self) -> str:
        """Twelve characters that differ between plans that train differently."""
        text = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def __str__(self) -> str:
        title, *columns = rate_columns([phase.lrs for phase in self.phases], "{:.2g}".format)
        lines = [f"{'epochs':>8}  {'freeze_to':>9}  {'pct_start':>9}  {title}"]
        for start, phase, column in zip(self.starts, self.phases, columns, strict=True):
            last = start + phase.epochs
            span = f"{start + 1}-{last}" if phase.epochs > 1 else f"{last}"
            lines.append(f"{span:>8}  {phase.freeze_to:>9}  {phase.pct_start:>9g}  {column}")
        return "\n".join(lines)


def _items(name: str, value: Any, example: str) -> list[Any]:
    # What is frozen needs no order.
    wrong = (str, bytes, Mapping) if name == "frozen" else (str, bytes, Mapping, Set)
    with suppress(TypeError):  # an array without dimensions
        if isinstance(value, Iterable) and not isinstance(value, wrong):
            items = list(value)
            if items or name == "frozen":
                return items
    raise DifflrError(
        f"Received {name}={short_repr(value)}, expected a list of entries.",
        f"Pass e.g. {name}={example}.",
    )


def _check_choice(name: str, value: Any, one: Any, other: Any) -> None:
    if not isinstance(value, type(one)) or value not in (one, other):
        raise DifflrError(f"Received {name}={short_repr(value)}.", f"Pass {one!r} or {other!r}.")
