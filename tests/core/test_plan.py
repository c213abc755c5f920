import json
import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from strategies import junk, plans

from difflr import DifflrError, Phase, Plan

HEAD, ALL = Phase(-1, 1, [0, 0, 1e-3]), Phase(0, 2, [1e-5, 1e-4, 1e-3])
PLAN = Plan([HEAD, ALL])


@given(plans())
def test_a_plan_survives_json(plan):
    """``from_dict(to_dict())`` is the same plan, through text too, with the same fingerprint."""
    again = Plan.from_dict(json.loads(json.dumps(plan.to_dict())))
    assert again == plan
    assert hash(again) == hash(plan)
    assert again.fingerprint == plan.fingerprint
    assert [again.lrs(s, 3) for s in range(9)] == [plan.lrs(s, 3) for s in range(9)]


@given(plans(), plans())
def test_plans_differ_where_their_fingerprints_do(one, other):
    """A fingerprint tells apart plans that train differently."""
    assert (one == other) == (one.fingerprint == other.fingerprint)


@pytest.mark.parametrize(
    "change",
    [
        {"anneal": "linear"},
        {"base_momentum": 0.8},
        {"max_momentum": 0.9},
        {"cycle_momentum": False},
        {"train_bn": True},
        {"phases": (HEAD, replace(ALL, pct_start=0.31))},
        {"phases": (HEAD, replace(ALL, lrs=(1e-5, 1e-4, math.nextafter(1e-3, 1))))},
        {"phases": (HEAD, replace(ALL, frozen=(0,), lrs=(0, 1e-4, 1e-3)))},
        {"phases": (ALL, HEAD)},
    ],
)
def test_every_setting_counts_in_the_fingerprint(change):
    """Down to the last bit of one learning rate."""
    assert replace(PLAN, **change).fingerprint != PLAN.fingerprint


def test_epochs_phases_and_trainable_splits_are_read_off_the_phases():
    """Epochs count from 0; past the end the last phase stays."""
    assert (PLAN.epochs, PLAN.n_splits, PLAN.starts) == (3, 3, (0, 1))
    assert [PLAN.phase_at(epoch) for epoch in range(5)] == [HEAD, ALL, ALL, ALL, ALL]
    assert HEAD.trainable == (False, False, True)
    assert Phase(0, 1, [1e-3, 0, 0], frozen=[-1, 1]).trainable == (True, False, False)


def test_a_plan_prints_its_phases_in_a_table():
    """One line per phase, epochs counted from 1, frozen splits by that word."""
    lines = str(PLAN).splitlines()
    assert len(lines) == 3
    assert lines[1].split() == ["1", "-1", "0.3", "frozen", "frozen", "0.001"]
    assert lines[2].split() == ["2-3", "0", "0.3", "1e-05", "0.0001", "0.001"]


def test_numbers_of_other_types_become_plain_ones():
    """NumPy's numbers are read, and never stored: a plan stays JSON and loads without pickle."""
    phase = Phase(np.int64(-1), np.int32(2), np.array([0, 0.5]), pct_start=np.float32(0.5))
    assert phase == Phase(-1, 2, [0, 0.5], pct_start=0.5)
    assert {type(lr) for lr in phase.lrs} == {float}
    assert type(phase.epochs) is type(phase.freeze_to) is int


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"lrs": []}, "lrs=[], expected a list of entries"),
        ({"lrs": 1e-3}, "expected a list"),
        ({"lrs": "abc"}, "expected a list"),
        ({"lrs": {0.1, 0.2, 0.3}}, "expected a list"),
        ({"lrs": {0.1: 1}}, "expected a list"),
        ({"lrs": np.array(0.1)}, "expected a list"),
        ({"lrs": [0, 0, math.nan]}, "lr=nan"),
        ({"lrs": [0, 0, math.inf]}, "lr=inf"),
        ({"lrs": [0, 0, -1e-3]}, "lr=-0.001"),
        ({"lrs": [0, 0, True]}, "lr=True"),
        ({"lrs": [0, 0, "0.1"]}, "lr='0.1'"),
        ({"lrs": [0, 0, 10**400]}, "lr=10000"),
        ({"lrs": [0, 0, 10**5000]}, "lr=<int>"),
        ({"epochs": 0}, "epochs=0"),
        ({"epochs": 1.0}, "epochs=1.0"),
        ({"epochs": True}, "epochs=True"),
        ({"epochs": 10**400}, "from 1 to 1000000"),
        ({"freeze_to": None}, "freeze_to=None"),
        ({"freeze_to": True}, "freeze_to=True"),
        ({"freeze_to": 3}, "from -3 to 2 for 3 splits"),
        ({"freeze_to": -4}, "from -3 to 2 for 3 splits"),
        ({"pct_start": 1.1}, "pct_start=1.1"),
        ({"pct_start": -0.1}, "pct_start=-0.1"),
        ({"div_factor": 0}, "div_factor=0"),
        ({"div_factor": 1e-320}, "lr / div_factor / final_div_factor=inf"),
        ({"final_div_factor": 1e-320}, "final_div_factor=inf"),
        ({"final_div_factor": math.nan}, "final_div_factor=nan"),
        ({"frozen": [5]}, "frozen=5"),
        ({"frozen": 1}, "frozen=1"),
        ({"frozen": [2]}, "nothing to train"),
    ],
)
def test_a_wrong_phase_says_what_was_received(wrong, words):
    """Range, type and length of every field are checked where the phase is made."""
    with pytest.raises(DifflrError) as error:
        Phase(**{"freeze_to": -1, "epochs": 1, "lrs": [0, 0, 1e-3], **wrong})
    assert words in error.value.problem
    assert error.value.remedy


@pytest.mark.parametrize(
    ("phases", "words"),
    [
        ([], "phases=[], expected a list of entries"),
        ([HEAD, [0, 1]], "Received [0, 1], expected a Phase"),
        (HEAD, "expected a list"),
        ([HEAD, Phase(0, 1, [1e-3, 1e-3])], "Phase 2: Received 2 learning rates, expected 3"),
        ([Phase(-1, 1, [1e-3, 0, 1e-3])], "Phase 1: Split 0 is frozen"),
        ([HEAD, Phase(0, 1, [0, 0, 1e-3])], "Phase 2: Split 0 is trainable"),
        ([Phase(0, 1, [1e-3, 1e-3], frozen=[1])], "Split 1 is frozen"),
    ],
)
def test_a_wrong_plan_names_the_phase(phases, words):
    """Phases that disagree, an LR on a frozen split, none on a trainable one."""
    with pytest.raises(DifflrError) as error:
        Plan(phases)
    assert words in error.value.problem


@pytest.mark.parametrize(
    "wrong",
    [
        {"anneal": "step"},
        {"anneal": None},
        {"anneal": np.array([1, 2])},
        {"base_momentum": 1.5},
        {"max_momentum": math.nan},
        {"cycle_momentum": 1},
        {"train_bn": "yes"},
    ],
)
def test_a_wrong_setting_is_refused_by_name(wrong):
    """The settings of the whole plan are checked like those of a phase."""
    with pytest.raises(DifflrError, match=next(iter(wrong))):
        Plan([HEAD], **wrong)


def test_batchnorm_in_frozen_splits_may_have_a_learning_rate():
    """With ``train_bn`` the LR of a frozen split is that of its BatchNorm layers; 0 is fine too."""
    assert Plan([Phase(-1, 1, [1e-4, 0, 1e-3])], train_bn=True).phases[0].lrs == (1e-4, 0, 1e-3)


def test_a_plan_is_checked_against_splits_and_epochs():
    """Before training; the message has both sides."""
    PLAN.check(3, 3)
    with pytest.raises(DifflrError, match="3 learning rates per phase, the model has 6 splits"):
        PLAN.check(6)
    with pytest.raises(DifflrError, match=r"lasts 3 epochs, the trainer runs 10.*max_epochs=3"):
        PLAN.check(3, 10)


@pytest.mark.parametrize("step", [-1, 1.5, None, True])
def test_a_wrong_step_is_refused(step):
    """A step is a whole number from 0; a negative one would wrap round to the last phase."""
    with pytest.raises(DifflrError, match="step"):
        PLAN.lrs(step, 10)


@settings(max_examples=120)
@given(st.dictionaries(st.sampled_from([*PLAN.to_dict(), "lr"]) | st.text(max_size=2), junk) | junk)
@example({"phases": [{"freeze_to": 0, "epochs": 1, "lrs": [1e-3], 1: 2}]})
@example({"phases": [{"freeze_to": 0, "epochs": 1}]})
@example({"phases": [], 3: 1})
def test_junk_is_a_plan_or_a_difflr_error(data):
    """Never another exception, whatever ``from_dict`` is given."""
    try:
        assert isinstance(Plan.from_dict(data), Plan)
    except DifflrError as error:
        _explained(error)


fields = st.fixed_dictionaries(
    {"freeze_to": junk | st.integers(-3, 2), "epochs": junk | st.integers(1, 3)},
    optional={
        "lrs": junk | st.lists(st.floats(0, 1), min_size=1, max_size=3),
        "pct_start": junk | st.floats(0, 1),
        "div_factor": junk | st.floats(1, 30),
        "final_div_factor": junk | st.floats(1, 30),
        "frozen": junk | st.just([]),
    },
)


@settings(max_examples=120)
@given(st.lists(fields, max_size=3), junk, junk, st.integers(0, 40))
def test_junk_in_the_fields_is_a_plan_with_finite_rates_or_a_difflr_error(
    phases, anneal, flag, step
):
    """What is accepted gives a finite LR at every step; the rest is the one exception."""
    data = {"phases": phases, "anneal": anneal if step % 2 else "cos", "train_bn": flag is None}
    try:
        plan = Plan.from_dict(data)
    except DifflrError:
        return
    assert all(math.isfinite(lr) and lr >= 0 for lr in plan.lrs(step, 7))


def test_a_plan_knows_no_torch():
    """Plans, recipes and milestones are plain data: importing them loads neither torch nor Lightning."""
    code = (
        "import sys, difflr; difflr.make_plan('gradual', 6); difflr.MILESTONES_2020; difflr.Ratio\n"
        "heavy = {'torch', 'pytorch_lightning', 'torchvision', 'matplotlib', 'ipywidgets', 'numpy'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def _explained(error: DifflrError) -> None:
    assert error.problem
    assert error.remedy


@pytest.mark.parametrize("name", ["base_momentum", "max_momentum"])
def test_a_momentum_of_one_is_refused(name):
    """Fused AdamW would divide by zero and fill the weights with NaN."""
    with pytest.raises(DifflrError, match=f"{name}=1.*below 1"):
        Plan([Phase(0, 1, [1e-3])], **{name: 1})
