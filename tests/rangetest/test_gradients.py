"""Rates from relative gradient norms are those of a hand computation, and measuring leaves no trace."""

import copy
import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from difflr import DifflrError, Phase, Plan, expand_lrs, freeze_to, split_model, suggest_lrs


def network(dropout=0.0):
    """Three small splits with BatchNorm, the same at every call."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU()),
        nn.Sequential(nn.Linear(16, 16), nn.BatchNorm1d(16), nn.Dropout(dropout), nn.ReLU()),
        nn.Linear(16, 3),
    )


def pairs(n=4, size=12):
    """Return a few batches of pictures and labels."""
    generator = torch.Generator().manual_seed(1)
    return [
        (
            torch.randn(size, 8, generator=generator),
            torch.randint(0, 3, (size,), generator=generator),
        )
        for _ in range(n)
    ]


def by_hand(model, batches, parts, held=()):
    """Return the mean over batches of ‖g‖/‖w‖ of each part, in plain torch on a copy."""
    means = [0.0] * len(parts)
    for x, y in batches:
        one = copy.deepcopy(model).train()
        cross_entropy(one(x), y).backward()
        for i, part in enumerate(parts):
            named = {n: p for n, p in one[part].named_parameters(f"{part}") if n not in held}
            g = torch.cat([p.grad.flatten() for p in named.values()]).norm()
            w = torch.cat([p.detach().flatten() for p in named.values()]).norm()
            means[i] += float(g / w) / len(batches)
    return means


def test_equals_a_hand_computation():
    """With BatchNorm in train mode, the mean over batches; the largest split gets the whole rate."""
    model, batches = network(), pairs()
    found = suggest_lrs(split_model(model.eval(), list(model)), batches, 1e-3)
    norms = by_hand(model, batches, range(3))
    assert found.relative_norms == pytest.approx(norms, rel=1e-5)
    assert found.lrs == pytest.approx([1e-3 * n / max(norms) for n in norms], rel=1e-5)
    assert max(found.lrs) == 1e-3
    assert found.batches == 4
    assert expand_lrs(found.lrs, 3) == list(found.lrs)
    assert Plan([Phase(0, 2, found.lrs, frozen=found.frozen)]).n_splits == 3
    assert [line.split()[0] for line in found.describe().splitlines()] == list(found.names)


def test_no_more_batches_are_taken_than_asked_for():
    """The default is five; a stream is not read beyond them."""
    model, batches = network(), pairs(9)
    splits = split_model(model, list(model))
    stream = iter(batches)
    assert suggest_lrs(splits, stream, 1e-3).batches == 5
    assert len(list(stream)) == 4
    first = suggest_lrs(splits, batches, 1e-3, n_batches=1)
    assert first.relative_norms == pytest.approx(by_hand(model, batches[:1], range(3)), rel=1e-5)


def test_a_split_that_difflr_froze_is_measured_and_frozen_again():
    """The suggestion is for all splits, whatever a plan froze before."""
    model, batches = network(), pairs()
    splits = split_model(model, list(model))
    whole = suggest_lrs(splits, batches, 1e-3)
    freeze_to(splits, -1)
    assert suggest_lrs(splits, batches, 1e-3) == whole
    assert [p.requires_grad for p in model.parameters()] == [False] * 8 + [True] * 2


def test_what_the_user_froze_counts_in_neither_norm():
    """One tensor held leaves the rest of its split; a split held whole gets rate 0 and is named."""
    model, batches = network(), pairs()
    model[1][0].weight.requires_grad_(False)
    splits = split_model(model, list(model))
    found = suggest_lrs(splits, batches, 1e-3)
    norms = by_hand(model, batches, range(3), held={"1.0.weight"})
    assert found.relative_norms == pytest.approx(norms, rel=1e-5)
    model[0].requires_grad_(False)
    found = suggest_lrs(splits, batches, 1e-3)
    assert found.lrs[0] == 0
    assert found.frozen == (0,)
    assert Plan([Phase(0, 1, found.lrs, frozen=found.frozen)]).phases[0].trained == (1, 2)
    assert not model[1][0].weight.requires_grad


def test_a_module_in_no_split_keeps_its_mode():
    """A teacher in eval mode answers as it does in training by a plan."""
    model = nn.ModuleDict({"student": network(), "teacher": network().eval().requires_grad_(False)})
    seen = []

    def loss(model, batch):
        seen.append((model["student"][1].training, model["teacher"][1].training))
        return (model["student"](batch[0]) - model["teacher"](batch[0])).square().mean()

    suggest_lrs(split_model(model, list(model["student"])), pairs(), 1e-3, loss=loss)
    assert set(seen) == {(True, False)}


@pytest.mark.parametrize("broken", [False, True])
def test_leaves_no_trace(broken):
    """Model, gradients, modes and all random states are as before, bit for bit, after an error too."""
    model = network(dropout=0.3)
    splits = split_model(model, list(model))
    generator = torch.Generator().manual_seed(3)
    pictures, labels = (torch.cat(column) for column in zip(*pairs(), strict=True))
    loader = DataLoader(
        TensorDataset(pictures, labels), 8, shuffle=True, generator=generator, num_workers=0
    )
    cross_entropy(model(pictures), labels).backward()
    freeze_to(splits, 1)
    model[2].eval()
    calls = []

    def loss(model, batch):
        calls.append(torch.rand(1))
        random.random()
        np.random.rand()
        assert model[0][1].training
        assert model[2].training
        if broken and len(calls) == 3:
            raise RuntimeError("broken")
        return cross_entropy(model(batch[0]), batch[1])

    def state():
        return copy.deepcopy(
            (
                [*model.state_dict().values()],
                [p.grad for p in model.parameters()],
                [p.requires_grad for p in model.parameters()],
                [m.training for m in model.modules()],
                [torch.get_rng_state(), generator.get_state()],
                random.getstate(),
                np.random.get_state()[1].tolist(),
            )
        )

    before, grads = state(), [p.grad for p in model.parameters()]
    if broken:
        with pytest.raises(RuntimeError, match="broken"):
            suggest_lrs(splits, loader, 1e-3, loss=loss)
    else:
        suggest_lrs(splits, loader, 1e-3, loss=loss)
    assert len(calls) == (3 if broken else 5)
    assert all(map(equal, before, state()))
    assert all(now.grad is was for now, was in zip(model.parameters(), grads, strict=True))


def equal(one, two):
    """Compare, with tensors bit for bit."""
    if isinstance(one, list):
        return len(one) == len(two) and all(map(equal, one, two))
    return torch.equal(one, two) if isinstance(one, torch.Tensor) else one == two


def test_batches_of_any_form_with_a_loss_of_ones_own():
    """Dictionaries, as range_test takes them; and inside no_grad as well."""
    model, batches = network(), pairs()
    splits = split_model(model, list(model))
    named = [{"pixels": x, "labels": y} for x, y in batches]
    with torch.no_grad():
        found = suggest_lrs(
            splits, named, 1e-3, loss=lambda m, b: cross_entropy(m(b["pixels"]), b["labels"])
        )
    assert found == suggest_lrs(splits, batches, 1e-3)


def test_sparse_gradients_and_half_precision():
    """An embedding with repeated words counts like a dense one, and bfloat16 weights are measured."""
    words, labels = torch.tensor([[0, 0, 1], [2, 2, 2]]), torch.tensor([0, 1])
    found = []
    for sparse in (True, False):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Embedding(4, 5, sparse=sparse), nn.Flatten(), nn.Linear(15, 2))
        splits = split_model(model, [model[0], model[2]])
        found.append(suggest_lrs(splits, [(words, labels)], 1e-3).relative_norms)
    assert found[0] == pytest.approx(found[1], rel=1e-6)
    model = network()
    exact = suggest_lrs(split_model(model, list(model)), pairs(), 1e-3)
    model.bfloat16()
    half = [(x.bfloat16(), y) for x, y in pairs()]
    rough = suggest_lrs(split_model(model, list(model)), half, 1e-3)
    assert rough.relative_norms == pytest.approx(exact.relative_norms, rel=0.05)


def test_a_split_that_the_loss_does_not_reach_gets_rate_0():
    """It is named among those to freeze."""
    model = network()
    splits = split_model(model, list(model))
    found = suggest_lrs(splits, pairs(), 1e-3, loss=lambda m, b: m[1](m[0](b[0])).square().mean())
    assert found.lrs[2] == 0
    assert found.frozen == (2,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"splits": network()}, r"expected the splits of a model.*split_model\(model\)"),
        ({"lr": 0}, "lr=0"),
        ({"n_batches": 0}, "n_batches=0"),
        ({"batches": []}, "no batches"),
        ({"loss": lambda m, b: m(b[0]).sum().detach()}, "depends on parameters"),
        ({"loss": lambda m, b: cross_entropy(m(b[0]), b[1], reduction="none")}, "one number"),
        ({"loss": lambda m, b: 0.5}, "one number"),
        ({"loss": lambda m, b: m(b[0]).sum() * float("nan")}, "not a finite number"),
        ({"loss": lambda m, b: m(b[0]).sum() * 0}, "gradients of all splits are 0"),
        ({"loss": lambda m, b: (m(b[0]).sum() * 0).sqrt()}, "gradient of split 0 is not finite"),
    ],
)
def test_what_cannot_be_measured_is_refused(options, message):
    """With what was wrong; the model stays as it was."""
    model = network()
    arguments = {"splits": split_model(model, list(model)), "batches": pairs(), "lr": 1e-3}
    with pytest.raises(DifflrError, match=message):
        suggest_lrs(**{**arguments, **options})
    assert all(p.grad is None for p in model.parameters())


def test_weights_that_are_all_0_are_refused():
    """Any gradient would be infinite beside them; a network held whole has no gradient at all."""
    model = network()
    nn.init.zeros_(model[2].weight)
    nn.init.zeros_(model[2].bias)
    splits = split_model(model, list(model))
    with pytest.raises(DifflrError, match="All weights of 2 are 0"):
        suggest_lrs(splits, pairs(), 1e-3)
    model.requires_grad_(False)
    with pytest.raises(DifflrError, match="frozen by you"):
        suggest_lrs(splits, pairs(), 1e-3)
