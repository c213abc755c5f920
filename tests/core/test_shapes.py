"""Shapes of a learning rate: equal to torch's own schedulers, step by step, and to the warm-ups in use."""

import math

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    LinearLR,
    OneCycleLR,
    SequentialLR,
    StepLR,
)

from difflr import DifflrError, Phase, Plan, PlanScheduler, make_plan, plot_plan
from difflr.figures.words import describe_plan
from difflr.recipes import RECIPES
from difflr.shapes import Constant, Cosine, Linear, Steps, shape_from_dict
from difflr.studies.recordings import list_recordings, load_recording

EPOCHS, STEPS = 6, 10
TOTAL = EPOCHS * STEPS


def optimizer(lrs, **options):
    """An optimizer with a group per rate."""
    groups = [{"params": [nn.Parameter(torch.ones(1))], "lr": lr} for lr in lrs]
    return torch.optim.AdamW(groups, **options)


def traced(opt, scheduler, steps=TOTAL, every=1):
    """Return the learning rates of each step, as an optimizer trains with them."""
    seen = []
    for step in range(steps):
        seen.append([group["lr"] for group in opt.param_groups])
        opt.step()
        if (step + 1) % every == 0:
            scheduler.step()
    return seen


def ours(shape, lrs=(1e-3, 1e-2)):
    """Return the learning rates that the plan's scheduler writes."""
    opt = optimizer([0.0] * len(lrs))
    return traced(opt, PlanScheduler(opt, Plan([Phase(0, EPOCHS, lrs, shape=shape)]), STEPS))


def warmed(opt, rise, after, start=0.1):
    """Return torch's warm-up with a schedule after it."""
    first = LinearLR(opt, start_factor=start, total_iters=rise)
    return SequentialLR(opt, [first, after], milestones=[rise])


@pytest.mark.parametrize(
    ("shape", "torchs", "every"),
    [
        (Cosine(), lambda o: CosineAnnealingLR(o, TOTAL), 1),
        (Linear(), lambda o: LinearLR(o, 1.0, 0.0, TOTAL), 1),
        (Linear(end_factor=0.2), lambda o: LinearLR(o, 1.0, 0.2, TOTAL), 1),
        (Constant(), lambda o: ConstantLR(o, 1.0, TOTAL), 1),
        (Steps(every=2, gamma=0.5), lambda o: StepLR(o, 2, 0.5), STEPS),
        (
            Cosine(warmup=0.2, start_factor=0.1),
            lambda o: warmed(o, 12, CosineAnnealingLR(o, TOTAL - 12)),
            1,
        ),
        (
            Linear(warmup=0.1, start_factor=0.1),
            lambda o: warmed(o, 6, LinearLR(o, 1.0, 0.0, TOTAL - 6)),
            1,
        ),
        (
            Constant(warmup=0.5, start_factor=0.1),
            lambda o: warmed(o, 30, ConstantLR(o, 1.0, 1)),
            1,
        ),
    ],
    ids=[
        *("cosine", "line", "line to a fifth", "constant", "steps"),
        *("warm-up and cosine", "warm-up and line", "warm-up and constant"),
    ],
)
def test_a_shape_is_torchs(shape, torchs, every):
    """At every step and in every group."""
    opt = optimizer([1e-3, 1e-2])
    expected = traced(opt, torchs(opt), every=every)
    for own, theirs in zip(ours(shape), expected, strict=True):
        assert own == pytest.approx(theirs, rel=1e-9, abs=1e-15)


def test_the_end_of_a_cosine_is_torchs_eta_min():
    """``end_factor`` times the peak; torch takes one number for all groups."""
    opt = optimizer([1e-2])
    expected = traced(opt, CosineAnnealingLR(opt, TOTAL, eta_min=1e-3))
    for own, theirs in zip(ours(Cosine(end_factor=0.1), [1e-2]), expected, strict=True):
        assert own == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize("warmup", [0.0, 0.07, 0.1, 1.0])
@pytest.mark.parametrize("kind", ["cosine", "linear"])
def test_the_warm_up_is_that_of_transformers(kind, warmup):
    """As ``get_cosine_schedule_with_warmup`` and ``get_linear_schedule_with_warmup`` document it."""
    rise = math.ceil(TOTAL * warmup)
    for step, (own,) in enumerate(ours(shape_from_dict({"kind": kind, "warmup": warmup}), [1.0])):
        if step < rise:
            factor = step / max(1, rise)
        else:
            progress = (step - rise) / max(1, TOTAL - rise)
            falling = {"cosine": 0.5 * (1 + math.cos(math.pi * progress)), "linear": 1 - progress}
            factor = max(0.0, falling[kind])
        assert own == pytest.approx(factor, abs=1e-12)


def test_the_warm_up_is_that_of_timm():
    """As its ``CosineLRScheduler`` with ``warmup_prefix=True``: a fixed first rate, then the cosine."""
    rise, first, low = 6, 0.1, 0.05
    shape = Cosine(warmup=rise / TOTAL, start_factor=first, end_factor=low)
    for step, (own,) in enumerate(ours(shape, [1.0])):
        if step < rise:
            expected = first + step * (1 - first) / rise
        else:
            angle = math.pi * (step - rise) / (TOTAL - rise)
            expected = low + 0.5 * (1 - low) * (1 + math.cos(angle))
        assert own == pytest.approx(expected, abs=1e-12)


def test_a_shape_runs_on_over_several_phases():
    """What trains changes with the phases; the rate moves as if they were one."""
    phases = [
        Phase(-1, 2, [0, 1e-2], shape="cosine"),
        Phase(0, 4, [1e-3, 1e-2], shape="cosine", continues=True),
    ]
    plan = Plan(phases)
    whole = Plan([Phase(0, 6, [1e-3, 1e-2], shape="cosine")])
    for step in range(TOTAL):
        first, last = plan.lrs(step, STEPS)
        assert last == whole.lrs(step, STEPS)[1]
        assert first == (0 if step < 2 * STEPS else whole.lrs(step, STEPS)[0])
    anew = Plan([phases[0], Phase(0, 4, [1e-3, 1e-2], shape="cosine")])
    assert anew.lrs(2 * STEPS, STEPS) == (1e-3, 1e-2)


def test_one_cycle_runs_on_as_torchs():
    """Unfreezing in the middle of one single OneCycleLR, bit for bit."""
    plan = make_plan("gradual", 2, EPOCHS, lr=1e-2, continues=True)
    opt = optimizer([1e-2])
    scheduler = OneCycleLR(opt, 1e-2, total_steps=TOTAL)
    expected = []
    for _ in range(TOTAL):
        expected.append(opt.param_groups[0]["lr"])
        opt.step()
        if len(expected) < TOTAL:
            scheduler.step()
    assert [plan.lrs(step, STEPS)[-1] for step in range(TOTAL)] == expected


def test_momentum_is_the_optimizers_own_where_no_cycle_moves_it():
    """A constant plan leaves beta1 alone; after a phase of one cycle it is what it was."""
    opt = optimizer([0.0], betas=(0.7, 0.99))
    PlanScheduler(opt, make_plan("uniform", 1, 2, shape="constant"), STEPS)
    assert opt.param_groups[0]["betas"] == (0.7, 0.99)
    opt = optimizer([0.0], betas=(0.7, 0.99))
    plan = Plan([Phase(0, 1, [1e-3]), Phase(0, 1, [1e-3], shape="constant")])
    scheduler = PlanScheduler(opt, plan, STEPS)
    assert opt.param_groups[0]["betas"] == (0.95, 0.99)
    for _ in range(STEPS):
        opt.step()
        scheduler.step()
    assert opt.param_groups[0]["betas"] == (0.7, 0.99)


def test_resuming_in_the_middle_of_a_shape_goes_on_with_it():
    """The state is a step, whatever the shape."""
    plan = make_plan("freeze_then_cosine", 3, EPOCHS, lr=1e-2, ratio=10)
    first, second = optimizer([0.0] * 3), optimizer([0.0] * 3)
    scheduler = PlanScheduler(first, plan, STEPS)
    traced(first, scheduler, 27)
    resumed = PlanScheduler(second, plan, STEPS)
    resumed.load_state_dict(scheduler.state_dict())
    assert traced(second, resumed, 20) == traced(first, scheduler, 20)
    other = PlanScheduler(second, make_plan("freeze_then_cosine", 3, EPOCHS, warmup=0.2), STEPS)
    with pytest.raises(DifflrError, match="another plan"):
        other.load_state_dict(scheduler.state_dict())


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_takes_a_shape(name):
    """In each of its phases, and written and read back the same."""
    plan = make_plan(name, 6, EPOCHS, shape="cosine", end_factor=0.1)
    assert all(phase.shape == Cosine(end_factor=0.1) for phase in plan.phases)
    assert Plan.from_dict(plan.to_dict()) == plan
    assert make_plan(name, 6, EPOCHS, pct_start=0.5).phases[-1].pct_start == 0.5
    assert "along a cosine" in describe_plan(plan)
    plot_plan(plan).canvas.draw()


def test_plans_of_one_cycle_are_written_as_they_always_were():
    """The fingerprints of recorded plans, and so of old checkpoints, still hold."""
    for name in list_recordings():
        plans = load_recording(name).plans
        assert {key: plan.fingerprint for key, plan in plans.items()} == {key: key for key in plans}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Phase(0, 1, [1e-3], shape="spiral"), "spiral"),
        (lambda: Phase(0, 1, [1e-3], shape=3), "3"),
        (lambda: Phase(0, 1, [1e-3], shape={"kind": "cosine", "gamma": 1}), "no gamma"),
        (lambda: Cosine(warmup=2), "warmup=2"),
        (lambda: Cosine(end_factor=math.nan), "end_factor"),
        (lambda: Steps(every=0), "every=0"),
        (lambda: Steps(every=1.5), "every=1.5"),
        (lambda: Phase(0, 1, [1e-3], continues=1), "continues=1"),
        (
            lambda: Plan([Phase(0, 1, [1e-3], continues=True)]),
            "Phase 1 continues, but nothing is before",
        ),
        (
            lambda: Plan([Phase(0, 1, [1]), Phase(0, 1, [1], shape="cosine", continues=True)]),
            "Phase 2 continues phase 1, but moves in another way",
        ),
        (lambda: make_plan("uniform", 2, warmup=0.1), "no option warmup.*shape="),
        (lambda: make_plan("uniform", 2, shape="cosine", pct_start=0.2), "pct_start"),
        (lambda: make_plan("uniform", 2, shape="cosine", pace=0.2), "no pace"),
    ],
)
def test_what_makes_no_shape_is_refused(make, message):
    """With what was received and what there is."""
    with pytest.raises(DifflrError, match=message):
        make()


def test_the_milestones_of_2020_do_not_hide_another_shape():
    """The dictionary has no word for it, so it is refused rather than lost."""
    from difflr import to_milestones

    with pytest.raises(DifflrError, match="one cycle per phase"):
        to_milestones(make_plan("uniform", 2, shape="cosine"))


def test_the_editors_code_makes_an_equal_plan():
    """Copied out of the plan editor, a shape is kept."""
    from difflr.widgets._draft import plan_code

    plan = make_plan("gradual", 3, 3, shape="cosine", warmup=0.1, continues=True)
    space = {}
    exec(plan_code(plan), space)
    assert space["plan"] == plan
