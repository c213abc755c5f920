"""A made-up laboratory whose truth is known: what a comparison of recipes says can be held against it."""

import math

import numpy as np

from difflr.errors import DifflrError, short_repr

__all__ = ["Lab"]


class Lab:
    """Trains nothing: ``run`` returns an accuracy as a real run would, with noise, in no time.

    Args:
        gain: how much better differential really is than uniform, each at its own best LR (0 to 1).
        best: the best LR of uniform; that of differential is three times as high.
        seed: of the noise.
        noise: standard deviation of what one run adds by itself.

    ``log`` lists the runs that were asked for: recipe, learning rate, seed, measured on, accuracy.
    """

    recipes = ("uniform", "differential")

    def __init__(
        self, gain: float = 0.0, best: float = 1e-3, seed: int = 0, noise: float = 0.006
    ) -> None:
        self.gain, self.best, self.seed, self.noise = gain, best, seed, noise
        self.log: list[tuple[str, float, int, str, float]] = []

    def run(self, recipe: str, lr: float, seed: int, measured_on: str) -> float:
        """Return the accuracy (0 to 1) of one run on the ``"validation"`` or the ``"test"`` pictures."""
        if recipe not in self.recipes or measured_on not in ("validation", "test"):
            raise DifflrError(
                f"Received {short_repr(recipe)}, measured on {short_repr(measured_on)}.",
                'Pass "uniform" or "differential", and "validation" or "test".',
            )
        which = self.recipes.index(recipe)
        off = math.log10(float(lr)) - math.log10(self.best * (3.0 if which else 1.0))
        # A seed draws the pictures, for both recipes alike: that is why differences are paired.
        drawn = np.random.default_rng([self.seed, int(seed), 7]).normal(0, 0.02)
        key = [self.seed, int(seed), which, round(1000 * abs(math.log10(float(lr))))]
        own = np.random.default_rng([*key, measured_on == "test"]).normal(0, self.noise)
        accuracy = 0.66 + which * self.gain - 0.05 * off**2 + drawn + own
        accuracy = float(min(max(accuracy, 0.1), 1.0))
        self.log.append((recipe, float(lr), int(seed), measured_on, accuracy))
        return accuracy
