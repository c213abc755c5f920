"""Means, intervals and ties."""

import math

import pytest
from scipy import stats

from difflr.statistics import mean_interval, paired, summarise


def test_interval_is_students():
    """The half-width is that of scipy's own t interval."""
    values = (0.61, 0.64, 0.6, 0.66, 0.62)
    estimate = mean_interval(values)
    low, high = stats.t.interval(
        0.95, len(values) - 1, loc=sum(values) / 5, scale=stats.sem(values)
    )
    assert estimate.mean - estimate.half == pytest.approx(low)
    assert estimate.mean + estimate.half == pytest.approx(high)


def test_one_value_has_no_interval_and_is_a_tie():
    """A single seed shows nothing: its interval is NaN and its difference a tie."""
    estimate = mean_interval([0.3])
    assert math.isnan(estimate.half)
    assert estimate.is_tie


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
