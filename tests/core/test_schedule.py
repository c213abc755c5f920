import io
from functools import partial
from itertools import pairwise

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from nets import changed, copies, train_step
from strategies import plans
from torch import nn
from torch.optim import SGD, Adagrad, Adam, AdamW, lr_scheduler

from difflr import (
    DifflrError,
    Phase,
    Plan,
    PlanScheduler,
    freeze_to,
    make_plan,
    param_groups,
    split_model,
)
from difflr.inspector import split_rows

TWO = Plan([Phase(-1, 1, [0, 1e-2]), Phase(0, 2, [1e-4, 1e-3])])
OPTIMIZERS = {
    "sgd": SGD,
    "sgd with momentum": partial(SGD, momentum=0.9, nesterov=True),
    "adam": Adam,
    "adamw": AdamW,
    "fused adamw": partial(AdamW, fused=True),
    "nadam": torch.optim.NAdam,
    "radam": torch.optim.RAdam,
    "adamax": torch.optim.Adamax,
    "adadelta": torch.optim.Adadelta,
    "adagrad": Adagrad,
    "rmsprop": torch.optim.RMSprop,
    "rprop": torch.optim.Rprop,
    "asgd": torch.optim.ASGD,
    "adafactor": getattr(torch.optim, "Adafactor", None),  # torch 2.5 brought it
}


def make(cls, n: int, **options):
    """An optimizer with one group (of one number) per split."""
    return cls([{"params": [nn.Parameter(torch.zeros(1))]} for _ in range(n)], lr=0.1, **options)


def momentum_of(group: dict) -> float | None:
    """Momentum or beta1 of a group."""
    return group["betas"][0] if "betas" in group else group.get("momentum")


def walk(optimizer, scheduler, steps: int) -> list:
    """LR and momentum of every group at every step, with ``steps - 1`` steps in between."""
    trace = []
    for step in range(steps):
        if step:
            optimizer.step()
            scheduler.step()
        trace.append([(g["lr"], momentum_of(g)) for g in optimizer.param_groups])
    return trace


def torch_trace(cls, plan: Plan, phase: Phase, steps: int) -> list:
    """What a fresh OneCycleLR does in one phase, or None where it divides by zero."""
    optimizer = make(cls, plan.n_splits)
    scheduler = lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=list(phase.lrs),
        total_steps=steps,
        pct_start=phase.pct_start,
        anneal_strategy=plan.anneal,
        cycle_momentum=plan.cycle_momentum,
        base_momentum=plan.base_momentum,
        max_momentum=plan.max_momentum,
        div_factor=phase.div_factor,
        final_div_factor=phase.final_div_factor,
    )
    return walk(optimizer, scheduler, steps)


@settings(max_examples=100)
@given(plans(), st.integers(1, 12), st.sampled_from([SGD, AdamW]))
@example(Plan([Phase(0, 1, [1.0])]), 1, SGD)
@example(Plan([Phase(0, 1, [1.0], pct_start=0.0)] * 2), 1, AdamW)
def test_lr_and_momentum_are_those_of_a_fresh_one_cycle_lr_per_phase(plan, steps, cls):
    """Bit for bit, over random phases, splits, lengths and shapes, one-step phases included."""
    optimizer = make(cls, plan.n_splits)
    scheduler = PlanScheduler(optimizer, plan, steps)
    ours = walk(optimizer, scheduler, plan.epochs * steps)
    for start, phase in zip(plan.starts, plan.phases, strict=True):
        length = phase.epochs * steps
        mine = ours[start * steps : start * steps + length]
        if phase.pct_start * length == 1:  # where OneCycleLR divides by zero
            with pytest.raises(ZeroDivisionError):
                torch_trace(cls, plan, phase, length)
            assert [lr for lr, _ in mine[0]] == list(phase.lrs)
            if plan.cycle_momentum:
                for _, momentum in mine[0]:  # reached by subtraction: to the last digit of 1
                    assert momentum == pytest.approx(plan.base_momentum, abs=1e-15)
        else:
            theirs = torch_trace(cls, plan, phase, length)
            if not plan.cycle_momentum:  # then OneCycleLR does not touch it, and nor do we
                assert {m for point in mine for _, m in point} == {
                    momentum_of(make(cls, 1).param_groups[0])
                }
            assert mine == theirs


@pytest.mark.parametrize(("pct_start", "steps"), [(1.0, 1), (0.5, 2), (0.25, 4), (0.1, 10)])
def test_a_rise_without_length_starts_at_the_peak_and_falls_like_torch(pct_start, steps):
    """Where OneCycleLR raises ZeroDivisionError the peak opens the phase; the fall is torch's own."""
    plan = Plan([Phase(0, 1, [0.5], pct_start=pct_start)])
    with pytest.raises(ZeroDivisionError):
        torch_trace(SGD, plan, plan.phases[0], steps)
    fall = [
        lr_scheduler.OneCycleLR._annealing_cos(0.5, 0.5 / 25 / 1e4, step / max(steps - 1, 1))
        for step in range(steps)
    ]
    assert [plan.lrs(step, steps)[0] for step in range(steps)] == fall
    assert fall[0] == 0.5


@settings(max_examples=60)
@given(plans(), st.integers(1, 8), st.integers(0, 30))
def test_past_the_end_the_last_step_holds(plan, steps, beyond):
    """Lightning steps a scheduler once more after the last batch; OneCycleLR would raise there."""
    last = plan.epochs * steps - 1
    assert plan.at(last + beyond, steps) == plan.at(last, steps)


@settings(max_examples=60)
@given(plans(), st.integers(1, 8))
def test_the_scheduler_writes_what_the_preview_shows(plan, steps):
    """``plan.at`` is the only source: the optimizer's LRs are its numbers, in its order."""
    optimizer = make(Adam, plan.n_splits)
    trace = walk(optimizer, PlanScheduler(optimizer, plan, steps), plan.epochs * steps + 2)
    assert [tuple(lr for lr, _ in point) for point in trace] == [
        plan.lrs(step, steps) for step in range(len(trace))
    ]


@pytest.mark.parametrize("name", [name for name, cls in OPTIMIZERS.items() if cls])
def test_any_optimizer_that_takes_groups_trains_by_the_plan(net, name):
    """LRs follow the plan, momentum too where there is one, and only trainable splits move."""
    splits = split_model(net)
    plan = Plan([Phase(-2, 1, [0, 0, 0, 0, 1e-3, 1e-2]), Phase(0, 1, [1e-3] * 6)])
    optimizer = OPTIMIZERS[name](param_groups(splits))
    scheduler = PlanScheduler(optimizer, plan, 3)
    for step in range(6):
        if step % 3 == 0:
            freeze_to(splits, plan.phases[step // 3].freeze_to)
            before = copies(splits)
        point = plan.at(step, 3)
        for group in optimizer.param_groups:
            assert group["lr"] == point.lrs[group["split"]]
            assert momentum_of(group) in (None, point.momentum)
        train_step(net, optimizer)
        scheduler.step()
        if step % 3 == 2:
            assert changed(splits, before) == list(plan.phases[step // 3].trainable)
    assert scheduler.cycles_momentum == (momentum_of(optimizer.param_groups[0]) is not None)


def test_a_learning_rate_that_is_a_tensor_is_filled_in_place():
    """Capturable and compiled optimizers keep the LR in a tensor, which has to stay the same one."""
    rates = [torch.tensor(0.0), torch.tensor(0.0)]
    groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates]
    optimizer = AdamW(groups, capturable=True)
    scheduler = PlanScheduler(optimizer, TWO, 4)
    for step in range(1, 7):
        optimizer.step()
        scheduler.step()
        assert [float(rate) for rate in rates] == pytest.approx(TWO.lrs(step, 4))
    assert [group["lr"] for group in optimizer.param_groups] == rates
    assert optimizer.param_groups[0]["lr"] is rates[0]


def test_the_state_is_a_step_and_a_fingerprint_and_loads_without_pickle():
    """Primitives only, so that ``torch.load(weights_only=True)`` reads a checkpoint with it."""
    scheduler = PlanScheduler(make(SGD, 2), TWO, 4)
    state = scheduler.state_dict()
    assert state == {
        "step": 0,
        "fingerprint": {
            "plan": TWO.fingerprint,
            "epochs": 3,
            "splits": ["0", "1"],
            "steps_per_epoch": 4,
        },
    }
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    assert torch.load(file, weights_only=True) == state


@pytest.mark.parametrize("cls", [SGD, AdamW])
def test_resuming_at_any_step_gives_the_same_trace(cls):
    """A new optimizer and scheduler go on from a saved step as if nothing had happened."""
    optimizer = make(cls, 2)
    whole = walk(optimizer, PlanScheduler(optimizer, TWO, 4), 14)
    for step in range(14):
        optimizer = make(cls, 2)
        scheduler = PlanScheduler(optimizer, TWO, 4)
        walk(optimizer, scheduler, step + 1)
        saved, saved_optimizer = scheduler.state_dict(), optimizer.state_dict()

        optimizer = make(cls, 2)
        scheduler = PlanScheduler(optimizer, TWO, 4)
        optimizer.load_state_dict(saved_optimizer)
        scheduler.load_state_dict(saved)
        assert scheduler.state_dict() == saved
        assert walk(optimizer, scheduler, 14 - step) == whole[step:]


def test_loading_a_state_sets_the_optimizer_at_once(recwarn):
    """LR and momentum are right before the first step, and torch has nothing to warn about."""
    optimizer = make(SGD, 2)
    scheduler = PlanScheduler(optimizer, TWO, 4)
    scheduler.load_state_dict({**scheduler.state_dict(), "step": 7})
    assert [g["lr"] for g in optimizer.param_groups] == list(TWO.lrs(7, 4))
    assert scheduler.get_last_lr() == list(TWO.lrs(7, 4))
    assert scheduler.phase_index == 1
    optimizer.step()
    scheduler.step()
    assert [g["lr"] for g in optimizer.param_groups] == list(TWO.lrs(8, 4))
    assert not recwarn


def scheduler_for(net: nn.Module, names: list[str], plan: Plan, steps: int) -> PlanScheduler:
    """A scheduler for two layers under these names."""
    cut = dict(zip(names, (["a"], ["b"]), strict=True))
    return PlanScheduler(SGD(param_groups(split_model(net, cut)), momentum=0.9), plan, steps)


@pytest.mark.parametrize(
    ("names", "plan", "steps", "difference"),
    [
        (["low", "high"], Plan([Phase(0, 3, [1e-4, 1e-3])]), 4, "plan: saved"),
        (["low", "high"], Plan([*TWO.phases, Phase(0, 1, [1, 1])]), 4, "epochs: saved 3, now 4"),
        (["low", "high"], TWO, 5, "steps_per_epoch: saved 4, now 5"),
        (["low", "top"], TWO, 4, "splits: saved ['low', 'high'], now ['low', 'top']"),
    ],
)
def test_the_state_of_another_plan_is_refused_by_its_difference(names, plan, steps, difference):
    """Also where the optimizer has taken over the saved groups, names and all, before that."""
    net = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)})
    saved = scheduler_for(net, ["low", "high"], TWO, 4)
    other = scheduler_for(net, names, plan, steps)
    other.optimizer.load_state_dict(saved.optimizer.state_dict())
    with pytest.raises(DifflrError) as error:
        other.load_state_dict(saved.state_dict())
    assert difference in str(error.value)
    assert "start a new run" in error.value.remedy
    assert other.last_epoch == 0


@pytest.mark.parametrize(
    "state",
    [
        {},
        None,
        {"last_epoch": 3, "_step_count": 4},
        {"fingerprint": {}},
        {"step": 1, "fingerprint": "abc"},
        {"step": 1, "fingerprint": {}},
    ],
)
def test_a_state_of_something_else_is_refused(state):
    """Also the state of one of torch's own schedulers, which would be taken in without a word."""
    with pytest.raises(DifflrError):
        PlanScheduler(make(SGD, 2), TWO, 4).load_state_dict(state)


@pytest.mark.parametrize("step", [-1, 1.5, None, True, "3"])
def test_a_state_with_a_broken_step_is_refused(step):
    """A step is a whole number from 0."""
    scheduler = PlanScheduler(make(SGD, 2), TWO, 4)
    with pytest.raises(DifflrError, match="step"):
        scheduler.load_state_dict({**scheduler.state_dict(), "step": step})


def test_an_optimizer_checkpoint_without_difflrs_entries_does_no_harm():
    """Which LR a group has was settled at the start; a loaded optimizer state cannot undo it."""
    optimizer = make(SGD, 2)
    foreign = optimizer.state_dict()
    scheduler = PlanScheduler(optimizer, TWO, 4)
    optimizer.load_state_dict(foreign)
    optimizer.step()
    scheduler.step()
    assert [g["lr"] for g in optimizer.param_groups] == list(TWO.lrs(1, 4))


@pytest.mark.parametrize("n", [1, 3])
def test_an_optimizer_with_another_number_of_groups_is_refused(n):
    """Without ``group["split"]`` there has to be one group per split."""
    with pytest.raises(DifflrError, match=f"model has {n} splits"):
        PlanScheduler(make(SGD, n), TWO, 4)


def test_groups_of_other_splits_are_refused(net):
    """A plan for two splits does not fit the groups of six."""
    with pytest.raises(DifflrError, match="splits 0 to 1"):
        PlanScheduler(SGD(param_groups(split_model(net))), TWO, 4)


def test_a_group_added_later_is_refused_with_the_remedy():
    """Unfreezing by ``add_param_group`` is what breaks schedulers and checkpoints elsewhere."""
    optimizer = make(SGD, 2)
    scheduler = PlanScheduler(optimizer, TWO, 4)
    optimizer.add_param_group({"params": [nn.Parameter(torch.zeros(1))]})
    optimizer.step()
    with pytest.raises(DifflrError, match="from the start"):
        scheduler.step()


@pytest.mark.parametrize("steps", [0, -1, 1.5, None, True, 10**400])
def test_a_wrong_number_of_steps_is_refused(steps):
    """Steps per epoch are a whole number from 1."""
    with pytest.raises(DifflrError, match="steps_per_epoch"):
        PlanScheduler(make(SGD, 2), TWO, steps)


def test_two_groups_of_one_split_share_its_learning_rate(net):
    """Weights and the group without weight decay are two groups with one LR."""
    plan = Plan([Phase(0, 1, [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1])])
    optimizer = AdamW(param_groups(split_model(net)))
    PlanScheduler(optimizer, plan, 10)
    by_name = {group["name"]: group["lr"] for group in optimizer.param_groups}
    assert by_name["stem"] == by_name["stem/no_decay"] == pytest.approx(1e-6 / 25)
    assert by_name["head"] == by_name["head/no_decay"] == pytest.approx(1e-1 / 25)


def test_phases_meet_without_a_gap():
    """The step on a border opens the next phase: it is the first of that cycle."""
    assert TWO.at(3, 4).phase == 0
    assert TWO.at(4, 4).phase == 1
    assert TWO.lrs(4, 4) == pytest.approx((1e-4 / 25, 1e-3 / 25))
    assert [TWO.at(s, 4).phase for s, _ in pairwise(range(13))] == [0] * 4 + [1] * 8


def test_a_plain_loop_needs_splits_plan_and_scheduler_only(net):
    """Under ten lines without Lightning: frozen phases freeze, and the trace is the preview's."""
    splits = split_model(net)
    plan = Plan([Phase(-1, 1, [0, 0, 0, 0, 0, 1e-2]), Phase(0, 2, [1e-3] * 6)])
    optimizer = AdamW(param_groups(splits))
    scheduler = PlanScheduler(optimizer, plan, steps_per_epoch=5)
    trace = []
    for epoch in range(plan.epochs):
        net.train()
        freeze_to(splits, plan.phase_at(epoch).freeze_to)
        before = copies(splits)
        for _ in range(5):
            trace.append(scheduler.get_last_lr()[0])
            train_step(net, optimizer)
            scheduler.step()
        assert changed(splits, before) == list(plan.phase_at(epoch).trainable)
    assert trace == [plan.lrs(step, 5)[0] for step in range(15)]


def test_a_loop_whose_phases_have_one_step_is_warned_before_it(net, recwarn):
    """The cycle's minimum is their only step; once, and not where the shape begins at its rate."""
    splits = split_model(net)

    def begin(steps, **options):
        recwarn.clear()
        plan = make_plan("lp_ft", splits, 2, lr=1e-2, **options)
        scheduler = PlanScheduler(SGD(param_groups(splits)), plan, steps)
        for _ in range(plan.epochs):
            scheduler.freeze(splits)
            scheduler.optimizer.step(), scheduler.step()
        return sum("learns next to nothing" in str(found.message) for found in recwarn)

    assert [begin(1), begin(2), begin(1, shape="constant")] == [1, 0, 0]


def test_freeze_follows_the_step_in_a_plain_loop(net):
    """At each epoch's start freeze() trains what the plan says and sends the rest to sleep."""
    splits = split_model(net)
    plan = make_plan("gradual", splits, epochs=len(splits))
    optimizer = torch.optim.SGD(param_groups(splits))
    scheduler = PlanScheduler(optimizer, plan, steps_per_epoch=2)
    for epoch in range(plan.epochs):
        net.eval()
        scheduler.freeze(splits)
        rows = split_rows(splits)
        expected = ["trainable" if t else "frozen" for t in plan.phase_at(epoch).trainable]
        assert [row.trainable for row in rows] == expected
        assert {row.bn for row in rows if row.trainable == "frozen"} <= {"eval", "-"}
        assert {row.bn for row in rows if row.trainable == "trainable"} <= {"train", "-"}
        optimizer.step(), scheduler.step()
        optimizer.step(), scheduler.step()
