"""Several optimizers under one plan, one scheduler and one checkpoint."""

import copy

import pytest
import torch
from nets import mixed
from torch import nn
from torch.optim import SGD, AdamW
from torch.optim.lr_scheduler import OneCycleLR

from difflr import (
    DifflrError,
    JoinedOptimizer,
    Phase,
    Plan,
    PlanScheduler,
    param_groups,
)

Muon = getattr(torch.optim, "Muon", None)
muon_only = pytest.mark.skipif(Muon is None, reason="torch.optim.Muon came with torch 2.9")
STEPS = 4


def joined(splits, **options):
    """Muon for the matrices, AdamW for the rest."""
    groups = param_groups(splits, matrices=True, **options)
    return JoinedOptimizer(
        Muon([g for g in groups if g["matrices"]], adjust_lr_fn="match_rms_adamw"),
        AdamW([g for g in groups if not g["matrices"]]),
    )


def loss(model, step):
    """The loss of a batch that belongs to the step."""
    generator = torch.Generator().manual_seed(step)
    ids = torch.randint(0, 16, (8,), generator=generator)
    return nn.functional.cross_entropy(model(ids), ids % 3)


def train(model, optimizer, steps, *schedulers, others=()):
    """Step everything in turn; return the weights after each step."""
    seen = []
    for step in steps:
        loss(model, step).backward()
        for one in (optimizer, *others):
            one.step()
        for one in (optimizer, *others):
            one.zero_grad()
        for scheduler in schedulers:
            scheduler.step()
        seen.append({name: p.detach().clone() for name, p in model.named_parameters()})
    return seen


def same(one, other):
    """Whether two lists of weights are equal to the last bit."""
    return all(torch.equal(a[n], b[n]) for a, b in zip(one, other, strict=True) for n in a | b)


PEAKS = (1e-3, 2e-3, 4e-3, 8e-3)
PLAN = Plan([Phase(0, 3, PEAKS)])


@muon_only
def test_muon_and_adamw_train_as_two_optimizers_do_under_torchs_one_cycle():
    """To the last bit after every step: one plan, one scheduler, one optimizer on this side."""
    model, splits = mixed()
    optimizer = joined(splits)
    ours = train(model, optimizer, range(12), PlanScheduler(optimizer, PLAN, STEPS))
    model, splits = mixed()
    groups = param_groups(splits, matrices=True)
    matrices = [g for g in groups if g["matrices"]]
    rest = [g for g in groups if not g["matrices"]]
    muon, adamw = Muon(matrices, adjust_lr_fn="match_rms_adamw"), AdamW(rest)
    cycles = [
        OneCycleLR(one, [PEAKS[g["split"]] for g in one.param_groups], total_steps=12)
        for one in (muon, adamw)
    ]
    theirs = []
    for step in range(12):  # torch's cycle may not be stepped beyond its end
        theirs += train(model, muon, [step], *(cycles if step < 11 else ()), others=[adamw])
    assert same(ours, theirs)


@muon_only
@pytest.mark.parametrize("how", ["state", "copy"])
def test_a_joined_optimizer_goes_on_where_it_stopped(how):
    """From what it saved, and as a copy."""
    model, splits = mixed()
    optimizer = joined(splits)
    scheduler = PlanScheduler(optimizer, PLAN, STEPS)
    whole = train(model, optimizer, range(5), scheduler)
    weights, state = copy.deepcopy(model.state_dict()), copy.deepcopy(optimizer.state_dict())
    kept, model_copy = scheduler.state_dict(), None
    if how == "copy":
        model_copy, optimizer_copy = copy.deepcopy((model, optimizer))
    whole += train(model, optimizer, range(5, 12), scheduler)
    if model_copy is None:
        model_copy, splits = mixed()
        optimizer_copy = joined(splits)
        model_copy.load_state_dict(weights)
        scheduler = PlanScheduler(optimizer_copy, PLAN, STEPS)
        optimizer_copy.load_state_dict(state)
    else:
        scheduler = PlanScheduler(optimizer_copy, PLAN, STEPS)
    scheduler.load_state_dict(kept)
    assert same(whole[5:], train(model_copy, optimizer_copy, range(5, 12), scheduler))


def test_a_closure_is_evaluated_once():
    """Lightning hands over the forward and backward in it."""
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    optimizer = JoinedOptimizer(SGD(net[0].parameters(), 0.1), SGD(net[1].parameters(), 0.1))
    before = [p.detach().clone() for p in net.parameters()]
    calls = []

    def closure():
        calls.append(1)
        value = net(torch.ones(1, 2)).sum()
        value.backward()
        return value

    assert optimizer.step(closure).requires_grad
    assert len(calls) == 1
    moved = [not torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True)]
    assert all(moved)


def test_what_cannot_be_joined_is_refused():
    """A parameter in two members, a group that comes later, no optimizers at all."""
    net = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="more than one"):
        JoinedOptimizer(SGD(net.parameters(), 0.1), AdamW(net.parameters()))
    optimizer = JoinedOptimizer(SGD([net.weight], 0.1), AdamW([net.bias]))
    with pytest.raises(DifflrError, match="no further groups"):
        optimizer.add_param_group({"params": [nn.Parameter(torch.ones(1))]})
    for wrong in ((), (net,), ([SGD([net.weight], 0.1)],)):
        with pytest.raises(DifflrError, match="expected torch optimizers"):
            JoinedOptimizer(*wrong)


def test_an_optimizer_of_some_splits_is_told_its_remedies():
    """Two optimizers are joined; what should have none is left out of the splits."""
    _, splits = mixed()
    groups = param_groups(splits)
    with pytest.raises(DifflrError, match=r"join them \(JoinedOptimizer\).*exclude=") as error:
        PlanScheduler(AdamW([g for g in groups if g["split"] > 1]), PLAN, STEPS)
    assert "splits 0 to 3" in str(error.value)
    both = [
        SGD([g for g in groups if g["split"] < 2]),
        AdamW([g for g in groups if g["split"] > 1]),
    ]
    scheduler = PlanScheduler(JoinedOptimizer(*both), PLAN, STEPS)
    assert len(scheduler.get_last_lr()) == len(groups)
