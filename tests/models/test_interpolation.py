"""Between two networks: the weights on the line between them, and the ends bit for bit."""

import copy

import pytest
import torch
from torch import nn

from difflr import DifflrError, interpolate, replace_head


def network(seed, dtype=None):
    """A small network with BatchNorm whose statistics have moved."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))
    for _ in range(seed + 1):
        model(torch.randn(8, 4) + seed)
    return model.to(dtype)


def test_weights_and_statistics_lie_on_the_line():
    """A quarter of the way, in a new dictionary that the model loads; batches seen are of after."""
    before, after = network(0), network(3)
    start, end = before.state_dict(), after.state_dict()
    between = interpolate(before, after, 0.25)
    for name, value in between.items():
        if name != "1.num_batches_tracked":
            torch.testing.assert_close(value, 0.75 * start[name] + 0.25 * end[name])
    assert between["1.num_batches_tracked"] == 4
    assert between["1.num_batches_tracked"].dtype == torch.int64
    network(5).load_state_dict(between)
    between["0.weight"].zero_()
    assert before[0].weight.all()
    assert after[0].weight.all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("alpha", [0, 1])
def test_the_ends_are_bit_for_bit(dtype, alpha):
    """Also a negative zero and an infinity, and what is counted; they are copies, of the same type."""
    ends = network(0, dtype), network(3, dtype)
    with torch.no_grad():
        for model in ends:
            model[0].bias[:2] = torch.tensor([-0.0, float("inf")])
    end = ends[alpha].state_dict()
    found = interpolate(*ends, alpha)
    for name, value in found.items():
        assert value.dtype == end[name].dtype
        assert torch.equal(raw(value), raw(end[name]))
        assert value.data_ptr() != end[name].data_ptr()


def raw(tensor):
    """Return the bytes of a tensor: negative zero differs from zero."""
    return tensor.detach().reshape(-1).view(torch.uint8)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float8_e4m3fn])
def test_low_precision_is_rounded_once(dtype):
    """The result is that of float32, rounded, and its type is kept."""
    before, after = ({"weight": torch.randn(50).to(dtype)} for _ in range(2))
    found = interpolate(before, after, 0.3)["weight"]
    exact = torch.lerp(before["weight"].float(), after["weight"].float(), 0.3)
    assert found.dtype == dtype
    assert torch.equal(raw(found), raw(exact.to(dtype)))


def test_a_replaced_head_is_named_and_both_ways_on_work():
    """The message says which tensors differ; the body alone, or a copy made after the replacement."""
    before = network(0)
    after = replace_head(copy.deepcopy(before), 5)
    with pytest.raises(
        DifflrError, match=r"3\.weight \(3, 6\) and \(5, 6\), 3\.bias.*head"
    ) as error:
        interpolate(before, after, 0.5)
    assert "before | {name: after[name]" in error.value.remedy
    old, new = before.state_dict(), after.state_dict()
    body = interpolate(old | {name: new[name] for name in ("3.weight", "3.bias")}, new, 0.5)
    assert torch.equal(body["3.weight"], new["3.weight"])
    start = copy.deepcopy(after.state_dict())
    with torch.no_grad():
        after[3].weight.add_(2)
    torch.testing.assert_close(interpolate(start, after, 0.5)["3.weight"], start["3.weight"] + 1)


def test_a_state_dict_that_was_not_copied_is_refused():
    """It has moved with training, and there is nothing between it and the network."""
    model = network(0)
    before = model.state_dict()
    with torch.no_grad():
        model[0].weight.add_(1)
    with pytest.raises(DifflrError, match=r"same tensors.*deepcopy"):
        interpolate(before, model, 0.5)


@pytest.mark.parametrize(
    ("before", "after", "alpha", "message"),
    [
        (network(0), network(1), 1.5, "alpha=1.5"),
        (network(0), network(1), True, "alpha=True"),
        (
            network(0).state_dict(),
            nn.ModuleDict({"module": network(1)}),
            0.5,
            "Only before has 0.w",
        ),
        (network(0)[:2], network(1), 0.5, "Only after has 3.weight"),
        (network(0), network(1, torch.bfloat16), 0.5, "Types differ: 0.weight torch.float32"),
        ({"state_dict": network(0).state_dict()}, network(1), 0.5, r'checkpoint\["state_dict"\]'),
        ("before.ckpt", network(1), 0.5, "'before.ckpt', expected a model"),
        ({}, {}, 0.5, "empty"),
    ],
)
def test_what_has_nothing_between_is_refused(before, after, alpha, message):
    """With what differs and how to go on."""
    with pytest.raises(DifflrError, match=message):
        interpolate(before, after, alpha)
