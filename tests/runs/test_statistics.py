"""Means, intervals, what a difference shows and how small a one could have been seen."""

import math

import pytest
from made_results import ACCURACIES, results
from scipy import stats

from difflr.errors import DifflrError
from difflr.experiments.compare import table
from difflr.experiments.figure import plot_runs
from difflr.runs.statistics import (
    Estimate,
    describe_power,
    detectable,
    holm,
    mean_interval,
    p_value,
    paired,
    shown_by,
    summarise,
)


def test_interval_is_students():
    """The half-width is that of scipy's own t interval."""
    values = (0.61, 0.64, 0.6, 0.66, 0.62)
    estimate = mean_interval(values)
    low, high = stats.t.interval(
        0.95, len(values) - 1, loc=sum(values) / 5, scale=stats.sem(values)
    )
    assert estimate.mean - estimate.half == pytest.approx(low)
    assert estimate.mean + estimate.half == pytest.approx(high)


def test_one_value_has_no_interval_and_gives_no_verdict():
    """A single seed shows nothing: neither a gain nor a tie."""
    estimate = paired({0: 0.5}, {0: 0.2})
    assert math.isnan(estimate.half)
    assert not estimate.is_tie
    assert not estimate.holds_zero
    assert math.isnan(p_value(estimate))
    assert describe_power([estimate]) == ""
    assert shown_by(estimate) == "no verdict"


def test_0_in_the_interval_is_not_told_apart_and_a_tie_only_within_a_point():
    """0 in the interval, its ends included, is not told apart; otherwise the sign says which is better."""
    cases = {
        (0.5, 0.6): "not told apart", (0.5, 0.5): "not told apart", (0.5, 0.4): "better",
        (-0.5, 0.4): "worse", (0.001, 0.005): "tie", (0.0, 0.0): "tie", (0.004, 0.002): "better",
    }  # fmt: skip
    assert {case: shown_by(Estimate(*case)) for case in cases} == cases


@pytest.mark.parametrize("spread", [0.003, 0.006, 0.012, 0.03])
@pytest.mark.parametrize("middle", [0.0, -0.002, 0.004])
def test_a_tie_is_what_two_one_sided_tests_say(spread, middle):
    """Both of scipy's one-sided t tests against a point reject at 5%, and 0 is in the interval."""
    gaps = [middle + spread * z for z in (-1.2, -0.4, 0.1, 0.5, 1.0)]
    above = stats.ttest_1samp(gaps, -0.01, alternative="greater").pvalue
    below = stats.ttest_1samp(gaps, 0.01, alternative="less").pvalue
    inside = stats.ttest_1samp(gaps, 0).pvalue >= 0.05
    assert mean_interval(gaps).is_tie == (max(above, below) < 0.05 and inside)


def test_p_and_the_detectable_difference_are_those_of_students_test():
    """The p value is scipy's; the power at the detectable difference, by the noncentral t, is 80%."""
    for n in (3, 5, 20):
        gaps = [0.01 + 0.01 * ((7 * i) % n) / n for i in range(n)]
        estimate = mean_interval(gaps)
        assert p_value(estimate) == pytest.approx(stats.ttest_1samp(gaps, 0).pvalue)
        shift = detectable(estimate) / stats.sem(gaps)
        edge = stats.t.ppf(0.975, n - 1)
        power = stats.nct.sf(edge, n - 1, shift) + stats.nct.cdf(-edge, n - 1, shift)
        assert power == pytest.approx(0.8, abs=0.001)
    assert detectable(Estimate(0.0, 0.02), 0.5) == pytest.approx(0.02)
    assert p_value(Estimate(0.0, 0.0, 3)) == 1
    assert p_value(Estimate(0.1, 0.0, 3)) == 0


def test_holm_corrects_for_the_number_of_comparisons():
    """Worked by hand: the k-th smallest of n is multiplied by n - k + 1, never below the one before."""
    assert holm([0.04, 0.01, 0.03, 0.005]) == pytest.approx([0.06, 0.03, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([0.04]) == [0.04]
    assert holm([]) == []


def test_nothing_to_average_is_refused_in_words():
    """No values, and sides without a common seed, are errors that say what was received."""
    with pytest.raises(DifflrError, match="no values, expected one"):
        mean_interval([])
    with pytest.raises(DifflrError, match=r"no seed in common: received 0, 1 and 2, expected"):
        paired({0: 0.5, 1: 0.6}, {2: 0.5})
    with pytest.raises(DifflrError, match="received none and 2"):
        paired({}, {2: 0.5})


def test_paired_difference_takes_the_seeds_that_both_have():
    """A steady gain shows through noise between seeds that both recipes share."""
    slow = {0: 0.5, 1: 0.7, 2: 0.6}
    fast = {0: 0.52, 1: 0.721, 2: 0.619, 3: 0.1}
    estimate = paired(fast, slow)
    assert estimate.mean == pytest.approx(0.02, abs=1e-3)
    assert not estimate.holds_zero
    assert paired(slow, slow).is_tie


def test_summaries_compare_with_the_first_recipe():
    """The first recipe has no difference; the others have theirs to it."""
    runs = [
        {"recipe": r, "seed": s, "accuracy": a, "seconds": 2.0, "trainable_share": 1.0}
        for r, s, a in [("a", 0, 0.5), ("b", 0, 0.6), ("a", 1, 0.6), ("b", 1, 0.7)]
    ]
    first, second = summarise(runs)
    assert first.difference is None
    assert second.difference.mean == pytest.approx(0.1)
    assert second.accuracies == {0: 0.6, 1: 0.7}


def test_table_and_picture_say_nothing_without_an_interval(tmp_path):
    """One seed has no verdict in the table and no bar in the picture; three seeds have theirs."""
    alone = {recipe: values[:1] for recipe, values in ACCURACIES.items()}
    once, thrice = results(tmp_path / "1.json", accuracies=alone), results(tmp_path / "3.json")
    assert "from one seed: no verdict" in table(once).splitlines()[2]
    assert "told apart" not in table(once)
    assert "power" not in table(once)
    lines = table(thrice).splitlines()
    assert [line.count("not told apart: between -5.7 and +6.7") for line in lines[:4]] == [
        0,
        0,
        0,
        1,
    ]
    assert lines[-1] == "With 80% power 3 pairs see a difference of 2.5 to 8.2 points or more."
    assert "no verdict" not in table(thrice)
    for found, bars, label in (
        (once, False, "without an interval"),
        (thrice, True, "95% interval"),
    ):
        (axes,) = plot_runs(found.runs).axes
        assert {drawn.has_xerr for drawn in axes.containers} == {bars}
        assert axes.get_xlabel().endswith(label)


@pytest.mark.parametrize(
    ("measured_on", "label"),
    [
        ("test", "test accuracy (%)"),
        ("a fifth of the training pictures", "validation accuracy (%)"),
    ],
)
def test_the_picture_says_what_was_measured_on(tmp_path, measured_on, label):
    """Held-out training pictures give a validation accuracy, and the axis calls it nothing else."""
    found = results(tmp_path / "results.json", measured_on)
    (axes,) = plot_runs(found.runs, measured_on=found.about["data"]["measured_on"]).axes
    assert axes.get_xlabel().startswith(label)
