"""Several optimizers under one plan, and what differs from split to split beside the learning rate."""

import copy

import pytest
import torch
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
    range_test,
    report,
    split_model,
)

Muon = getattr(torch.optim, "Muon", None)
muon_only = pytest.mark.skipif(Muon is None, reason="torch.optim.Muon came with torch 2.9")
STEPS = 4


class Mixed(nn.Module):
    """An embedding, hidden matrices with a norm between them, a convolution, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(16, 6)
        self.one = nn.Sequential(nn.Linear(6, 6), nn.LayerNorm(6), nn.Linear(6, 8, bias=False))
        self.two = nn.Sequential(nn.Conv1d(1, 2, 3, padding=1), nn.Flatten(), nn.Linear(16, 5))
        self.head = nn.Linear(5, 3)

    def forward(self, ids):
        return self.head(self.two(self.one(self.embedding(ids))[:, None]))


def mixed():
    """The model and its four splits."""
    torch.manual_seed(0)
    model = Mixed()
    return model, split_model(model, [model.embedding, model.one, model.two, model.head])


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


def test_matrices_are_those_of_hidden_layers():
    """Neither embeddings, convolutions, vectors nor the head."""
    _, splits = mixed()
    groups = param_groups(splits, matrices=True, weight_decay=0.1)
    shapes = [tuple(p.shape) for g in groups if g["matrices"] for p in g["params"]]
    assert shapes == [(6, 6), (8, 6), (5, 16)]
    assert [g["name"] for g in groups if g["matrices"]] == ["one/matrices", "two/matrices"]
    held = [id(p) for g in groups for p in g["params"]]
    assert sorted(held) == sorted(id(p) for p in splits.model.parameters())


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


def test_weight_decay_is_given_per_split():
    """A list; what decays in no split does not in this one."""
    _, splits = mixed()
    groups = param_groups(splits, weight_decay=[0.4, 0.3, 0.2, 0.1])
    found = {g["name"]: g["weight_decay"] for g in groups}
    assert [found[name] for name in splits.names] == [0.4, 0.3, 0.2, 0.1]
    assert all(wd == 0 for name, wd in found.items() if name.endswith("/no_decay"))
    for wrong, why in (
        ([0.1, 0.2], "Received 2 values of weight_decay, expected 4"),
        ([0.1] * 3 + [-1], "at least 0"),
    ):
        with pytest.raises(DifflrError, match=why):
            param_groups(splits, weight_decay=wrong)


def test_momentum_is_given_per_split():
    """And stays so under a plan that leaves the momentum alone; one that cycles it refuses."""
    _, splits = mixed()
    momenta, betas = [0.5, 0.6, 0.7, 0.8], [(0.5, 0.9), (0.6, 0.9), (0.7, 0.9), (0.8, 0.99)]
    still = Plan([Phase(0, 3, PEAKS)], cycle_momentum=False)
    for name, values, kind in (("momentum", momenta, SGD), ("betas", betas, AdamW)):
        optimizer = kind(param_groups(splits, **{name: values}))
        with pytest.raises(DifflrError, match=rf"differ in their {name}.*cycle_momentum=False"):
            PlanScheduler(optimizer, PLAN, STEPS)
        scheduler = PlanScheduler(optimizer, still, STEPS)
        optimizer.step(), scheduler.step()
        assert all(g[name] == values[g["split"]] for g in optimizer.param_groups)
    same_betas = AdamW(param_groups(splits, betas=(0.8, 0.95)))
    assert all(g["betas"] == (0.8, 0.95) for g in same_betas.param_groups)
    PlanScheduler(same_betas, PLAN, STEPS)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"momentum": 1.0}, "momentum"),
        ({"momentum": [0.9]}, "1 values of momentum"),
        ({"betas": 0.9}, "two numbers"),
        ({"betas": [(0.9, 0.9)]}, "1 values of betas"),
        ({"betas": (0.9, 1.0)}, "betas"),
        ({"weight_decay": "0.1"}, "weight_decay"),
        ({"lora_plus": 16}, "no split holds a parameter called lora_B"),
        ({"lora_plus": 0}, "lora_plus"),
    ],
)
def test_wrong_options_of_groups_are_refused(wrong, why):
    """What was received, and what was expected."""
    with pytest.raises(DifflrError, match=why):
        param_groups(mixed()[1], **wrong)


def test_momentum_that_an_optimizer_would_not_read_is_refused():
    """AdamW has betas, SGD has none."""
    _, splits = mixed()
    with pytest.raises(DifflrError, match=r"AdamW has betas, and would never read.*Pass betas="):
        PlanScheduler(AdamW(param_groups(splits, momentum=0.5)), PLAN, STEPS)
    with pytest.raises(
        DifflrError, match=r"SGD has momentum, and would never read.*Pass momentum="
    ):
        PlanScheduler(SGD(param_groups(splits, betas=(0.5, 0.9))), PLAN, STEPS)


class Adapted(nn.Module):
    """A frozen layer with LoRA's matrices beside it, named as PEFT names them."""

    def __init__(self) -> None:
        super().__init__()
        self.base = nn.Linear(4, 4).requires_grad_(False)
        self.lora_A = nn.ModuleDict({"default": nn.Linear(4, 2, bias=False)})
        self.lora_B = nn.ModuleDict({"default": nn.Linear(2, 4, bias=False)})


def test_loras_b_matrices_have_another_rate():
    """At every step of every phase, in the range test and in the report, which shows the split's own."""
    model = nn.Sequential(Adapted(), Adapted(), nn.Linear(4, 2))
    splits = split_model(model, list(model))
    optimizer = AdamW(param_groups(splits, 1e-3, lora_plus=16))
    rates = {g["name"]: g["lr"] for g in optimizer.param_groups}
    assert rates["0/lora_B"] == 16e-3
    assert rates["0"] == rates["2"] == 1e-3
    assert [
        id(p) for g in optimizer.param_groups if g["name"] == "1/lora_B" for p in g["params"]
    ] == [id(model[1].lora_B["default"].weight)]
    assert "0.001" in report(splits, optimizer)
    assert "0.016" not in report(splits, optimizer)
    plan = Plan([Phase(-1, 1, [0, 0, 1e-3]), Phase(0, 2, [1e-4, 1e-3, 1e-3])])
    scheduler = PlanScheduler(optimizer, plan, STEPS)
    for step in range(plan.epochs * STEPS):
        for group in optimizer.param_groups:
            factor = 16 if group["name"].endswith("/lora_B") else 1
            assert group["lr"] == plan.lrs(step, STEPS)[group["split"]] * factor
        optimizer.step(), scheduler.step()


def test_the_range_test_multiplies_what_the_plan_would_set():
    """Also where a group's rate is a multiple of its split's."""
    _, splits = mixed()
    optimizer = SGD(param_groups(splits))
    next(g for g in optimizer.param_groups if g["name"] == "head")["lr_factor"] = 8.0
    seen = []
    step = optimizer.step
    optimizer.step = lambda: (seen.append([g["lr"] for g in optimizer.param_groups]), step())
    data = [torch.arange(8)]
    find = range_test(splits, optimizer, data, PLAN.phases[0], low=1, high=2, steps=5,
                      loss=lambda net, ids: nn.functional.cross_entropy(net(ids), ids % 3))  # fmt: skip
    assert find.lrs == PEAKS
    rate = dict(zip([g["name"] for g in optimizer.param_groups], seen[0], strict=True))
    assert rate["head"] == 8 * rate["head/no_decay"] == 8 * PEAKS[-1]
