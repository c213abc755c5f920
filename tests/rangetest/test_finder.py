"""The range test finds a useful multiplier and leaves no trace."""

import copy
import random

import numpy as np
import pytest
import torch
from nets import mixed
from torch import nn
from torch.optim import SGD
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.flop_counter import FlopCounterMode

from difflr.errors import DifflrError
from difflr.experiments.flops import count_costs
from difflr.freezing import freeze_to
from difflr.groups import param_groups
from difflr.plan import Phase
from difflr.rangetest.finder import LossCurve, RangeTest, range_test
from difflr.rates import Ratio
from difflr.splits import split_model


def network():
    """Three small splits with BatchNorm, the same at every call."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU()),
        nn.Sequential(nn.Linear(16, 16), nn.BatchNorm1d(16), nn.Dropout(0.2), nn.ReLU()),
        nn.Linear(16, 3),
    )


@pytest.fixture
def case():
    """Return splits, an optimizer and easy data."""
    model = network()
    splits = split_model(model, list(model))
    torch.manual_seed(1)
    labels = torch.randint(0, 3, (96,))
    data = TensorDataset(torch.randn(3, 8)[labels] + 0.3 * torch.randn(96, 8), labels)
    optimizer = torch.optim.AdamW(param_groups(splits, Ratio(1e-3)))
    return splits, optimizer, data


def test_finds_where_the_loss_falls(case):
    """The suggestion lies inside the range, and training at it learns more than at the start."""
    splits, optimizer, data = case
    result = range_test(splits, optimizer, DataLoader(data, 32, shuffle=True))
    assert 1e-3 < result.suggestion < 1e3
    assert result.losses[0] > 1.5 * min(result.losses)
    assert result.suggested_lrs == tuple(lr * result.suggestion for lr in result.lrs)


@pytest.mark.parametrize("noise", [0.0, 0.05])
@pytest.mark.parametrize("steps", [60, 100])
def test_the_suggestion_lies_at_the_steepest_fall_and_not_right_of_it(steps, noise):
    """The loss falls fastest at a multiplier of 1, then explodes: an average of the past would lag."""
    found = []
    for seed in range(10):
        curve, numbers = LossCurve(steps, 3.0), np.random.default_rng(seed)
        for multiplier in np.geomspace(1e-2, 300, steps):
            exploded = max(0.0, multiplier / 100 - 1) ** 3
            loss = 0.3 + 2 / (1 + multiplier) + exploded + noise * numbers.normal()
            if not curve.add(float(multiplier), loss):
                break
        found.append(curve.steepest())
    assert 0.7 < np.median(found) < 1.4


@pytest.mark.parametrize("seed", range(4))
def test_luck_of_the_first_batches_is_no_suggestion(case, seed):
    """With eight pictures a batch it lies within a factor of ten of what all pictures suggest."""
    splits, optimizer, data = case
    shuffled = torch.Generator().manual_seed(seed)
    noisy = range_test(splits, optimizer, DataLoader(data, 8, shuffle=True, generator=shuffled))
    whole = range_test(splits, optimizer, DataLoader(data, len(data)))
    assert 0.1 < noisy.suggestion / whole.suggestion < 10


def test_no_suggestion_where_nothing_is_learned(case):
    """At rates too low to move the loss there is none, and the text says so."""
    splits, optimizer, data = case
    splits.model.eval()
    result = range_test(splits, optimizer, [data[:]], low=1e-9, high=1e-6)
    assert result.suggestion is None
    assert result.suggested_lrs == result.lrs
    assert "did not fall" in result.describe()


def test_there_is_one_learning_rate_per_split_with_and_without_a_phase(case):
    """Weights and biases are groups of their own in the optimizer, but one split has one rate."""
    splits, _, data = case
    optimizer = torch.optim.SGD(param_groups(splits, [1e-4, 1e-3, 1e-2]))
    assert len(optimizer.param_groups) > len(splits)
    result = range_test(splits, optimizer, [data[:]], steps=5)
    assert result.lrs == (1e-4, 1e-3, 1e-2)
    phase = Phase(0, 1, [1e-4, 1e-3, 1e-2])
    assert range_test(splits, optimizer, [data[:]], phase, steps=5).lrs == result.lrs


def test_ratios_are_kept(case):
    """At every step each split's LR is its own base times one and the same multiplier."""
    splits, optimizer, data = case
    seen = []
    step = optimizer.step

    def spy():
        seen.append([group["lr"] for group in optimizer.param_groups])
        step()

    optimizer.step = spy
    phase = Phase(0, 1, [1e-4, 1e-3, 1e-2])
    result = range_test(splits, optimizer, [next(iter(DataLoader(data, 32)))], phase, steps=20)
    base = [phase.lrs[group["split"]] for group in optimizer.param_groups]
    for lrs, multiplier in zip(seen, result.multipliers, strict=False):
        assert lrs == [lr * multiplier for lr in base]


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_leaves_no_trace(case, kind):
    """Model, gradients, modes, optimizer, BatchNorm and all random states are as before, bit for bit."""
    splits, _, data = case
    model = splits.model
    groups = param_groups(splits, 1e-2)
    make = {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW}[kind]
    optimizer = make(groups, **({"momentum": 0.9} if kind == "sgd" else {}))
    generator = torch.Generator().manual_seed(3)
    loader = DataLoader(data, 32, shuffle=True, generator=generator)
    for x, y in loader:
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    model.train()
    freeze_to(splits, 1)
    model[2].eval()

    def snapshot():
        return copy.deepcopy(
            {
                "model": model.state_dict(),
                "grads": [p.grad for p in model.parameters()],
                "flags": [p.requires_grad for p in model.parameters()],
                "modes": [m.training for m in model.modules()],
                "optimizer": optimizer.state_dict(),
                "torch": torch.get_rng_state(),
                "generator": generator.get_state(),
                "numpy": np.random.get_state()[1],
                "python": random.getstate(),
            }
        )

    before = snapshot()
    ids = [id(p) for p in model.parameters()] + [id(s) for s in optimizer.state.values()]
    phase = Phase(0, 1, [1e-3, 1e-2, 1e-1])
    result = range_test(splits, optimizer, loader, phase, steps=30)
    assert len(set(result.losses)) > 5, "nothing was trained"
    after = snapshot()
    assert same(before, after)
    assert ids == [id(p) for p in model.parameters()] + [id(s) for s in optimizer.state.values()]


def test_an_error_leaves_no_trace_either(case):
    """What was changed is undone when the loss function raises."""
    splits, optimizer, data = case
    before = copy.deepcopy(splits.model.state_dict())
    calls = []

    def loss(model, batch):
        calls.append(1)
        if len(calls) == 4:
            raise RuntimeError("broken")
        return nn.functional.cross_entropy(model(batch[0]), batch[1])

    with pytest.raises(RuntimeError, match="broken"):
        range_test(splits, optimizer, DataLoader(data, 32), loss=loss, low=1, high=10)
    assert same(before, splits.model.state_dict())
    assert not optimizer.state


def test_stops_when_it_diverges(case):
    """With SGD and a huge range the test ends early and says so."""
    splits, _, data = case
    optimizer = torch.optim.SGD(param_groups(splits, 1e-2))
    result = range_test(splits, optimizer, DataLoader(data, 32), high=1e8)
    assert result.diverged
    assert len(result.losses) < 100
    assert "diverged" in result.describe()


def test_frozen_splits_of_the_phase_stay(case):
    """A phase that trains the head alone moves nothing else during the test."""
    splits, optimizer, data = case
    first = splits[0].parameters["0.0.weight"]
    start = first.detach().clone()
    moved = []

    def loss(model, batch):
        moved.append(not torch.equal(first, start))
        assert not model[0][1].training
        return nn.functional.cross_entropy(model(batch[0]), batch[1])

    range_test(splits, optimizer, DataLoader(data, 32), Phase(-1, 1, [0, 0, 1e-2]), loss=loss)
    assert not any(moved)


def test_figure_and_text_of_a_result(case):
    """The picture holds the losses themselves, and notebooks get an alt text with it."""
    result = RangeTest((0.1, 1.0, 10.0), (3.0, 2.0, 4.0), (3.0, 2.5, 3.0), (1e-3,), False, 1.0)
    dots, smooth = result.figure().axes[0].lines[:2]
    assert tuple(dots.get_ydata()) == result.losses
    assert tuple(smooth.get_xdata()) == result.multipliers
    data, metadata = result._repr_mimebundle_()
    assert data["image/png"]
    assert "Suggested multiplier 1" in metadata["image/png"]["alt"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 2}, "steps"),
        ({"low": 0}, "low"),
        ({"low": 1, "high": 0.5}, "high"),
        ({"diverge": 1}, "diverge"),
        ({"phase": Phase(0, 1, [1e-3, 1e-3])}, "expected 3"),
    ],
)
def test_bad_input(case, options, message):
    """Numbers that make no range are refused before anything is trained."""
    splits, optimizer, data = case
    with pytest.raises(DifflrError, match=message):
        range_test(splits, optimizer, DataLoader(data, 32), **options)


def test_no_batches_and_no_rates(case):
    """An empty loader and learning rates of 0 are explained."""
    splits, optimizer, data = case
    with pytest.raises(DifflrError, match="no batches"):
        range_test(splits, optimizer, [])
    with pytest.raises(DifflrError, match="All learning rates are 0"):
        range_test(splits, torch.optim.AdamW(param_groups(splits)), DataLoader(data, 32))


def test_costs_equal_torchs_own_count(case):
    """Forward and backward costs are those that torch counts while it really computes them."""
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3), nn.Flatten(), nn.Linear(288, 5)
    )  # fmt: skip
    splits = split_model(model, [[model[0], model[1]], model[2], model[4]])
    before = copy.deepcopy(model.state_dict())
    costs = count_costs(splits, (3, 8, 8))
    assert same(before, model.state_dict())
    for first in range(3):
        freeze_to(splits, first)
        with FlopCounterMode(display=False) as forward:
            out = model(torch.randn(4, 3, 8, 8))
        with FlopCounterMode(display=False) as backward:
            out.sum().backward()
        assert sum(costs.forward) == forward.get_total_flops() // 4
        assert sum(costs.backward(range(first, 3))) == backward.get_total_flops() // 4
    assert costs.share(range(3)) == 1
    with pytest.raises(DifflrError, match="input_shape"):
        count_costs(splits, (5, 8, 8))


def same(one, two):
    """Compare nested data that may hold tensors and arrays, NaN apart."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, two)
    if isinstance(one, np.ndarray):
        return np.array_equal(one, two)
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(same(one[k], two[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(two) and all(map(same, one, two))
    return one == two


def test_the_range_test_multiplies_what_the_plan_would_set():
    """Also where a group's rate is a multiple of its split's."""
    _, splits = mixed()
    peaks = (1e-3, 2e-3, 4e-3, 8e-3)
    optimizer = SGD(param_groups(splits))
    next(g for g in optimizer.param_groups if g["name"] == "head")["lr_factor"] = 8.0
    seen = []
    step = optimizer.step
    optimizer.step = lambda: (seen.append([g["lr"] for g in optimizer.param_groups]), step())
    data = [torch.arange(8)]
    find = range_test(splits, optimizer, data, Phase(0, 3, peaks), low=1, high=2, steps=5,
                      loss=lambda net, ids: nn.functional.cross_entropy(net(ids), ids % 3))  # fmt: skip
    assert find.lrs == peaks
    rate = dict(zip([g["name"] for g in optimizer.param_groups], seen[0], strict=True))
    assert rate["head"] == 8 * rate["head/no_decay"] == 8 * peaks[-1]
