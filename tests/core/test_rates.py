import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import junk, numbers

from difflr import DifflrError, LayerDecay, Ratio, Ulmfit, expand_lrs

rates = st.floats(1e-8, 10.0)
counts = st.integers(1, 12)


def test_one_number_is_for_all_splits():
    """Plain fine-tuning."""
    assert expand_lrs(1e-3, 3) == [1e-3, 1e-3, 1e-3]


def test_a_list_is_one_number_per_split():
    """Zeros are kept, for frozen splits."""
    assert expand_lrs([0, 1e-4, 1e-3], 3) == [0, 1e-4, 1e-3]


@given(rates, rates, counts)
def test_a_slice_is_geometric_from_the_first_split_to_the_last(lo, hi, n):
    """fastai's ``slice(lo, hi)``: both ends exact, neighbours in one ratio."""
    found = expand_lrs(slice(lo, hi), n)
    assert len(found) == n
    assert found[-1] == hi
    if n > 1:
        assert found[0] == lo
        ratio = (hi / lo) ** (1 / (n - 1))
        assert [b / a for a, b in pairwise(found)] == pytest.approx([ratio] * (n - 1))


@given(rates, counts)
def test_a_slice_with_one_end_divides_all_but_the_last_by_ten(hi, n):
    """fastai's ``slice(hi)``."""
    assert expand_lrs(slice(hi), n) == [hi / 10] * (n - 1) + [hi]


@given(rates, counts, st.floats(1.0, 10.0))
def test_ulmfit_divides_by_its_factor_per_split(lr, n, factor):
    """Howard and Ruder: each split at the one above's LR divided by 2.6 (or another factor)."""
    found = expand_lrs(Ulmfit(lr, factor), n)
    assert found[-1] == lr
    assert [b / a for a, b in pairwise(found)] == pytest.approx([factor] * (n - 1))
    assert Ulmfit(lr).factor == 2.6


@given(rates, counts, st.floats(1e-3, 1e3))
def test_a_ratio_is_a_slice_with_the_base_lr_to_itself(lr, n, ratio):
    """``Ratio(lr, r)`` is ``slice(lr / r, lr)``; 1 is uniform, below 1 falls with depth."""
    assert expand_lrs(Ratio(lr, ratio), n) == expand_lrs(slice(lr / ratio, lr), n)
    assert expand_lrs(Ratio(lr, 1.0), n) == pytest.approx([lr] * n)
    assert Ratio(lr).ratio == 100


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (math.nan, "lr=nan"),
        (-1e-3, "lr=-0.001"),
        (math.inf, "lr=inf"),
        (True, "lr=True"),
        ("1e-3", "lr='1e-3'"),
        (None, "lr=None"),
        ([1e-3], "Received 1 values of lr, expected 3"),
        ([1e-3] * 4, "Received 4 values of lr, expected 3"),
        ([1e-3, math.nan, 1e-3], "lr=nan"),
        (slice(None), "expected slice"),
        (slice(1e-5, 1e-3, 2), "expected slice"),
        (slice(0, 1e-3), "lo=0"),
        (slice(-1, 1e-3), "lo=-1"),
        (slice("a", 1e-3), "lo='a'"),
        (slice(0.0), "hi=0.0"),
        (Ratio(1e-3, 0), "ratio=0"),
        (Ratio(1e-3, math.nan), "ratio=nan"),
        (Ratio(-1e-3), "lr=-0.001"),
        (Ratio(1e-320, 1e10), "numbers above 0"),
        (Ulmfit(1e-3, 0), "factor=0"),
        (Ulmfit(1e-3, 1e300), "numbers above 0"),
        (Ulmfit(1e-3, 1e-300), "numbers above 0"),
    ],
)
def test_wrong_rates_say_what_was_received(wrong, words):
    """NaN, negatives, wrong lengths, other types, and what a float cannot hold."""
    with pytest.raises(DifflrError) as error:
        expand_lrs(wrong, 3)
    assert words in error.value.problem


@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_rates_of_numpy_and_torch_are_numbers(make):
    """One number, a list of them, all in one array, within the short ways to write them."""
    assert expand_lrs(make(0.5), 2) == [0.5, 0.5]
    assert expand_lrs(make([0.25, 0.5]), 2) == expand_lrs([make(0.25), make(0.5)], 2) == [0.25, 0.5]
    assert expand_lrs(slice(make(0.25), make(1.0)), 3) == [0.25, 0.5, 1.0]
    assert expand_lrs(LayerDecay(make(1.0), make(0.5)), 2) == [0.5, 1.0]


@pytest.mark.parametrize(
    "wrong",
    [
        np.ones((2, 2)),
        torch.ones(3),
        torch.tensor(True),
        torch.tensor(1j),
        torch.tensor(math.nan),
        torch.ones((), device="meta"),
    ],
)
def test_arrays_that_hold_no_rates_are_refused(wrong):
    """Another shape or length, no real number, nothing at all."""
    with pytest.raises(DifflrError):
        expand_lrs(wrong, 2)


@pytest.mark.parametrize("n", [0, -1, 1.5, None, True, 10**30])
def test_a_wrong_number_of_splits_is_refused(n):
    """There is at least one split, and not more than a list can hold."""
    with pytest.raises(DifflrError, match="n_splits"):
        expand_lrs(1e-3, n)


@settings(max_examples=120)
@given(
    junk
    | st.builds(slice, junk, junk, junk)
    | st.builds(Ratio, numbers, numbers)
    | st.builds(Ulmfit, numbers, numbers),
    st.integers(1, 6),
)
def test_junk_is_a_list_of_rates_or_a_difflr_error(lrs, n):
    """Never another exception; what comes out is finite, never negative, and one per split."""
    try:
        found = expand_lrs(lrs, n)
    except DifflrError as error:
        _explained(error)
    else:
        assert len(found) == n
        assert all(math.isfinite(lr) and lr >= 0 for lr in found)


def _explained(error: DifflrError) -> None:
    assert error.problem
    assert error.remedy
