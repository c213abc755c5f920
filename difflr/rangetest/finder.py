"""A range test that keeps the ratios: which base LR suits a plan's learning rates?

All splits are moved together by one growing multiplier, so what is found is how far the whole
phase can be turned up or down. Source of the idea: Smith's LR range test (arXiv 1506.01186).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor, nn
from torch.optim import Optimizer

from difflr.errors import DifflrError, as_int, as_number
from difflr.freezing import set_trainable
from difflr.models.modes import train_mode
from difflr.plan import Phase
from difflr.rangetest.snapshot import untouched
from difflr.splits import Splits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Loss", "LossCurve", "RangeTest", "cross_entropy_of_pair", "range_test"]


class LossCurve:
    """Losses against multipliers that grow by the same factor at each step.

    ``smoothed`` is their exponential moving average, freed from the bias of its start as Adam does
    it (arXiv 1412.6980). It knows no later losses, and so says things some steps late: it decides when
    to stop, and ``centred`` where the loss falls. ``diverged`` says whether the last loss was too high or
    no number.

    Args:
        steps: how many losses there will be if none diverges.
        diverge: the smoothed loss has diverged at this multiple of the lowest one.
        beta: how much of the average is kept at each step.
    """

    def __init__(self, steps: int, diverge: float, beta: float = 0.9) -> None:
        self.steps, self.diverge, self.beta = steps, diverge, beta
        self.multipliers: list[float] = []
        self.losses: list[float] = []
        self.smoothed: list[float] = []
        self.diverged = False
        self._mean = 0.0

    def add(self, multiplier: float, loss: float) -> bool:
        """Take one loss; return whether to go on."""
        if not math.isfinite(loss):
            self.diverged = True
            return False
        self._mean = self.beta * self._mean + (1 - self.beta) * loss
        self.multipliers.append(multiplier)
        self.losses.append(loss)
        self.smoothed.append(self._mean / (1 - self.beta ** len(self.losses)))
        # A loss may be tiny from the start, or below 0: measure the rise from the lowest point.
        best = min(self.smoothed)
        self.diverged = self.smoothed[-1] - best > (self.diverge - 1) * max(abs(best), 1e-3)
        return not self.diverged

    def centred(self, beta: float = 0.85) -> list[float]:
        """Return the losses averaged over steps on both sides, with weights ``beta ** distance``.

        What explodes at the end counts no more than the highest loss of the first tenth of the steps.
        """
        cap = max(self.losses[: self.steps // 10 + 1])
        steps = np.arange(len(self.losses))
        weights = beta ** np.abs(steps[:, None] - steps)
        means: list[float] = (weights @ np.minimum(self.losses, cap) / weights.sum(1)).tolist()
        return means

    def steepest(self) -> float | None:
        """Return the multiplier at the steepest fall of the centred loss before its lowest point.

        None where it never fell by a fiftieth. The first tenth of the steps is left out: an average
        of few losses falls and rises with the luck of their batches, while nothing is learned yet.
        """
        first = self.steps // 10
        if len(self.losses) < first + 3:
            return None
        smoothed = self.centred()
        lowest = first + int(np.argmin(smoothed[first:]))
        falling = np.array(smoothed[first : lowest + 1])
        if len(falling) < 3 or falling[0] - falling[-1] < 0.02 * abs(falling[0]):
            return None
        slopes = np.gradient(falling, np.log(self.multipliers[first : lowest + 1]))
        return self.multipliers[first + int(np.argmin(slopes))]


Loss = Callable[[nn.Module, Any], Tensor]


@dataclass(frozen=True)
class RangeTest:
    """What a range test saw: one loss per multiplier, and the multiplier it suggests.

    ``smoothed`` averages over steps on both sides. ``suggestion`` lies where it falls fastest, after the
    first tenth of the steps; it is None where it does not fall there. ``lrs`` are those of the splits at
    multiplier 1.
    """

    multipliers: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    lrs: tuple[float, ...]
    diverged: bool
    suggestion: float | None

    @property
    def suggested_lrs(self) -> tuple[float, ...]:
        """The learning rates at the suggested multiplier (those it began with if there is none)."""
        return tuple(lr * (self.suggestion or 1.0) for lr in self.lrs)

    def describe(self) -> str:
        """Return in words what ``figure`` draws."""
        from difflr.figures.words import short

        end = "then the loss diverged" if self.diverged else "without diverging"
        text = (
            f"Loss against a multiplier of all learning rates, {short(self.multipliers[0])} to "
            f"{short(self.multipliers[-1])}, {end}. Lowest smoothed loss {min(self.smoothed):.3g}."
        )
        if self.suggestion is None:
            return (
                f"{text} The loss did not fall after the first tenth of the steps: no suggestion."
            )
        largest = max(self.suggested_lrs)
        return f"{text} Suggested multiplier {self.suggestion:.2g}: largest LR {short(largest)}."

    def figure(self) -> Figure:
        """Draw loss against multiplier with the suggestion marked."""
        from difflr.rangetest.figure import range_figure

        largest = max(self.suggested_lrs)
        return range_figure(self.multipliers, self.losses, self.smoothed, self.suggestion, largest)

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        from difflr.figures.picture import figure_png, picture_bundle

        return picture_bundle(figure_png(self.figure()), self.describe())


def range_test(
    splits: Splits,
    optimizer: Optimizer,
    batches: Iterable[Any],
    phase: Phase | None = None,
    *,
    loss: Loss | None = None,
    low: float = 1e-3,
    high: float = 1e3,
    steps: int = 100,
    diverge: float = 3.0,
) -> RangeTest:
    """Train for a few steps with every LR multiplied by a growing number, then undo all of it.

    Model (parameters, buffers, gradients, modes, what is frozen), optimizer and random state
    (Python, numpy, torch, the loader's own generators) are afterwards what they were, bit for bit.

    Args:
        splits: of the model.
        optimizer: as it will train, with the groups of ``param_groups``.
        batches: a loader, or a list of batches; begun again when it is used up.
        phase: whose learning rates and frozen splits to test, e.g. ``plan.phases[0]``; None takes
            the model and the optimizer's ``lr`` as they are.
        loss: takes model and batch, returns a scalar; by default the cross-entropy of
            ``model(batch[0])`` against ``batch[1]``.
        low, high: first and last multiplier.
        steps: from ``low`` to ``high``, at least 5.
        diverge: stop when the smoothed loss exceeds the lowest one by this factor.

    Raises:
        DifflrError: for bad numbers, learning rates that are all 0, or batches that are empty.
    """
    low = as_number("low", low, 0.0, above=True)
    high = as_number("high", high, low, above=True)
    steps = as_int("steps", steps, 5)
    diverge = as_number("diverge", diverge, 1.0, above=True)
    rates = _rates(splits, optimizer, phase)
    step_loss = loss or cross_entropy_of_pair
    with untouched(splits.model, optimizer, batches):
        if phase is not None:
            train_mode(splits.model, splits.learning())
            set_trainable(splits, phase.trained)
        curve = LossCurve(steps, diverge)
        source = _endless(batches)
        for step in range(steps):
            multiplier = low * (high / low) ** (step / (steps - 1))
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * multiplier
            optimizer.zero_grad()
            value = step_loss(splits.model, next(source))
            if not curve.add(multiplier, float(value.detach())):
                break
            value.backward()
            optimizer.step()
    if not curve.losses:
        raise DifflrError(
            "The very first loss was not a finite number.",
            "Check the data and the model before the learning rate.",
        )
    return RangeTest(
        tuple(curve.multipliers),
        tuple(curve.losses),
        tuple(curve.centred()),
        tuple(phase.lrs) if phase else _per_split(splits, optimizer),
        curve.diverged,
        curve.steepest(),
    )


def _rates(splits: Splits, optimizer: Optimizer, phase: Phase | None) -> list[float]:
    """Return the learning rate of each group at multiplier 1."""
    groups = optimizer.param_groups
    if phase is None:
        rates = [float(group["lr"]) for group in groups]
    else:
        phase.check(len(splits), train_bn=True)
        if any(group.get("split") not in range(len(splits)) for group in groups):
            raise DifflrError(
                "The optimizer's groups do not say which split they belong to.",
                "Make them with param_groups(splits).",
            )
        rates = [phase.lrs[group["split"]] * group.get("lr_factor", 1.0) for group in groups]
    if not any(rates):
        raise DifflrError(
            "All learning rates are 0, and so is every multiple of them.",
            "Pass the phase to test, e.g. plan.phases[0], or set the optimizer's learning rates.",
        )
    return rates


def _per_split(splits: Splits, optimizer: Optimizer) -> tuple[float, ...]:
    """Return each split's learning rate: the largest of the groups that hold its parameters."""
    rate = {
        id(p): float(group["lr"]) / group.get("lr_factor", 1.0)
        for group in optimizer.param_groups
        for p in group["params"]
    }
    return tuple(
        max((rate.get(id(p), 0.0) for p in split.parameters.values()), default=0.0)
        for split in splits
    )


def cross_entropy_of_pair(model: nn.Module, batch: Any) -> Tensor:
    """Return the cross-entropy of ``model(batch[0])`` against ``batch[1]``."""
    return nn.functional.cross_entropy(model(batch[0]), batch[1])


def _endless(batches: Iterable[Any]) -> Iterator[Any]:
    while True:
        empty = True
        for batch in batches:
            empty = False
            yield batch
        if empty:
            raise DifflrError(
                "There are no batches.", "Pass a loader or a list that can be repeated."
            )
