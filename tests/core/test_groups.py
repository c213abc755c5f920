import math

import numpy as np
import pytest
import torch
import torchvision
from nets import SPLITS, TinyNet, block
from torch import nn
from torch.optim import SGD, AdamW

from difflr import DifflrError, Ulmfit, freeze_to, param_groups, split_model


def test_every_parameter_is_in_exactly_one_named_group():
    """Also those of frozen splits, from the first step on; names are the splits' own."""
    model = torchvision.models.resnet18()
    splits = split_model(model)
    freeze_to(splits, -1)
    groups = param_groups(splits, 1e-3)
    held = [id(p) for group in groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in model.parameters())
    assert [group["name"] for group in groups] == [n + s for n in SPLITS for s in ("", "/no_decay")]
    assert [group["split_name"] for group in groups] == [n for n in SPLITS for _ in range(2)]
    assert [group["split"] for group in groups] == [i for i in range(6) for _ in range(2)]
    assert [group["name"] for group in AdamW(groups).param_groups] == [g["name"] for g in groups]


def test_norms_and_biases_are_spared_weight_decay(net):
    """Weights decay, everything else of a split is in its second group."""
    groups = {group["name"]: group for group in param_groups(split_model(net), weight_decay=0.1)}
    assert groups["stem"]["params"] == [net.conv1.weight]
    assert {id(p) for p in groups["stem/no_decay"]["params"]} == {
        id(net.bn1.weight),
        id(net.bn1.bias),
    }
    assert groups["head"]["weight_decay"] == 0.1
    assert groups["head/no_decay"]["weight_decay"] == 0.0
    assert groups["head/no_decay"]["params"] == [net.fc.bias]


def test_norms_and_biases_decay_where_asked(net):
    """One group per split, then."""
    groups = param_groups(split_model(net), weight_decay=0.1, decay_norm_bias=True)
    assert [group["name"] for group in groups] == list(SPLITS)
    assert {group["weight_decay"] for group in groups} == {0.1}


@pytest.mark.parametrize(
    "norm",
    [
        nn.LayerNorm(8),
        nn.LayerNorm([4, 8, 8]),
        nn.GroupNorm(2, 4),
        nn.RMSNorm([8, 8]),
        nn.BatchNorm2d(4),
        nn.InstanceNorm2d(4, affine=True),
    ],
)
def test_a_norm_is_spared_by_its_class_whatever_its_shape(norm):
    """A LayerNorm over several dimensions has a weight that looks like a matrix."""
    model = nn.Sequential(nn.Conv2d(3, 4, 1), norm)
    (decayed, spared) = param_groups(split_model(model, [model]))
    assert decayed["params"] == [model[0].weight]
    assert {id(p) for p in spared["params"]} == {id(model[0].bias), *map(id, norm.parameters())}


def test_a_split_of_one_kind_has_one_group():
    """No empty groups."""
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.BatchNorm1d(2))
    groups = param_groups(split_model(model, [model[0], model[1]]))
    assert [group["name"] for group in groups] == ["0", "1/no_decay"]


def test_learning_rates_come_in_any_form(net):
    """One per split, for both of its groups."""
    groups = param_groups(split_model(net), Ulmfit(1.0))
    assert [g["lr"] for g in groups if g["name"] == f"{g['split_name']}"] == pytest.approx(
        [2.6 ** -(5 - i) for i in range(6)]
    )
    assert groups[0]["lr"] == groups[1]["lr"]


@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_weight_decay_and_momentum_may_be_of_numpy_or_torch(make):
    """One number or one per split, and the two betas in any of these forms."""
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    splits = split_model(model, list(model))

    def values(key, **given):
        return [group[key] for group in param_groups(splits, **given)]

    for value in (make([0.5, 0.25]), [make(0.5), make(0.25)]):
        assert values("weight_decay", weight_decay=value) == [0.5, 0.25]
        assert values("momentum", momentum=value) == [0.5, 0.25]
    assert values("weight_decay", weight_decay=make(0.5)) == [0.5, 0.5]
    for value in (make([0.5, 0.75]), (make(0.5), make(0.75)), make([[0.5, 0.75]] * 2)):
        assert values("betas", betas=value) == [(0.5, 0.75)] * 2


def test_tied_parameters_are_in_one_group_only():
    """An optimizer refuses a parameter that it is given twice."""
    model = nn.Module()
    model.embed, model.body, model.decode = nn.Embedding(5, 3), nn.Linear(3, 3), nn.Linear(3, 5)
    model.decode.weight = model.embed.weight
    splits = split_model(model, [model.embed, model.body, model.decode])
    optimizer = SGD(param_groups(splits, 0.1))
    held = [p for group in optimizer.param_groups for p in group["params"]]
    assert len(held) == len(list(model.parameters())) == 4


@pytest.mark.parametrize("decay", [-0.1, math.nan, None, True, "0.1"])
def test_a_wrong_weight_decay_is_refused(net, decay):
    """A number from 0."""
    with pytest.raises(DifflrError, match="weight_decay"):
        param_groups(split_model(net), weight_decay=decay)


def test_a_wrong_number_of_learning_rates_is_refused(net):
    """One per split."""
    with pytest.raises(DifflrError, match="Received 2 values of lr, expected 6"):
        param_groups(split_model(net), [1e-3, 1e-3])


def test_weight_decay_shrinks_weights_only():
    """With no gradient from the data, decayed weights shrink and the others stay as they are."""
    net = nn.Sequential(block(3, 4))
    optimizer = AdamW(param_groups(split_model(net, [net]), 0.1, weight_decay=0.5))
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    for p in net.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    for name, p in net.named_parameters():
        factor = 0.95 if p.ndim > 1 else 1.0
        assert torch.allclose(p, before[name] * factor), name


def test_the_head_of_a_new_network_is_grouped_too():
    """Splits are made after the head is replaced: its parameters are the new ones."""
    net = TinyNet()
    net.fc = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 10))
    groups = param_groups(split_model(net))
    assert [tuple(p.shape) for p in groups[-2]["params"]] == [(8, 4), (10, 8)]
