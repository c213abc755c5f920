import copy
import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from strategies import junk, milestones, plans

from difflr import MILESTONES_2020, DifflrError, Plan, from_milestones, to_milestones


def entry(**changes) -> dict:
    """A milestone for two splits."""
    return {"freeze_to": -1, "duration": 1, "pct_start": 0.3, "lrs": [0.0, 1e-3], **changes}


@given(milestones())
def test_a_dictionary_comes_back_the_same(dictionary):
    """In any order of its epochs, with or without a cycle shape of its own; it is not changed."""
    before = copy.deepcopy(dictionary)
    assert to_milestones(from_milestones(dictionary)) == dictionary == before


@given(plans())
def test_a_plan_comes_back_the_same(plan):
    """Its phases from the dictionary, its settings as options."""
    options = {
        name: getattr(plan, name)
        for name in ("anneal", "base_momentum", "max_momentum", "cycle_momentum", "train_bn")
    }
    assert from_milestones(to_milestones(plan), **options) == plan


def test_the_2020_milestones_are_read_unchanged():
    """Six epochs, six splits, one more split trainable per epoch, the published learning rates."""
    plan = from_milestones(MILESTONES_2020)
    assert (plan.epochs, plan.n_splits) == (6, 6)
    assert [phase.freeze_to for phase in plan.phases] == [-1, -2, -3, -4, -5, 0]
    assert [sum(phase.trainable) for phase in plan.phases] == [1, 2, 3, 4, 5, 6]
    assert plan.phases[0].lrs == (0, 0, 0, 0, 0, 1e-3)
    assert plan.phases[5].lrs == (1e-6,) * 6
    assert to_milestones(plan) == MILESTONES_2020


def test_options_of_the_cycle_hold_where_a_milestone_sets_none():
    """The recipe kept ``div_factor`` for all milestones; a milestone's own comes first."""
    plan = from_milestones(
        {1: entry(), 2: entry(div_factor=5)}, div_factor=10, final_div_factor=100
    )
    assert [phase.div_factor for phase in plan.phases] == [10, 5]
    assert [phase.final_div_factor for phase in plan.phases] == [100, 100]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({}, "expected a dictionary"),
        (None, "expected a dictionary"),
        ([entry()], "expected a dictionary"),
        ({0: entry()}, "epochs [0], by their durations they begin at [1]"),
        ({0: entry(), 1: entry()}, "epochs [0, 1], by their durations they begin at [1, 2]"),
        ({2: entry()}, "begin at [1]"),
        ({-1: entry(), 1: entry()}, "begin at [1, 2]"),
        ({"1": entry()}, "milestone='1'"),
        ({1.0: entry()}, "milestone=1.0"),
        ({True: entry()}, "milestone=True"),
        ({1: entry(), 3: entry()}, "epochs [1, 3], by their durations they begin at [1, 2]"),
        ({1: entry(duration=3), 3: entry()}, "begin at [1, 4]"),
        ({3: entry(), 1: entry(duration=3)}, "begin at [1, 4]"),
        (
            {1: entry(), 2: entry(lrs=[0, 0, 1e-3])},
            "epoch 2: Received 3 learning rates, expected 2",
        ),
        ({1: entry(lrs=[1e-3, 1e-3])}, "epoch 1: Split 0 is frozen"),
        ({1: entry(), 2: entry(freeze_to=0)}, "epoch 2: Split 0 is trainable"),
        ({1: entry(lrs=[0, math.nan])}, "epoch 1: Received lr=nan"),
        ({1: entry(lrs=[0, -1])}, "epoch 1: Received lr=-1"),
        ({1: entry(lrs=[0, True])}, "epoch 1: Received lr=True"),
        ({1: entry(duration=0)}, "epoch 1: Received duration=0"),
        ({1: entry(duration=1.5)}, "epoch 1: Received duration=1.5"),
        ({1: entry(freeze_to=None)}, "epoch 1: Received freeze_to=None"),
        ({1: entry(freeze_to=2)}, "epoch 1: Received freeze_to=2"),
        ({1: entry(epochs=1)}, "epoch 1: It has an unknown 'epochs'"),
        ({1: {"freeze_to": 0}}, "epoch 1: It has no duration, lrs"),
        ({1: 5}, "epoch 1: It has no freeze_to, duration, lrs"),
    ],
)
def test_wrong_milestones_name_the_epoch_at_fault(wrong, words):
    """Gaps, overlaps, wrong lengths, an LR on a frozen split, a zero on a trainable one, keys from 0."""
    with pytest.raises(DifflrError) as error:
        from_milestones(wrong)
    assert words in error.value.problem
    assert error.value.remedy


entries = st.fixed_dictionaries(
    {},
    optional={
        "freeze_to": junk | st.integers(-2, 1),
        "duration": junk | st.integers(1, 2),
        "pct_start": junk | st.floats(0, 1),
        "lrs": junk | st.lists(st.floats(0, 1), min_size=1, max_size=2),
        "frozen": junk,
        "div_factor": junk | st.floats(),
        "extra": junk,
    },
)


@settings(max_examples=150)
@given(
    st.dictionaries(st.integers(0, 3) | junk.filter(lambda x: not _unhashable(x)), entries | junk)
    | junk
)
@example({1: entry(), math.nan: entry()})
@example({1: entry(lrs=[0, 1e308], div_factor=1e-300)})
def test_junk_is_a_plan_or_a_difflr_error(dictionary):
    """Never another exception, whatever the dictionary holds."""
    try:
        assert isinstance(from_milestones(dictionary), Plan)
    except DifflrError as error:
        _explained(error)


def _unhashable(value) -> bool:
    try:
        hash(value)
    except TypeError:
        return True
    return False


def _explained(error: DifflrError) -> None:
    assert error.problem
    assert error.remedy
