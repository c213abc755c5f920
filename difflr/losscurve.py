"""The losses of a range test: smoothed, stopped when they diverge, and read.

Smoothing, stopping and leaving out the first tenth follow fastai's and Lightning's LR finders.
"""

import math

import numpy as np

__all__ = ["LossCurve"]


class LossCurve:
    """Losses against multipliers that grow by the same factor at each step.

    ``smoothed`` is their exponential moving average, freed from the bias of its start as Adam does
    it (arXiv 1412.6980). ``diverged`` says whether the last loss was too high or no number.

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

    def steepest(self) -> float | None:
        """Return the multiplier at the steepest fall of the smoothed loss before its lowest point.

        None where it never fell by a fiftieth. The first tenth of the steps is left out: an average
        of few losses falls and rises with the luck of their batches, while nothing is learned yet.
        """
        first = self.steps // 10
        if len(self.smoothed) < first + 3:
            return None
        lowest = first + int(np.argmin(self.smoothed[first:]))
        falling = np.array(self.smoothed[first : lowest + 1])
        if len(falling) < 3 or falling[0] - falling[-1] < 0.02 * abs(falling[0]):
            return None
        slopes = np.gradient(falling, np.log(self.multipliers[first : lowest + 1]))
        return self.multipliers[first + int(np.argmin(slopes))]
