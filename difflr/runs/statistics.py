"""Means with honest intervals, what a difference shows, and how small a one could have been seen."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from difflr.errors import DifflrError, first_few

__all__ = [
    "MARGIN",
    "Estimate",
    "Summary",
    "bootstrap_half",
    "describe_difference",
    "describe_power",
    "detectable",
    "format_estimate",
    "holm",
    "mean_interval",
    "p_value",
    "paired",
    "shared_seeds",
    "shown_by",
    "summarise",
]

MARGIN = 0.01  # a difference of less than a point of accuracy is none that matters
_POWER = 0.8


@dataclass(frozen=True)
class Estimate:
    """A mean and the half-width of its 95% interval (NaN for a single value) from ``n`` values.

    Without ``n`` the spread counts as known: Student's distribution is then the normal one.
    """

    mean: float
    half: float
    n: float = math.inf

    @property
    def holds_zero(self) -> bool:
        """Whether 0 lies inside the interval; a single value has none."""
        return abs(self.mean) <= self.half

    @property
    def is_tie(self) -> bool:
        """Whether the difference is shown to be smaller than ``MARGIN`` (and may be 0).

        Two one-sided tests at 5% each, which is a 90% interval inside the margin. Source: Schuirmann
        1987 (doi 10.1007/BF01068419).
        """
        reach = self.half * _quantile(0.95, self.n) / _quantile(0.975, self.n)
        return self.holds_zero and abs(self.mean) + reach < MARGIN


def mean_interval(values: Sequence[float]) -> Estimate:
    """Return the mean with Student's t interval (95%, two-sided) over independent runs.

    Raises:
        DifflrError: without a value.

    >>> mean_interval([0.5, 0.6, 0.7])
    Estimate(mean=0.6, half=0.2484..., n=3)
    """
    n = len(values)
    if not n:
        raise DifflrError("Received no values, expected one for each run.", "Run one seed or more.")
    mean = math.fsum(values) / n
    if n < 2:
        return Estimate(mean, math.nan, n)
    return Estimate(mean, _quantile(0.975, n) * _deviation(values) / math.sqrt(n), n)


def bootstrap_half(resampled: Sequence[float], n: int) -> float:
    """Return the half-width of a 95% interval: the spread of resamples of ``n`` seeds; NaN from one.

    Student's factor times the spread times ``sqrt(n / (n - 1))``, as ``Estimate.half`` is read.
    """
    if n < 2:
        return math.nan
    return _quantile(0.975, n) * _deviation(resampled) * math.sqrt(n / (n - 1))


def _deviation(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def _quantile(share: float, n: float) -> float:
    """Return Student's quantile for the mean of ``n`` values."""
    from scipy.stats import t  # slow to import, and needed at the end only

    return float(t.ppf(share, max(n - 1, 1)))


def paired(values: Mapping[int, float], rival: Mapping[int, float]) -> Estimate:
    """Return the mean difference over the seeds that both have, with its interval.

    Args:
        values, rival: seed to accuracy (0 to 1), or to another measure.

    Raises:
        DifflrError: when they have no seed in common.
    """
    return mean_interval([values[seed] - rival[seed] for seed in shared_seeds(values, rival)])


def shared_seeds(values: Iterable[int], rival: Iterable[int]) -> list[int]:
    """Return the seeds that both sides have, in order.

    Raises:
        DifflrError: when there is none.
    """
    sides = [sorted({*values}), sorted({*rival})]
    seeds = [seed for seed in sides[0] if seed in sides[1]]
    if not seeds:
        ours, theirs = (first_few([str(seed) for seed in side]) or "none" for side in sides)
        raise DifflrError(
            f"The two sides have no seed in common: received {ours} and {theirs}, expected a seed "
            "that both have.",
            "Run both from the same seeds.",
        )
    return seeds


def shown_by(difference: Estimate) -> str:
    """Return ``"better"``, ``"worse"``, ``"tie"``, ``"not told apart"`` or ``"no verdict"``.

    Not told apart is a difference with 0 in its interval; a tie, one shown to be smaller than ``MARGIN``.
    One seed gives no interval, which shows nothing.

    >>> shown_by(Estimate(0.004, 0.009)), shown_by(Estimate(0.001, 0.005))
    ('not told apart', 'tie')
    """
    if math.isnan(difference.half):
        return "no verdict"
    if difference.holds_zero:
        return "tie" if difference.is_tie else "not told apart"
    return "better" if difference.mean > 0 else "worse"


def describe_difference(value: Estimate, unit: str = " points") -> str:
    """Say what a paired difference of accuracies shows, in the words of ``shown_by``.

    >>> describe_difference(Estimate(0.004, 0.009))
    'not told apart: between -0.5 and +1.3 points'
    """
    text = format_estimate(value, unit=unit, sign=True)
    word = shown_by(value)
    if word == "no verdict":
        return f"{text}, from one seed: no verdict"
    if word == "not told apart":
        low, high = (100 * (value.mean + side * value.half) for side in (-1, 1))
        return f"{word}: between {low:+.1f} and {high:+.1f}{unit}"
    return f"tie ({text})" if word == "tie" else text


def detectable(value: Estimate, power: float = _POWER) -> float:
    """Return the smallest true difference that a test at 5% would have found with this ``power``.

    From the spread of the paired differences and their number, by the noncentral t distribution; about
    ``(t(0.975) + t(power)) * s / sqrt(n)``. Source: Cohen 1988, Statistical Power Analysis, chapter 2.

    >>> round(detectable(Estimate(0.01, 0.013, 5)), 4)
    0.0176
    """
    from scipy.optimize import brentq
    from scipy.stats import nct

    edge = _quantile(0.975, value.n)
    noncentrality = brentq(lambda d: float(nct.sf(edge, value.n - 1, d)) - power, 0, 100)
    return value.half / edge * float(noncentrality)


def describe_power(values: Sequence[Estimate]) -> str:
    """Say how large a difference has to be to be seen in these comparisons; empty for single seeds.

    >>> describe_power([Estimate(0.01, 0.013, 5)])
    'With 80% power 5 pairs see a difference of 1.8 points or more.'
    """
    values = [value for value in values if not math.isnan(value.half)]
    if not values:
        return ""
    sizes = [100 * detectable(value) for value in values]
    low, high = (f"{size:.1f}" for size in (min(sizes), max(sizes)))
    pairs = " to ".join(dict.fromkeys(str(f(v.n for v in values)) for f in (min, max)))
    size = low if low == high else f"{low} to {high}"
    return f"With 80% power {pairs} pairs see a difference of {size} points or more."


def p_value(value: Estimate) -> float:
    """Return the two-sided p of Student's test that the true mean is 0; NaN for a single value."""
    from scipy.stats import t

    if math.isnan(value.half):
        return math.nan
    if value.half == 0:
        return float(value.mean == 0)
    size = abs(value.mean) / value.half * _quantile(0.975, value.n)
    return 2 * float(t.sf(size, value.n - 1))


def holm(values: Sequence[float]) -> list[float]:
    """Return p values corrected for their number: below 5% none of them is likely to be luck.

    Source: Holm 1979, A simple sequentially rejective multiple test procedure (JSTOR 4615733).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    corrected, highest = [0.0] * len(values), 0.0
    for rank, index in enumerate(sorted(range(len(values)), key=lambda i: values[i])):
        highest = max(highest, min(1.0, (len(values) - rank) * values[index]))
        corrected[index] = highest
    return corrected


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
        """As ``shown_by`` says of the difference; ``"diverged"`` where a seed's training broke."""
        if self.diverged:
            return "diverged"
        return "no verdict" if self.difference is None else shown_by(self.difference)


def summarise(runs: Sequence[Mapping[str, Any]]) -> list[Summary]:
    """Return one summary per recipe, in the order of their first runs."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for run in runs:
        groups.setdefault(run["recipe"], []).append(run)
    summaries: list[Summary] = []
    for recipe, own in groups.items():
        accuracies = {r["seed"]: r["accuracy"] for r in own if not r.get("diverged")}
        accuracy = Estimate(math.nan, math.nan)
        if accuracies:
            accuracy = mean_interval([*accuracies.values()])
        difference = None
        if summaries and accuracies.keys() & summaries[0].accuracies.keys():
            difference = paired(accuracies, summaries[0].accuracies)
        summaries.append(
            Summary(
                recipe=recipe,
                accuracies=accuracies,
                accuracy=accuracy,
                difference=difference,
                seconds=sum(run["seconds"] for run in own) / len(own),
                trainable_share=own[0]["trainable_share"],
                diverged=tuple(run["seed"] for run in own if run.get("diverged")),
            )
        )
    return summaries
