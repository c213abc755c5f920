"""What differs from split to split beside the learning rate, and which groups hold it."""

import pytest
from nets import mixed
from torch import nn
from torch.optim import SGD, AdamW

from difflr import DifflrError, Phase, Plan, PlanScheduler, param_groups, report, split_model

STEPS = 4
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
        ({"betas": [(0.9, 0.9)]}, "expected two numbers, or two for each of 4 splits"),
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
