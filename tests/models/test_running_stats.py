"""BatchNorm's statistics are estimated anew, and nothing else of the network changes."""

import copy

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from difflr import DifflrError, recalibrate


def network(dropout=0.0):
    """A small network with two BatchNorm layers; the second has a momentum and a mode of its own."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(4, 6),
        nn.BatchNorm1d(6),
        nn.Dropout(dropout),
        nn.Linear(6, 5),
        nn.BatchNorm1d(5, momentum=0.3),
    )
    model(3 * torch.randn(16, 4) + 2)
    model[4].eval()
    return model


def batches(n=3):
    """Return batches of pictures and labels; the last is smaller."""
    generator = torch.Generator().manual_seed(1)
    sizes = [8] * (n - 1) + [4]
    return [(torch.randn(size, 4, generator=generator), torch.zeros(size)) for size in sizes]


def test_equals_torchs_update_bn():
    """Mean and variance are the plain average over the batches, also where the layer was frozen."""
    model, rival = network(), network()
    update_bn(batches(), rival)
    assert recalibrate(model, batches()) == 2
    for name, value in rival.state_dict().items():
        assert torch.equal(value, model.state_dict()[name])
    hidden = torch.stack([model[0](x).detach().mean(0) for x, _ in batches()])
    torch.testing.assert_close(model[1].running_mean, hidden.mean(0))
    assert model[1].num_batches_tracked == 3


def test_only_the_statistics_change():
    """Modes, momenta, weights, gradients and random state stay; the model takes its own forward."""
    model = network(dropout=0.5)
    model(torch.randn(4, 4)).sum().backward()
    modes = [m.training for m in model.modules()]
    weights = copy.deepcopy([*model.parameters()])
    grads = [p.grad.clone() for p in model.parameters()]
    drawn = torch.get_rng_state()
    recalibrate(model, batches())
    assert [m.training for m in model.modules()] == modes
    assert (model[1].momentum, model[4].momentum) == (0.1, 0.3)
    assert all(map(torch.equal, weights, model.parameters()))
    assert all(torch.equal(g, p.grad) for g, p in zip(grads, model.parameters(), strict=True))
    assert torch.equal(drawn, torch.get_rng_state())


def test_dropout_does_not_reach_the_statistics():
    """They are those that the network meets in eval mode; torch's update_bn leaves dropout on."""
    model, plain, rival = network(0.5), network(), network(0.5)
    plain.load_state_dict(model.state_dict())
    rival.load_state_dict(model.state_dict())
    recalibrate(model, batches())
    recalibrate(plain, batches())
    update_bn(batches(), rival)
    assert torch.equal(model[4].running_var, plain[4].running_var)
    assert not torch.allclose(rival[4].running_var, plain[4].running_var)


@pytest.mark.parametrize(
    "form",
    [lambda x: x, lambda x: [x, 0], lambda x: {"pixels": x}],
    ids=["tensor", "list", "dictionary"],
)
def test_forms_of_a_batch(form):
    """A tensor, its first entry, or whatever ``forward`` takes; a generator as well."""
    model, other = network(), network()
    recalibrate(other, batches())
    made = (form(x) for x, _ in batches())
    if isinstance(form(0), dict):
        recalibrate(model, made, forward=lambda network, batch: network(batch["pixels"]))
    else:
        recalibrate(model, made)
    assert torch.equal(model[4].running_var, other[4].running_var)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ([], DifflrError, "no batches"),
        ([*batches(), {"pixels": torch.randn(2, 4)}], DifflrError, "batch of type dict.*forward="),
        ([*batches(), torch.randn(2, 9)], RuntimeError, "shapes"),
        ([*batches(), torch.randn(1, 4)], ValueError, "more than 1 value"),
    ],
)
def test_an_error_changes_nothing(given, error, message):
    """Not even after some batches: statistics, modes and momenta are those of before."""
    model = network()
    before, modes = copy.deepcopy(model.state_dict()), [m.training for m in model.modules()]
    with pytest.raises(error, match=message):
        recalibrate(model, given)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert [m.training for m in model.modules()] == modes
    assert (model[1].momentum, model[4].momentum) == (0.1, 0.3)


def test_a_layer_that_no_batch_reaches_keeps_its_statistics():
    """A classifier beside the main one, which runs in train mode only."""
    model = nn.ModuleDict({"main": network(), "beside": network()})
    before = copy.deepcopy(model["beside"].state_dict())
    assert recalibrate(model, batches(), forward=lambda m, batch: m["main"](batch[0])) == 2
    after = model["beside"].state_dict()
    assert all(torch.equal(before[name], value) for name, value in after.items())
    with pytest.raises(DifflrError, match="reach no BatchNorm layer"):
        recalibrate(model, batches(), forward=lambda m, batch: None)


def test_a_network_without_statistics_is_left_alone():
    """No layer, or one that keeps no statistics: nothing is run."""
    model = nn.Sequential(nn.LayerNorm(4), nn.BatchNorm1d(4, track_running_stats=False))
    assert recalibrate(model, iter([])) == 0
