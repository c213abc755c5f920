"""What the user froze is never woken, needs no split, and is named; what difflr froze it wakes again."""

import copy
import pickle
from functools import partial

import pytest
import torch
import torchvision
from torch import nn
from torch.nn.utils import parametrizations, spectral_norm

from difflr import (
    DifflrError,
    ParametersSplitsModule,
    PlanScheduler,
    freeze_to,
    make_plan,
    param_groups,
    range_test,
    report,
    set_trainable,
    split_model,
)


class Low(nn.Module):
    """A linear layer with a low-rank adapter beside it, as LoRA adds one."""

    def __init__(self, n):
        super().__init__()
        self.base = nn.Linear(n, n)
        self.down, self.up = nn.Linear(n, 2, bias=False), nn.Linear(2, n, bias=False)
        self.base.requires_grad_(False)

    def forward(self, x):
        return self.base(x) + self.up(self.down(x))


def adapted():
    """Three adapted layers and a head."""
    torch.manual_seed(0)
    return nn.Sequential(Low(4), Low(4), Low(4), nn.Linear(4, 2))


def awake(model):
    """Return the names of what requires a gradient."""
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def train(splits, plan, steps=2):
    """Train by the plan in a plain loop, and return the names of what moved."""
    model = splits.model
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = torch.optim.AdamW(param_groups(splits))
    scheduler = PlanScheduler(optimizer, plan, steps)
    for _ in range(plan.epochs):
        scheduler.freeze(splits)
        for _ in range(steps):
            model(torch.randn(8, 4)).square().mean().backward()
            optimizer.step(), scheduler.step(), optimizer.zero_grad()
    return {name for name, p in model.named_parameters() if not torch.equal(before[name], p)}


def test_an_adapters_base_is_not_trained():
    """Every split trains, and yet only what required a gradient before."""
    model = adapted()
    splits = split_model(model, list(model))
    expected = awake(model)
    assert train(splits, make_plan("differential", splits, 2, lr=1e-2)) == expected
    assert awake(model) == expected


def test_a_single_layer_stays_frozen_through_all_phases():
    """Freezing and waking a split does not touch the one layer in it that the user froze."""
    model = nn.Sequential(*(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)) for _ in range(3)))
    model[1][0].requires_grad_(False)
    splits = split_model(model, list(model))
    moved = train(splits, make_plan("gradual", splits, 3, lr=1e-2))
    assert moved == {n for n, _ in model.named_parameters() if not n.startswith("1.0.")}


def test_what_difflr_froze_it_wakes_again():
    """By hand, by a plan, in a copy, and in what was pickled: the note of who froze it goes along."""
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    everything = awake(model)
    freeze_to(split_model(model, list(model)), -1)
    assert awake(model) == {"1.weight", "1.bias"}
    for same in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        splits = split_model(same, list(same))
        freeze_to(splits, 0)
        assert awake(same) == everything


def test_a_teacher_needs_no_split():
    """A frozen network beside the one that trains is left out, also by the automatic cut."""

    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.teacher = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).requires_grad_(False)
            self.student = torchvision.models.resnet18(num_classes=3)

    pair = Pair()
    splits = split_model(pair)
    assert splits.names == ("stem", "layer1", "layer2", "layer3", "layer4", "head")
    assert not any(name.startswith("teacher") for split in splits for name in split.parameters)
    set_trainable(splits, [0, 1])
    freeze_to(splits, 0)
    assert not any(p.requires_grad for p in pair.teacher.parameters())
    assert "in no split: teacher.0.weight" in report(splits)


class Distilled(nn.Module):
    """A student beside its teacher, which has BatchNorm and dropout."""

    def __init__(self):
        super().__init__()
        self.student = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
        self.teacher = nn.Sequential(
            nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2)
        )
        self.teacher.requires_grad_(False).eval()

    def forward(self, x):
        return self.student(x) - self.teacher(x)


def test_a_teacher_in_a_plain_loop_stays_as_it_was_left():
    """Its BatchNorm statistics do not move and its dropout stays off; the student is in train mode."""
    model = Distilled()
    before = {k: v.clone() for k, v in model.teacher.state_dict().items()}
    splits = split_model(model, [model.student[:2], model.student[2]])
    train(splits, make_plan("differential", splits, 2, lr=1e-2))
    assert not any(part.training for part in model.teacher.modules())
    assert all(part.training for part in model.student.modules())
    assert all(torch.equal(before[k], v) for k, v in model.teacher.state_dict().items())
    assert model.student[1].num_batches_tracked == 4


def test_the_statistics_of_a_held_batchnorm_stay():
    """A BatchNorm layer whose weight and bias the user froze keeps its statistics, in a split that trains."""
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    model[1].requires_grad_(False)
    splits = split_model(model, [model[:3], model[3]])
    moved = train(splits, make_plan("differential", splits, 2, lr=1e-2))
    assert model[1].num_batches_tracked == 0
    assert model[2].num_batches_tracked == 4
    assert moved == {"0.weight", "0.bias", "2.weight", "2.bias", "3.weight", "3.bias"}
    freeze_to(splits, -1, train_bn=True)
    assert [model[1].training, model[2].training] == [False, True]


def test_a_split_that_the_user_froze_whole_is_refused_before_training():
    """The classical tutorial freezes the backbone by hand: both remedies are named, and both work."""
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2))
    model[:2].requires_grad_(False)
    splits = split_model(model, list(model))
    assert report(splits).count("held by you") == 3  # two splits, and their tensors below
    plan = make_plan("gradual", splits, 3, lr=1e-2)
    with pytest.raises(
        DifflrError, match=r"split 0, .*requires_grad_\(True\).*not p\.requires_grad"
    ):
        train(splits, plan)
    assert train(splits, make_plan("head_only", splits, 1, lr=1e-2)) == {"2.weight", "2.bias"}
    rest = split_model(model, [model[2]], exclude=["0", "1"])
    assert train(rest, make_plan("uniform", rest, 1, lr=1e-2)) == {"2.weight", "2.bias"}
    model.requires_grad_(True)
    assert train(splits, plan) == awake(model)


class Around(nn.Module):
    """A module around a network, as a LightningModule is."""

    def __init__(self):
        super().__init__()
        self.model = torchvision.models.resnet18(num_classes=3)


def two_layers():
    """A ResNet with two layers in its head, each in a block."""
    model = torchvision.models.resnet18()
    first = nn.Sequential(nn.Linear(512, 8), nn.ReLU())
    model.fc = nn.Sequential(first, nn.Sequential(nn.Linear(8, 3)))
    return model


@pytest.mark.parametrize(
    ("make", "head"),
    [
        (partial(torchvision.models.resnet18, num_classes=3), "fc"),
        (torchvision.models.mobilenet_v3_small, "classifier"),
        (Around, "model.fc"),
        (two_layers, "fc"),
    ],
)
def test_a_backbone_frozen_by_hand_is_cut_all_the_same(make, head):
    """And then refused where the plan trains it; both remedies of the message work as they stand."""
    model = make().requires_grad_(False)
    model.get_submodule(head).requires_grad_(True)
    splits = split_model(model)
    assert len(splits) > 5
    assert {n for n in splits[-1].parameters if n.startswith(f"{head}.")} == awake(model)

    def scheduler(splits, recipe):
        plan = make_plan(recipe, splits, 1, lr=1e-2)
        return PlanScheduler(torch.optim.AdamW(param_groups(splits)), plan, 2)

    with pytest.raises(DifflrError, match="all of it was frozen before difflr saw it"):
        scheduler(splits, "differential").freeze(splits)
    scheduler(splits, "head_only").freeze(splits)
    left = split_model(model, exclude=lambda name, p: not p.requires_grad)
    assert left.names == ("head",)
    assert set(left[0].parameters) == awake(model)
    scheduler(left, "differential").freeze(left)
    model.requires_grad_(True)
    scheduler(splits, "differential").freeze(splits)
    assert awake(model) == {n for n, _ in model.named_parameters()}


@pytest.mark.parametrize("first", ["teacher", "student"])
def test_a_teachers_layers_without_parameters_are_left_out_too(first):
    """They are in no split: a BatchNorm without weights keeps its statistics, dropout its mode."""

    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            for name in (first, *{"teacher", "student"} - {first}):
                parts = nn.Linear(4, 4), nn.BatchNorm1d(4, affine=False), nn.Dropout()
                setattr(self, name, nn.Sequential(*parts, nn.Linear(4, 2)))
            self.teacher.eval()

        def forward(self, x):
            return self.student(x) - self.teacher(x)

    model = Pair()
    student = model.student
    splits = split_model(model, [student[:3], student[3]], exclude=model.teacher)
    inside = {id(module) for split in splits for module in split.modules}
    assert inside.isdisjoint(map(id, model.teacher.modules()))
    assert id(student[2]) in inside
    train(splits, make_plan("uniform", splits, 1, lr=1e-2))
    assert model.teacher[1].num_batches_tracked == 0
    assert student[1].num_batches_tracked == 2
    assert not any(module.training for module in model.teacher.modules())


@pytest.mark.parametrize(
    "exclude",
    [
        "loss",
        ["loss.*"],
        lambda model: [model.loss],
        lambda model: model.loss,
        lambda model: [model.loss.weight, "loss.bias"],
        lambda model: lambda name, parameter: name.startswith("loss"),
    ],
    ids=["name", "pattern", "modules", "module", "mixed", "function"],
)
def test_what_is_excluded_is_left_as_it_is(exclude):
    """It is in no split, in no group, and neither frozen nor woken."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head, self.loss = nn.Linear(4, 4), nn.Linear(4, 2), nn.Linear(2, 2)

    model = Net()
    with pytest.raises(DifflrError, match="loss"):
        split_model(model, [model.body, model.head])
    if callable(exclude):
        exclude = exclude(model)
    splits = split_model(model, [model.body, model.head], exclude=exclude)
    assert awake(model) == {n for n, _ in model.named_parameters()}
    freeze_to(splits, -1)
    assert model.loss.weight.requires_grad
    grouped = {id(p) for group in param_groups(splits) for p in group["params"]}
    assert not grouped & {id(p) for p in model.loss.parameters()}
    assert "in no split: loss.weight, loss.bias" in report(splits)


def test_a_modules_own_cut_may_leave_something_out():
    """``model_splits`` returns splits that are made already, with what they exclude."""

    class Lit(ParametersSplitsModule):
        def __init__(self):
            super().__init__()
            self.body, self.head, self.loss = nn.Linear(4, 4), nn.Linear(4, 2), nn.Linear(2, 2)

        def model_splits(self):
            return split_model(self, [self.body, self.head], exclude=self.loss)

    assert Lit().splits.names == ("body", "head")


@pytest.mark.parametrize(
    ("exclude", "words"),
    [
        ("teacher", "'teacher'"),
        (None, "None"),
        (3, "3"),
        ("*", "leaves nothing"),
        (lambda name, parameter: True, "leaves nothing"),
    ],
)
def test_an_exclusion_of_nothing_or_everything_is_refused(exclude, words):
    """A misspelt name is no exclusion, nor is None; and something has to be left to train."""
    model = nn.Sequential(nn.Linear(2, 2))
    with pytest.raises(DifflrError, match=words):
        split_model(model, [model[0]], exclude=exclude)


def test_the_automatic_cut_leaves_out_a_split_that_is_excluded_whole():
    """Rather than calling it empty."""
    model = torchvision.models.resnet18()
    assert split_model(model, exclude=model.fc).names[-1] == "layer4"
    assert split_model(model, exclude=["conv1", "bn1"]).names[0] == "layer1"


def test_a_range_test_leaves_no_note():
    """What it froze for a while counts as never frozen: the user may freeze it by hand afterwards."""
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    splits = split_model(model, list(model))
    plan = make_plan("head_only", splits, 1)
    optimizer = torch.optim.SGD(param_groups(splits), lr=1e-3)
    batches = [(torch.randn(4, 4), torch.randint(2, (4,)))]
    range_test(splits, optimizer, batches, plan.phases[0], steps=5)
    model[0].requires_grad_(False)
    freeze_to(splits, 0)
    assert awake(model) == {"1.weight", "1.bias"}


class Counting(nn.Module):
    """A layer that keeps a mean of what it saw, by the habit of naming it."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4))
        self.register_buffer("running_mean", torch.zeros(4))

    def forward(self, x):
        if self.training:
            self.running_mean.mul_(0.9).add_(0.1 * x.detach().mean(0))
        return self.weight * x


@pytest.mark.parametrize(
    "layer",
    [
        lambda: spectral_norm(nn.Linear(4, 4)),
        lambda: parametrizations.spectral_norm(nn.Linear(4, 4)),
        lambda: nn.BatchNorm1d(4),
        Counting,
    ],
    ids=["spectral norm by hook", "spectral norm", "batch norm", "own running mean"],
)
def test_no_buffer_of_a_frozen_split_moves(layer):
    """Whatever a forward in train mode would change: bit for bit what it was."""
    torch.manual_seed(0)
    model = nn.Sequential(layer(), nn.Linear(4, 2))
    splits = split_model(model, list(model))
    before = {name: value.clone() for name, value in model[0].state_dict().items()}
    train(splits, make_plan("head_only", splits, 1, lr=1e-2))
    after = model[0].state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    model.train()
    model(torch.randn(8, 4))  # so the test can fail: awake, they do move
    assert not all(torch.equal(before[name], after[name]) for name in before)
