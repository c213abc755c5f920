"""Means with honest intervals, and differences that are called a tie when they are one."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from difflr.errors import DifflrError, first_few

__all__ = [
    "Estimate",
    "Summary",
    "mean_interval",
    "paired",
    "format_estimate",
    "summarise",
    "verdict",
]


@dataclass(frozen=True)
class Estimate:
    """A mean and the half-width of its 95% interval (NaN for a single value)."""

    mean: float
    half: float

    @property
    def is_tie(self) -> bool:
        """Whether 0 lies inside the interval; a single value has none, and is no tie."""
        return abs(self.mean) <= self.half


def mean_interval(values: Sequence[float]) -> Estimate:
    """Return the mean with Student's t interval (95%, two-sided) over independent runs.

    Raises:
        DifflrError: without a value.

    >>> mean_interval([0.5, 0.6, 0.7])
    Estimate(mean=0.6, half=0.2484...)
    """
    n = len(values)
    if not n:
        raise DifflrError("Received no values, expected one for each run.", "Run one seed or more.")
    mean = math.fsum(values) / n
    if n < 2:
        return Estimate(mean, math.nan)
    from scipy.stats import t  # slow to import, and needed at the end only

    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    return Estimate(mean, float(t.ppf(0.975, n - 1)) * deviation / math.sqrt(n))


def paired(values: Mapping[int, float], rival: Mapping[int, float]) -> Estimate:
    """Return the mean difference over the seeds that both have, with its interval.

    Args:
        values, rival: seed to accuracy (0 to 1), or to another measure.

    Raises:
        DifflrError: when they have no seed in common.
    """
    seeds = sorted(set(values) & set(rival))
    if not seeds:
        ours, theirs = (
            first_few([str(seed) for seed in sorted(s)]) or "none" for s in (values, rival)
        )
        raise DifflrError(
            f"The two sides have no seed in common: received {ours} and {theirs}, expected a seed "
            "that both have.",
            "Run both from the same seeds.",
        )
    return mean_interval([values[seed] - rival[seed] for seed in seeds])


def verdict(difference: Estimate) -> str:
    """Return ``"better"`` or ``"worse"``, ``"tie"`` or, from one seed, ``"no verdict"``.

    A tie is a difference with 0 in its interval. One seed gives no interval, which shows nothing.

    >>> verdict(Estimate(0.004, 0.009)), verdict(Estimate(0.004, math.nan))
    ('tie', 'no verdict')
    """
    if math.isnan(difference.half):
        return "no verdict"
    return "tie" if difference.is_tie else "better" if difference.mean > 0 else "worse"


def format_estimate(
    value: Estimate, scale: float = 100, digits: int = 1, unit: str = "%", *, sign: bool = False
) -> str:
    """Write an estimate with its interval; ``sign`` writes a plus as well.

    >>> format_estimate(Estimate(0.661, 0.012))
    '66.1% ± 1.2'
    """
    if math.isnan(value.mean):
        return "not measured"
    half = "" if math.isnan(value.half) else f" ± {scale * value.half:.{digits}f}"
    number = f"{scale * value.mean:{'+' if sign else ''}.{digits}f}"
    return f"{number}{unit}{half}"


@dataclass(frozen=True)
class Summary:
    """All runs of one recipe; ``difference`` is to the first recipe of the comparison.

    ``diverged`` are the seeds whose training broke; no other field but ``seconds`` counts them.
    """

    recipe: str
    accuracies: dict[int, float]
    accuracy: Estimate
    difference: Estimate | None
    seconds: float
    trainable_share: float
    diverged: tuple[int, ...] = ()

    @property
    def verdict(self) -> str:
        """As ``verdict`` says of the difference; ``"diverged"`` where a seed's training broke."""
        if self.diverged:
            return "diverged"
        return "no verdict" if self.difference is None else verdict(self.difference)


def summarise(runs: Sequence[Mapping[str, Any]]) -> list[Summary]:
    """Return one summary per recipe, in the order of their first runs."""
    recipes = list(dict.fromkeys(run["recipe"] for run in runs))
    by_seed = {
        recipe: {
            run["seed"]: run["accuracy"]
            for run in runs
            if run["recipe"] == recipe and not run.get("diverged")
        }
        for recipe in recipes
    }
    summaries = []
    for recipe in recipes:
        own = [run for run in runs if run["recipe"] == recipe]
        shared = set(by_seed[recipe]) & set(by_seed[recipes[0]])
        summaries.append(
            Summary(
                recipe=recipe,
                accuracies=by_seed[recipe],
                accuracy=mean_interval(list(by_seed[recipe].values()))
                if by_seed[recipe]
                else Estimate(math.nan, math.nan),
                difference=paired(by_seed[recipe], by_seed[recipes[0]])
                if recipe != recipes[0] and shared
                else None,
                seconds=sum(run["seconds"] for run in own) / len(own),
                trainable_share=own[0]["trainable_share"],
                diverged=tuple(run["seed"] for run in own if run.get("diverged")),
            )
        )
    return summaries
