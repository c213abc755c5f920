"""Means, intervals and ties."""

import math

import pytest
from made_results import ACCURACIES, results
from scipy import stats

from difflr.errors import DifflrError
from difflr.experiments.compare import table
from difflr.experiments.figure import plot_runs
from difflr.experiments.statistics import Estimate, mean_interval, paired, summarise, verdict


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
    assert verdict(estimate) == "no verdict"


def test_a_tie_is_called_a_tie():
    """0 in the interval, its ends included, is a tie; otherwise the sign says which is better."""
    cases = {(0.5, 0.6): "tie", (0.5, 0.4): "better", (-0.5, 0.4): "worse", (0.5, 0.5): "tie"}
    assert {case: verdict(Estimate(*case)) for case in cases} == cases


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
    assert not estimate.is_tie
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


def test_table_and_picture_call_nothing_a_tie_without_an_interval(tmp_path):
    """One seed has no verdict in the table and no bar in the picture; three seeds have theirs."""
    alone = {recipe: values[:1] for recipe, values in ACCURACIES.items()}
    once, thrice = results(tmp_path / "1.json", accuracies=alone), results(tmp_path / "3.json")
    assert "(no verdict)" in table(once).splitlines()[2]
    assert "tie" not in table(once)
    assert [line.count("(tie)") for line in table(thrice).splitlines()] == [0, 0, 0, 1]
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
