"""Where an interval worked out by hand goes wrong: each slip has a formula that gives it away."""

import math
from functools import partial
from typing import NoReturn

import numpy as np
from scipy.stats import t

from difflr.lessons.checking import Wrong
from difflr.runs.statistics import Estimate, paired

__all__ = ["lone_seed", "wrong_half", "wrong_mean"]


def lone_seed(seen: str) -> Wrong:
    """Say that a seed has no partner, and what was seen of it."""
    return Wrong(
        f"A seed that only one side has is in it, and nothing pairs it. {seen}",
        "Take the seeds that both have: `set(ours) & set(rival)`.",
    )


def wrong_mean(
    answer: Estimate, ours: dict[int, float], rival: dict[int, float], *, lone: bool
) -> NoReturn:
    """Say what a mean of paired differences was taken for; ``lone``: a seed has no partner."""
    truth = paired(ours, rival)
    fair = truth.mean
    ends = (fair - truth.half, fair + truth.half)
    if all(map(partial(math.isclose, rel_tol=2e-3), (answer.mean, answer.half), ends)):
        raise Wrong(
            "You return the two ends of the interval. Asked for is its middle, and half its width.",
            "`return mean, half`",
        )
    if math.isclose(answer.mean, -fair, abs_tol=1e-9):
        raise Wrong("The sign is turned round: asked for is ours less the rival's.")
    if lone:
        raise lone_seed("It slips into the mean.")
    raise Wrong(
        "This is not the mean of the differences, seed by seed.",
        "Take the difference for each seed first, then the mean.",
    )


def wrong_half(half: float, ours: dict[int, float], rival: dict[int, float]) -> NoReturn:
    """Say by which formula a half-width was found instead of Student\'s, for paired differences."""
    seeds = sorted(set(ours) & set(rival))
    n = len(seeds)
    a, b = (np.array([side[seed] for seed in seeds]) for side in (ours, rival))
    t95, root = float(t.ppf(0.975, n - 1)), math.sqrt(n)
    spread = float((a - b).std(ddof=1))
    by_order = np.array([ours[s] for s in ours if s in seeds]) - b
    lone = math.sqrt(a.var(ddof=1) / n + b.var(ddof=1) / n)
    known = [
        (1.96 * spread / root, "1.96 is the factor for many runs. With few, the spread itself is "
         "uncertain, and Student's t is wider.", "Use `T95[n - 1]` for n differences."),
        (t95 * spread, "This says where a single run lies, not where their mean does.",
         "Divide by the square root of the number of seeds."),
        (t95 * float((a - b).std()) / root, "The spread is divided by n. About a mean that was "
         "estimated from the same numbers it is divided by n - 1.", "`statistics.stdev` does that."),
        (float(t.ppf(0.975, n)) * spread / root, "The factor is that of one seed too many.",
         "n differences have n - 1 degrees of freedom: `T95[n - 1]`."),
        (2 * t95 * spread / root, "This is the whole width. Asked for is half of it, the number "
         "after the ±.", "Leave out the 2."),
        (t95 * float(by_order.std(ddof=1)) / root, "The two sides are paired by the order in which "
         "they are listed, not by their seeds.", "Look both up by the seed: `ours[seed] - rival[seed]`."),
        (spread / root, "This is the standard error. An interval is wider by Student's factor.",
         "Multiply by `T95[n - 1]`."),
    ]  # fmt: skip
    for value, misconception, hint in known:
        if math.isclose(half, value, rel_tol=2e-3):
            raise Wrong(misconception, hint)
    if half > 1.5 * t95 * spread / root and half < 3 * float(t.ppf(0.975, n - 1)) * lone:
        raise Wrong(
            "The two sides are treated as if they had nothing to do with each other. What a seed "
            "does to both sides alike then widens the interval.",
            "Take the difference for each seed first: what both share cancels.",
        )
    raise Wrong(
        "The mean is right, the half-width is not.",
        "half = Student's factor × standard deviation of the differences / √n.",
        "`T95[n - 1] * statistics.stdev(differences) / math.sqrt(n)`",
    )
