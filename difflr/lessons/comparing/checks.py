"""Lesson 6, Uniform or differential: the checks of its exercises."""

import math
from functools import lru_cache
from typing import Any

import numpy as np

from difflr.errors import short_repr
from difflr.evidence.summaries import (
    describe_difference,
    difference,
    estimate,
    grouped,
)
from difflr.experiments.statistics import format_estimate, paired
from difflr.lessons.checking import Lesson, Wrong, called
from difflr.lessons.comparing.fairness import as_estimate, judge
from difflr.lessons.comparing.intervals import wrong_half, wrong_mean
from difflr.lessons.comparing.labs import Lab
from difflr.studies.recordings import Run, load_recording

__all__ = [
    "SIZE",
    "check_fair",
    "check_interval",
    "check_prediction",
    "check_robust",
    "lesson",
    "worst",
]

lesson = Lesson("Lesson 6")
SIZE = 500  # training pictures of the recorded grid that the lesson looks at
_ENOUGH = 0.02

Point = tuple[float, float]


@lru_cache(maxsize=1)
def cells() -> dict[Point, list[Run]]:
    """Return the recorded runs on validation pictures by (base LR, ratio)."""
    runs = load_recording("plateau").where(measured_on="validation", train_size=SIZE)
    found = grouped(runs, "base_lr", "ratio")
    return {(float(str(lr)), float(str(ratio))): own for (lr, ratio), own in found.items()}


@lesson.exercise("6.1", "Predict the best point")
def check_prediction(prediction: Any) -> str:
    """Score a predicted (base LR, ratio) against the recorded grid; within two points is right."""
    point = _point(prediction)
    means = {key: estimate(runs) for key, runs in cells().items()}
    best = max(means, key=lambda key: means[key].mean)
    gap = difference(cells()[point], cells()[best])
    rank = sorted(means, key=lambda key: -means[key].mean).index(point) + 1
    text = (
        f"Your point reached {format_estimate(means[point])}, rank {rank} of {len(means)}. The best, base LR "
        f"{best[0]:g} and ratio {best[1]:g}, reached {format_estimate(means[best])}."
    )
    if gap.mean >= -_ENOUGH or point == best:
        return text if point == best else f"{text} Yours against it: {describe_difference(gap)}."
    hint = "Look at the grid with *Look without predicting*, then predict once more."
    row = {lr: means[lr, ratio].mean for lr, ratio in means if ratio == point[1]}
    if max(row.values()) < means[best].mean - _ENOUGH:
        raise Wrong(
            f"{text} No base LR saves this ratio: the first split learns fastest, the new head "
            "slowest."
            if point[1] < 1
            else f"{text} No base LR saves this ratio.",
            hint,
        )
    if point[0] < max(row, key=lambda lr: row[lr]):
        raise Wrong(
            f"{text} Too careful: at this base LR the new head, which has everything to learn, "
            "hardly moves in six epochs.",
            "The base LR is that of the head. AdamW moves a weight by about the LR in a step.",
            hint,
        )
    raise Wrong(
        f"{text} Too bold: at this base LR the first splits lose what they knew.",
        "A larger ratio slows the first splits down, and leaves the head its rate.",
        hint,
    )


@lesson.exercise("6.2", "An interval by hand")
def check_interval(interval: Any) -> str:
    """Try ``interval(ours, rival)`` on made-up accuracies: pairs, Student's t, all seeds in common."""
    numbers = np.random.default_rng(0)
    for n, lone in ((5, False), (3, False), (4, True)):
        drawn = numbers.normal(0.6, 0.05, n)
        rival = {seed: float(drawn[seed] + numbers.normal(0, 0.01)) for seed in range(n)}
        ours = {
            seed: float(drawn[seed] + 0.01 + numbers.normal(0, 0.01)) for seed in range(n)[::-1]
        }
        if lone:  # a seed that only one side has, as after a run that broke off
            ours[17], rival[23] = 0.9, 0.1
        answer = as_estimate(called(interval, dict(ours), dict(rival)))
        fair = paired(ours, rival)
        if not math.isclose(answer.mean, fair.mean, abs_tol=1e-9):
            wrong_mean(answer, ours, rival, lone=lone)
        if not math.isclose(answer.half, fair.half, rel_tol=2e-3):
            wrong_half(answer.half, ours, rival)
    return "Right for three, four and five seeds, in any order, and with a run that is missing."


@lesson.exercise("6.3", "Mend an unfair comparison")
def check_fair(compare: Any) -> str:
    """Run ``compare(run)`` in laboratories whose truth is known, and look at what it asked for."""
    found = []
    for gain, best, seed in ((0.0, 1e-3, 1), (0.05, 3e-4, 2)):
        lab = Lab(gain, best, seed)
        found.append((gain, judge(lab, as_estimate(called(compare, lab.run)))))
    (_, none), (gain, some) = found
    return (
        f"Where there is no difference, yours says: {describe_difference(none)}. Where it is "
        f"{100 * gain:.0f} points: {describe_difference(some)}. The planted one found a gain in both."
    )


@lesson.exercise("6.4", "Choose for the worst case")
def check_robust(choice: Any) -> str:
    """Compare the worst recorded accuracy within a factor of ten of the choice with the best such."""
    point = _point(choice)
    lows = {key: value for key in cells() if (value := worst(*key)) is not None}
    best = max(lows, key=lambda key: lows[key])
    if point not in lows:
        raise Wrong(
            "A tenth or the tenfold of this base LR was not tried: nobody knows the worst case.",
            "Choose a base LR with recorded neighbours a factor of ten below and above.",
        )
    text = f"At worst {100 * lows[point]:.1f}%"
    if lows[point] >= lows[best] - 0.01:
        return f"{text}. No point of the grid does better by more than a point."
    peak = max(cells(), key=lambda key: estimate(cells()[key]).mean)
    if point == peak:
        raise Wrong(
            f"{text}. You chose the highest point. What counts here is how far it falls on "
            "either side.",
            "Write a loop over the grid: for each point the lowest mean among its neighbours.",
            f"There is a point with {100 * lows[best]:.1f}% at worst.",
        )
    uniform = max(value for (_, ratio), value in lows.items() if ratio == 1)
    raise Wrong(
        f"{text}, and the best uniform choice has {100 * uniform:.1f}%. Another point does better.",
        "`worst(lr, ratio)` is the lowest mean within a factor of ten. Look for its largest value.",
        "Both ends matter: a low base LR starves the head, a high one breaks the first splits.",
        f"There is a point with {100 * lows[best]:.1f}% at worst.",
    )


def worst(lr: float, ratio: float, factor: float = 10.0) -> float | None:
    """Return the lowest recorded mean accuracy within a ``factor`` of a point, None at the grid's ends."""
    row = {rate: estimate(runs).mean for (rate, own), runs in cells().items() if own == ratio}
    near = [rate for rate in row if lr / factor * 0.9 < rate < lr * factor * 1.1]
    ends = math.isclose(min(near, default=lr), lr / factor, rel_tol=0.15) and math.isclose(
        max(near, default=lr), lr * factor, rel_tol=0.15
    )
    return min(row[rate] for rate in near) if ends else None


def _point(answer: Any) -> Point:
    """Return the point of the grid that the learner means."""
    lrs, ratios = (sorted({key[i] for key in cells()}) for i in (0, 1))
    grid = (
        f"Base LRs: {', '.join(f'{lr:g}' for lr in lrs)}.",
        f"Ratios: {', '.join(f'{ratio:g}' for ratio in ratios)}.",
    )
    try:
        lr, ratio = (float(number) for number in answer)
    except (TypeError, ValueError):
        raise Wrong(
            f"Received {short_repr(answer)}, expected a pair `(base LR, ratio)`.", " ".join(grid)
        ) from None
    near = [key for key in cells() if math.isclose(key[0], lr, rel_tol=0.01) and key[1] == ratio]
    if not near:
        swapped = any(key == (ratio, lr) for key in cells())
        raise Wrong(
            "The two are swapped: the base LR comes first."
            if swapped
            else f"The recording has no runs at base LR {lr:g} and ratio {ratio:g}.",
            *grid,
        )
    return near[0]
