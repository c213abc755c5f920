"""Lesson 6, Uniform or differential: the checks of its exercises, its self-test and its pictures."""

import math
from functools import lru_cache
from typing import Any

import numpy as np

from difflr.evidence.summaries import describe_difference, difference, estimate, grouped
from difflr.lessons.checking import Lesson, Wrong, called
from difflr.lessons.comparing.fairness import as_estimate, judge
from difflr.lessons.comparing.intervals import lone_seed, wrong_half, wrong_mean
from difflr.lessons.comparing.labs import Lab
from difflr.lessons.plain import pair
from difflr.lessons.quiz import Quiz
from difflr.runs.statistics import format_estimate, paired
from difflr.studies.recordings import Run, load_recording

__all__ = [
    "SIZE",
    "check_fair",
    "check_interval",
    "check_prediction",
    "check_robust",
    "lesson",
    "quiz",
    "worst",
]

lesson = Lesson("Lesson 6")
quiz = Quiz.read(__file__)
SIZE = 500  # training pictures of the recorded grid that the lesson looks at
_ENOUGH = 0.02

Point = tuple[Any, ...]  # base LR, ratio


@lru_cache(maxsize=1)
def cells() -> dict[Point, list[Run]]:
    """Return the recorded runs on validation pictures by (base LR, ratio)."""
    runs = load_recording("plateau").where(measured_on="validation", train_size=SIZE)
    return grouped(runs, "base_lr", "ratio")


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
            f"{text} No base LR saves this ratio: the first split learns fastest, the new head slowest."
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
        try:
            answer = as_estimate(called(interval, ours, rival))
        except KeyError as error:
            if error.args not in ((17,), (23,)):
                raise
            raise lone_seed(f"KeyError: {error}.") from None
        fair = paired(ours, rival)
        if not math.isclose(answer.mean, fair.mean, abs_tol=1e-6):
            wrong_mean(answer, ours, rival, lone=lone)
        if not math.isclose(answer.half, fair.half, rel_tol=2e-3):
            wrong_half(answer.half, ours, rival)
    return "Right for three, four and five seeds, in any order, and with a run that is missing."


@lesson.exercise("6.3", "Mend an unfair comparison", stub="188020ad4a52")
def check_fair(compare: Any) -> str:
    """Run ``compare(run)`` in laboratories whose truth is known, and look at what it asked for."""
    found = []
    labs = [Lab(0.0, 1e-3, 1), Lab(0.05, 3e-4, 2)]
    labs += [Lab(0.0, 1e-3, seed, noise=0.05) for seed in (3, 4, 5)]  # luck shows in these
    for lab in labs:
        found.append((lab.gain, judge(lab, as_estimate(called(compare, lab.run)))))
    (_, none), (gain, some) = found[:2]
    return (
        f"Where there is no difference, yours says: {describe_difference(none)}. Where it is "
        f"{100 * gain:.0f} points: {describe_difference(some)}. The planted one found a gain in both."
    )


@lesson.exercise("6.4", "Choose for the worst case")
def check_robust(choice: Any) -> str:
    """Compare the worst recorded accuracy within a factor of three of the choice with the best such.

    Right is every choice that the recorded seeds do not tell apart from the best.
    """
    point = _point(choice)
    lows = {key: value for key in cells() if (value := worst(*key)) is not None}
    best = max(lows, key=lambda key: lows[key])
    if point not in lows:
        raise Wrong(
            "A third or three times this base LR was not tried: nobody knows the worst case.",
            "Choose a base LR with recorded neighbours below and above.",
        )
    gap = difference(cells()[_lowest(*point)], cells()[_lowest(*best)])
    text = f"At worst {100 * lows[point]:.1f}%"
    if point == best:
        return f"{text}. No point of the grid has a better worst case."
    if gap.mean + gap.half >= 0:
        return (
            f"{text}. The best worst case, {best[0]:g} with ratio {best[1]:g}, has "
            f"{100 * lows[best]:.1f}%: these five seeds do not tell the two apart."
        )
    raise Wrong(
        f"{text}. Another point does better, and the seeds tell them apart: yours against it "
        f"{describe_difference(gap)}.",
        "`worst(lr, ratio)` is the lowest mean within a factor of three. Look for its largest value.",
        "Both ends matter: a low base LR starves the head, a high one breaks the first splits.",
        f"There is a point with {100 * lows[best]:.1f}% at worst.",
    )


def worst(lr: float, ratio: float) -> float | None:
    """Return the lowest recorded mean accuracy within a factor of three, None at the grid's ends."""
    row = sorted(rate for rate, own in cells() if own == ratio)
    inside = lr in row and row[0] < lr < row[-1]
    return estimate(cells()[_lowest(lr, ratio)]).mean if inside else None


def _lowest(lr: float, ratio: float) -> Point:
    """Return the worst point within a factor of three (half a decade) of another."""
    near = [key for key in cells() if key[1] == ratio and lr / 3.5 < key[0] < lr * 3.5]
    return min(near, key=lambda key: estimate(cells()[key]).mean)


def _point(answer: Any) -> Point:
    """Return the point of the grid that the learner means."""
    lrs, ratios = (sorted({key[i] for key in cells()}) for i in (0, 1))
    grid = (
        f"Base LRs: {', '.join(f'{lr:g}' for lr in lrs)}.",
        f"Ratios: {', '.join(f'{ratio:g}' for ratio in ratios)}.",
    )
    lr, ratio = pair(answer, "a pair `(base LR, ratio)`", " ".join(grid))
    near = [
        key
        for key in cells()
        if math.isclose(key[0], lr, rel_tol=0.01) and math.isclose(key[1], ratio, rel_tol=0.01)
    ]
    if not near:
        raise Wrong(
            "The two are swapped: the base LR comes first."
            if (ratio, lr) in cells()
            else f"The recording has no runs at base LR {lr:g} and ratio {ratio:g}.",
            *grid,
        )
    return near[0]
