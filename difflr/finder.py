"""A range test that keeps the ratios: which base LR suits a plan's learning rates?

All splits are moved together by one growing multiplier, so what is found is how far the whole
phase can be turned up or down. Source of the idea: Smith's LR range test (arXiv 1506.01186).
"""

from __future__ import annotations

import copy
import math
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from difflr.errors import DifflrError, as_int, as_number
from difflr.freezing import set_trainable
from difflr.phase import Phase
from difflr.splits import Splits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["RangeTest", "range_test", "untouched"]

Loss = Callable[[nn.Module, Any], Tensor]


@dataclass(frozen=True)
class RangeTest:
    """What a range test saw: one loss per multiplier, and the multiplier it suggests.

    ``suggestion`` lies where the smoothed loss falls fastest; it is None where it never fell.
    ``lrs`` are the learning rates at multiplier 1.
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
        end = "then the loss diverged" if self.diverged else "without diverging"
        text = (
            f"Loss against a multiplier of all learning rates, {self.multipliers[0]:.2g} to "
            f"{self.multipliers[-1]:.2g}, {end}. Lowest smoothed loss {min(self.smoothed):.3g}."
        )
        if self.suggestion is None:
            return f"{text} The loss never fell: no suggestion."
        largest = max(self.suggested_lrs)
        return f"{text} Suggested multiplier {self.suggestion:.2g}: largest LR {largest:.2g}."

    def figure(self) -> Figure:
        """Draw loss against multiplier with the suggestion marked."""
        from difflr.rangefigure import range_figure

        return range_figure(self)

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        from difflr.drawing import figure_png, picture_bundle

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
    step_loss = loss or _cross_entropy
    with untouched(splits.model, optimizer, batches):
        if phase is not None:
            splits.model.train()
            set_trainable(splits, phase.trained)
        curve = _Curve(diverge)
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
    return curve.result(tuple(phase.lrs) if phase else tuple(rates))


class _Curve:
    """Losses so far, smoothed without the bias of the first ones, and when to stop."""

    def __init__(self, diverge: float, beta: float = 0.9) -> None:
        self.diverge, self.beta = diverge, beta
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

    def result(self, lrs: tuple[float, ...]) -> RangeTest:
        if not self.losses:
            raise DifflrError(
                "The very first loss was not a finite number.",
                "Check the data and the model before the learning rate.",
            )
        return RangeTest(
            tuple(self.multipliers),
            tuple(self.losses),
            tuple(self.smoothed),
            lrs,
            self.diverged,
            self._steepest(),
        )

    def _steepest(self) -> float | None:
        """Return the multiplier at the steepest fall of the smoothed loss before its lowest point."""
        lowest = int(np.argmin(self.smoothed))
        falling = np.array(self.smoothed[: lowest + 1])
        if len(falling) < 3 or falling[0] - falling[-1] < 0.02 * abs(falling[0]):
            return None
        slopes = np.gradient(falling, np.log(self.multipliers[: lowest + 1]))
        return self.multipliers[int(np.argmin(slopes))]


@contextmanager
def untouched(
    model: nn.Module, optimizer: Optimizer | None = None, batches: Any = None
) -> Iterator[None]:
    """Undo, on leaving, whatever training does to model, optimizer and random state.

    The objects stay the same (parameters, groups, states), so references to them stay valid.
    """
    tensors = [*model.parameters(), *model.buffers()]
    values = [tensor.detach().clone() for tensor in tensors]
    grads = [(p, p.grad, p.requires_grad) for p in model.parameters()]
    modes = [(module, module.training) for module in model.modules()]
    for parameter, _, _ in grads:
        parameter.grad = None  # training must not write into the gradients that are kept
    generators = _generators(batches)
    drawn = [(generator, generator.get_state()) for generator in generators]
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    kept = _Kept(optimizer) if optimizer is not None else None
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, value in zip(tensors, values, strict=True):
                tensor.copy_(value)
        for parameter, grad, requires_grad in grads:
            parameter.requires_grad_(requires_grad)
            parameter.grad = grad
        for module, mode in modes:
            module.training = mode  # train() would also reach the children
        if kept is not None:
            kept.restore()
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        if cuda:
            torch.cuda.set_rng_state_all(cuda)
        for generator, state in drawn:
            generator.set_state(state)


class _Kept:
    """An optimizer's groups and states, put aside while copies of them are trained with."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.state = optimizer.state
        optimizer.state = defaultdict(dict, {p: copy.deepcopy(s) for p, s in self.state.items()})
        self.groups = [
            {
                key: value if key == "params" else copy.deepcopy(value)
                for key, value in group.items()
            }
            for group in optimizer.param_groups
        ]
        self.called = optimizer.__dict__.get("_opt_called")  # torch's check of the order of calls

    def restore(self) -> None:
        self.optimizer.state = self.state
        for group, kept in zip(self.optimizer.param_groups, self.groups, strict=True):
            group.clear()
            group.update(kept)
        if self.called is None:
            self.optimizer.__dict__.pop("_opt_called", None)
        else:
            self.optimizer.__dict__["_opt_called"] = self.called


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
        rates = [phase.lrs[group["split"]] for group in groups]
    if not any(rates):
        raise DifflrError(
            "All learning rates are 0, and so is every multiple of them.",
            "Pass the phase to test, e.g. plan.phases[0], or set the optimizer's learning rates.",
        )
    return rates


def _cross_entropy(model: nn.Module, batch: Any) -> Tensor:
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


def _generators(batches: Any) -> list[torch.Generator]:
    """Return the loader's own random generators, which are not part of torch's global state."""
    holders = (batches, getattr(batches, "sampler", None), getattr(batches, "dataset", None))
    found = {
        id(g): g for h in holders if isinstance(g := getattr(h, "generator", None), torch.Generator)
    }
    return list(found.values())
