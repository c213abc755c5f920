"""A difference of tuned recipes: the choice of the learning rate is part of its interval."""

import made_up
import numpy as np
import pytest

from difflr.errors import DifflrError
from difflr.evidence.nested import Side, nested_difference, tuned_difference
from difflr.evidence.summaries import width_difference
from difflr.runs.statistics import paired

RATES = [10 ** (-3.5 + i / 4) for i in range(8)]


def tuned(numbers, reporting, choosing, means):
    """Return two sides that chose and reported as a study does, and the true difference at their best."""
    easy = numbers.normal(0, 0.012, choosing + reporting)  # shared: the pictures that a seed draws
    sides = []
    for mean in means:
        own = mean[:, None] + easy + numbers.normal(0, 0.012, (len(RATES), len(easy)))
        tried = {lr: dict(enumerate(row[:choosing])) for lr, row in zip(RATES, own, strict=True)}
        best = own[:, :choosing].mean(1).argmax()
        sides.append(Side(tried, {100 + s: a for s, a in enumerate(own[best, choosing:])}))
    return sides, means[0].max() - means[1].max()


@pytest.mark.parametrize("reporting", [5, 20])
def test_the_interval_holds_the_truth_as_often_as_it_says(reporting):
    """Of simulated studies that choose by five seeds 95% or a little more hold the true difference."""
    x = np.log10(RATES)
    means = [0.61 - 0.05 * (x + 2.6) ** 2, 0.6 - 0.15 * (x + 3.1) ** 2]
    numbers, held, alone = np.random.default_rng(0), 0, 0
    for _ in range(300):
        sides, truth = tuned(numbers, reporting, 5, means)
        value = nested_difference(*sides, resamples=300)
        plain = paired(*(side.reported for side in sides))
        assert value.mean == plain.mean
        held += abs(value.mean - truth) <= value.half
        alone += abs(plain.mean - truth) <= plain.half
    assert 0.94 < held / 300 < 0.995
    assert alone < held, "without the choice the interval is too narrow"


def test_where_the_choice_is_clear_the_interval_is_students():
    """One rate towers above all others in every seed: nothing is added but the noise of resampling."""
    numbers = np.random.default_rng(1)
    means = [np.array([0.9, *[0.1] * 7])] * 2
    sides, _ = tuned(numbers, 20, 5, means)
    plain = paired(*(side.reported for side in sides))
    value = nested_difference(*sides, resamples=4000)
    assert value.half == pytest.approx(plain.half, rel=0.05)
    assert value == nested_difference(*sides, resamples=4000), "the same call, the same interval"


def test_nothing_to_choose_by_is_refused():
    """Seeds that not every rate was tried with, and a single report, are errors in words."""
    side = Side({1e-3: {0: 0.5}, 1e-2: {1: 0.5}}, {100: 0.6, 101: 0.7})
    with pytest.raises(DifflrError, match="0 seeds that chose for both sides, 2 that report"):
        nested_difference(side, side)
    once = Side({1e-3: {0: 0.5}}, {100: 0.6})
    with pytest.raises(DifflrError, match="1 that report both"):
        nested_difference(once, once)


def test_runs_of_two_recipes_are_taken_as_they_were_recorded(tmp_path):
    """Validation runs choose, test runs report; a seed that reports twice is refused."""
    recording = made_up.plateau(tmp_path)
    ours, rival = (recording.where(train_size=40, ratio=ratio) for ratio in (100.0, 1.0))
    value = tuned_difference(_one_report(ours), _one_report(rival))
    assert value.n == len({run.seed for run in ours if run.measured_on == "test"})
    doubled = _one_report(ours) + [run for run in _one_report(ours) if run.measured_on == "test"]
    with pytest.raises(DifflrError, match="twice"):
        tuned_difference(doubled, rival)


def _one_report(runs):
    rate = next(run.tags["base_lr"] for run in runs if run.measured_on == "test")
    return [r for r in runs if r.measured_on == "validation" or r.tags["base_lr"] == rate]


def test_a_plateau_that_the_grid_cuts_off_is_marked(tmp_path):
    """≥ where ours goes on beyond the grid, ≤ where the rival's does, cut off where both do."""
    recording = made_up.plateau(tmp_path)
    whole = recording.where(train_size=40, measured_on="validation", ratio=1.0)
    best = max(whole, key=lambda run: run.accuracy).tags["base_lr"]
    part = [run for run in whole if run.tags["base_lr"] <= best]
    for sides, sign in (((part, whole), "≥ "), ((whole, part), "≤ "), ((part, part), "cut off: ")):
        gap = width_difference(*sides)
        assert str(gap).startswith(sign)
