import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import junk

from difflr import MILESTONES_2020, RECIPES, DifflrError, Plan, from_milestones, make_plan


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_lasts_exactly_its_epochs(name):
    """Equal budgets are what makes a comparison fair; too few epochs are refused, not stretched."""
    for n_splits in range(1, 9):
        for epochs in range(1, 14):
            try:
                plan = make_plan(name, n_splits, epochs)
            except DifflrError:
                assert (
                    (name == "milestones_2020" and (n_splits != 6 or epochs < 6))
                    or (name in ("lp_ft", "fine_tune", "freeze_then_cosine") and epochs < 2)
                    or (name == "first_splits" and n_splits == 1)
                )
            else:
                assert (plan.epochs, plan.n_splits) == (epochs, n_splits)


@pytest.mark.parametrize("name", RECIPES)
def test_the_base_lr_is_the_largest_one(name):
    """So that one number can be tuned for every recipe; no LR exceeds it in any phase."""
    assert max(lr for p in make_plan(name, 6, 6, lr=0.5).phases for lr in p.lrs) == pytest.approx(
        0.5
    )


@pytest.mark.parametrize("name", RECIPES)
def test_more_splits_than_a_list_can_hold_are_refused(name):
    """Before anything is divided by them, or written out."""
    with pytest.raises(DifflrError, match="split"):
        make_plan(name, 10**5000, 10**6)


def test_uniform_and_head_only():
    """One LR for all splits; one for the last and the others frozen."""
    (uniform,) = make_plan("uniform", 3, 4, lr=1e-3).phases
    assert uniform.lrs == (1e-3,) * 3
    assert all(uniform.trainable)
    (head,) = make_plan("head_only", 3, 4, lr=1e-3).phases
    assert head.lrs == (0, 0, 1e-3)
    assert head.trainable == (False, False, True)


def test_differential_rises_with_depth_and_falling_is_its_mirror():
    """Geometric between ``lr / ratio`` and ``lr``."""
    (rising,) = make_plan("differential", 3, 4, lr=1e-2, ratio=100).phases
    assert rising.lrs == pytest.approx((1e-4, 1e-3, 1e-2))
    (falling,) = make_plan("falling", 3, 4, lr=1e-2, ratio=100).phases
    assert falling.lrs == rising.lrs[::-1]


def test_first_splits_trains_those_and_freezes_the_rest():
    """Surgical fine-tuning: the head is frozen too."""
    (phase,) = make_plan("first_splits", 4, 4, lr=1e-3, count=2).phases
    assert phase.trainable == (True, True, False, False)
    assert phase.lrs == (1e-3, 1e-3, 0, 0)


def test_gradual_unfreezes_from_the_last_split_to_the_first():
    """One more split per phase, each at its neighbour's LR divided by 2.6."""
    plan = make_plan("gradual", 4, 4, lr=1e-3)
    assert [phase.trainable.index(True) for phase in plan.phases] == [3, 2, 1, 0]
    for phase in plan.phases:
        used = [lr for lr in phase.lrs if lr]
        assert used[-1] == 1e-3
        assert [b / a for a, b in pairwise(used)] == pytest.approx([2.6] * (len(used) - 1))


@given(st.integers(1, 12), st.integers(1, 30))
def test_gradual_ends_with_everything_trainable(n_splits, epochs):
    """With fewer epochs than splits several are unfrozen at once, none is left out or repeated."""
    trainable = [sum(phase.trainable) for phase in make_plan("gradual", n_splits, epochs).phases]
    assert trainable == sorted(set(trainable))
    assert trainable[-1] == n_splits
    assert len(trainable) == min(n_splits, epochs)


def test_lp_ft_probes_first_and_tunes_then():
    """The head for the first half of the epochs, everything for the rest."""
    probe, tune = make_plan("lp_ft", 3, 5, lr=1e-2, tune_lr=1e-4).phases
    assert (probe.epochs, tune.epochs) == (2, 3)
    assert probe.lrs == (0, 0, 1e-2)
    assert tune.lrs == (1e-4,) * 3


def test_fine_tune_is_fastais():
    """Its defaults: base_lr 2e-3, one frozen epoch with pct_start .99 and div 25 at slice(base_lr); then
    base_lr halved, slice(base_lr / 100, base_lr), div 5, pct_start .3; each cycle ends at its
    peak / 1e5; momenta .95/.85; BatchNorm of frozen splits trains."""
    plan = make_plan("fine_tune", 3, 4)
    head, body = plan.phases
    assert plan.train_bn
    assert (plan.max_momentum, plan.base_momentum) == (0.95, 0.85)
    assert (head.epochs, head.pct_start, head.div_factor) == (1, 0.99, 25)
    assert head.trainable == (False, False, True)
    assert head.lrs == pytest.approx((2e-4, 2e-4, 2e-3))
    assert (body.epochs, body.pct_start, body.div_factor) == (3, 0.3, 5)
    assert body.lrs == pytest.approx((1e-5, 1e-4, 1e-3))
    assert all(body.trainable)
    for step, phase in ((99, head), (399, body)):
        assert plan.lrs(step, 100) == pytest.approx([peak / 1e5 for peak in phase.lrs])


def test_the_2020_recipe_is_the_dictionary_and_stretches():
    """At its own length and LR it is the dictionary; longer, each milestone lasts longer."""
    assert make_plan("milestones_2020", 6, 6) == from_milestones(MILESTONES_2020)
    longer = make_plan("milestones_2020", 6, 14, lr=1e-2)
    assert [phase.epochs for phase in longer.phases] == [2, 2, 2, 2, 2, 4]
    assert longer.phases[0].lrs == pytest.approx((0, 0, 0, 0, 0, 1e-2))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("unknown", 6), "Received recipe 'unknown'. The recipes are uniform, head_only"),
        ((["uniform"], 6), "Received recipe"),
        (("milestones_2020", 5), "6 learning rates per phase, the model has 5 splits"),
        (("milestones_2020", 6, 5), "epochs=5"),
        (("uniform", 0), "splits=0"),
        (("uniform", True), "splits=True"),
        (("uniform", []), "splits=0"),
        (("uniform", 6, 0), "epochs=0"),
        (("uniform", 6, 2.5), "epochs=2.5"),
    ],
)
def test_wrong_arguments_are_explained(arguments, words):
    """An unknown recipe lists the known ones."""
    with pytest.raises(DifflrError) as error:
        make_plan(*arguments)
    assert words in str(error.value)


def test_unknown_options_are_explained():
    """With the options that the recipe has."""
    with pytest.raises(DifflrError, match=r"uniform has no option ratio. It has lr"):
        make_plan("uniform", 6, 6, ratio=10)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("lr", [math.nan, math.inf, -1e-3, 0.0, "1e-3", None, True, 10**400])
def test_a_wrong_base_lr_is_refused(name, lr):
    """By every recipe, with the one exception."""
    with pytest.raises(DifflrError):
        make_plan(name, 6, 6, lr=lr)


@settings(max_examples=120)
@given(
    st.sampled_from([*RECIPES]) | junk,
    junk | st.integers(1, 8),
    junk | st.integers(1, 8),
    st.dictionaries(
        st.sampled_from(["lr", "ratio", "factor", "count", "tune_lr", "freeze_epochs"]),
        junk,
        max_size=2,
    ),
)
def test_junk_is_a_plan_or_a_difflr_error(name, splits, epochs, options):
    """Never another exception."""
    try:
        assert isinstance(make_plan(name, splits, epochs, **options), Plan)
    except DifflrError as error:
        _explained(error)


def _explained(error: DifflrError) -> None:
    assert error.problem
    assert error.remedy
