import pytest
import torch
from nets import SPLITS, TinyNet, batch, block, changed, copies, train_step
from torch import nn
from torch.optim import SGD, AdamW

from difflr import DifflrError, freeze_to, param_groups, set_trainable, split_model
from difflr.freezing import bn_mode

OPTIMIZERS = {
    "sgd": lambda groups: SGD(groups, lr=0.1, momentum=0.9, nesterov=True),
    "adamw": lambda groups: AdamW(groups, lr=0.1),
    "fused adamw": lambda groups: AdamW(groups, lr=0.1, fused=True),
}
optimizers = pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)


def state(splits) -> list[set[bool]]:
    """Which values of ``requires_grad`` each split holds."""
    return [{p.requires_grad for p in split.parameters.values()} for split in splits]


@pytest.mark.parametrize(
    ("n", "first"),
    [
        *((i, i) for i in range(6)),
        *((-i, 6 - i) for i in range(1, 7)),
        *zip(SPLITS, range(6), strict=True),
    ],
)
def test_freeze_to_trains_the_split_and_all_after_it(net, n, first):
    """0 trains all, -1 the last only, a name counts like its index; the other way round undoes it."""
    splits = split_model(net)
    freeze_to(splits, n)
    assert state(splits) == [{i >= first} for i in range(6)]
    assert [bn_mode(split) for split in splits] == [
        "-" if i == 5 else "train" if i >= first else "eval" for i in range(6)
    ]
    freeze_to(splits, 0)
    assert state(splits) == [{True}] * 6


@pytest.mark.parametrize("n", [None, 6, -7, True, False, 1.0, "top", "", [0], 10**4000])
def test_a_wrong_split_is_refused_and_nothing_changes(net, n):
    """None, which the 2020 recipe took for "freeze all", and whatever is out of range."""
    splits = split_model(net)
    freeze_to(splits, 3)
    before = state(splits)
    with pytest.raises(DifflrError, match="freeze_to") as error:
        freeze_to(splits, n)
    assert state(splits) == before
    assert "stem, layer1" in str(error.value) or "from -6 to 5 for 6 splits" in str(error.value)


@optimizers
@pytest.mark.parametrize("set_to_none", [True, False])
def test_frozen_splits_keep_every_bit_and_the_others_move(net, make, set_to_none):
    """Parameters, BatchNorm statistics and counters, under momentum and weight decay."""
    splits = split_model(net)
    optimizer = make(param_groups(splits, 0.1, weight_decay=0.1))
    freeze_to(splits, 3)
    before = copies(splits)
    for _ in range(4):
        train_step(net, optimizer, set_to_none=set_to_none)
    assert changed(splits, before) == [False] * 3 + [True] * 3


@optimizers
def test_stale_gradients_and_momentum_do_not_move_what_is_frozen_again(net, make):
    """Trained, with gradients left over, then frozen: neither weight decay nor momentum touches it."""
    splits = split_model(net)
    optimizer = make(param_groups(splits, 0.1, weight_decay=0.1))
    for _ in range(2):
        train_step(net, optimizer)
    assert net.conv1.weight.grad is not None
    assert optimizer.state[net.conv1.weight]
    freeze_to(splits, 1)
    assert net.conv1.weight.grad is None
    before = copies(splits)
    for _ in range(3):
        train_step(net, optimizer, set_to_none=False)
    assert changed(splits, before) == [False] + [True] * 5
    freeze_to(splits, 0)
    train_step(net, optimizer)
    assert changed(splits, before) == [True] * 6


def test_only_set_trainable_splits_train(net):
    """Any set of splits, for plans that train the first ones."""
    splits = split_model(net)
    optimizer = AdamW(param_groups(splits, 0.1))
    set_trainable(splits, {0, 2})
    before = copies(splits)
    train_step(net, optimizer)
    assert changed(splits, before) == [True, False, True, False, False, False]


def test_train_bn_moves_batchnorm_and_nothing_else_of_a_frozen_split(net):
    """fastai's habit: weight, bias and statistics of frozen BatchNorm layers train."""
    splits = split_model(net)
    optimizer = AdamW(param_groups(splits, 0.1))
    freeze_to(splits, -1, train_bn=True)
    assert [bn_mode(split) for split in splits] == ["train"] * 5 + ["-"]
    before = {name: value.clone() for name, value in net.state_dict().items()}
    train_step(net, optimizer)
    moved = {
        name for name, value in net.state_dict().items() if not torch.equal(value, before[name])
    }
    norms = [name for name, m in net.named_modules() if isinstance(m, nn.BatchNorm2d)]
    kept = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    assert moved == {f"{norm}.{k}" for norm in norms for k in kept} | {"fc.weight", "fc.bias"}


def test_frozen_batchnorm_uses_its_running_statistics(net):
    """A frozen split gives the same output whatever else is in the batch."""
    splits = split_model(net)
    images, _ = batch()
    features = nn.Sequential(net.conv1, net.bn1, net.layer1)
    freeze_to(splits, 2)
    assert torch.equal(features(images)[:2], features(images[:2]))
    freeze_to(splits, 0)
    assert not torch.allclose(features(images)[:2], features(images[:2]))


def test_a_model_in_evaluation_mode_stays_there(net):
    """Freezing never switches a layer of an evaluated model to training."""
    net.eval()
    splits = split_model(net)
    freeze_to(splits, 0)
    assert not any(module.training for module in net.modules())
    net.train()
    freeze_to(splits, -1)
    assert net.training
    assert not net.bn1.training


def test_dropout_and_other_modules_keep_their_mode():
    """Only layers with running statistics change when they see data."""
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(), nn.Linear(2, 2))
    freeze_to(split_model(model, [[model[0], model[1]], model[2]]), -1)
    assert model[1].training


@pytest.mark.parametrize(
    "norm",
    [
        nn.BatchNorm2d(4, affine=False),
        nn.SyncBatchNorm(4),
        nn.InstanceNorm2d(4, track_running_stats=True),
    ],
)
def test_other_layers_with_statistics_are_frozen_too(norm):
    """BatchNorm without weights, across devices, and InstanceNorm that tracks statistics."""
    model = nn.Sequential(nn.Conv2d(3, 4, 1), norm, nn.Conv2d(4, 4, 1))
    splits = split_model(model, [[model[0], norm], model[2]])
    freeze_to(splits, -1)
    assert bn_mode(splits[0]) == "eval"
    norm.train()
    assert bn_mode(splits[0]) == "train"


def test_the_mode_of_a_split_may_be_mixed(net):
    """Where someone has switched a single layer."""
    net.layer1.append(nn.BatchNorm2d(4))
    splits = split_model(net)
    net.layer1[1].eval()
    assert bn_mode(splits[1]) == "mixed"
    assert bn_mode(splits[5]) == "-"


@pytest.mark.parametrize("norm", [nn.GroupNorm(2, 4), nn.LayerNorm([4, 8, 8])])
def test_networks_without_batchnorm_freeze_all_the_same(norm):
    """Their norms have no statistics, only parameters; ``train_bn`` does not concern them."""
    model = nn.Sequential(nn.Conv2d(3, 4, 1), norm, nn.Flatten(), nn.Linear(256, 4))
    splits = split_model(model, {"body": ["0", "1"], "head": "3"})
    optimizer = SGD(param_groups(splits, 0.1, weight_decay=0.1), momentum=0.9)
    for train_bn in (False, True):
        freeze_to(splits, -1, train_bn=train_bn)
        before = copies(splits)
        train_step(model, optimizer)
        assert changed(splits, before) == [False, True]


def test_buffers_that_the_user_keeps_are_left_alone(net):
    """A buffer that no layer of statistics owns belongs to whoever registered it."""
    net.register_buffer("seen", torch.zeros(1))
    splits = split_model(net)
    freeze_to(splits, -1)
    net.seen += 1
    assert net.seen == 1


def test_whole_numbers_as_weights_stay_without_gradient():
    """Quantised weights cannot require a gradient; unfreezing them is no error."""
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].codes = nn.Parameter(torch.zeros(2, dtype=torch.int8), requires_grad=False)
    freeze_to(split_model(model, [model[0], model[1]]), 0)
    assert not model[0].codes.requires_grad
    assert model[0].weight.requires_grad


def test_added_low_rank_parameters_train_on_a_frozen_base():
    """LoRA: the base is a split that stays frozen, the added matrices are the one that trains."""

    class Lora(nn.Module):
        def __init__(self):
            super().__init__()
            self.base = nn.Sequential(block(3, 4), nn.Flatten(), nn.Linear(256, 4))
            self.down = nn.Linear(192, 2, bias=False)
            self.up = nn.Linear(2, 4, bias=False)

        def forward(self, x):
            return self.base(x) + self.up(self.down(x.flatten(1)))

    model = Lora()
    splits = split_model(model, {"base": "base", "lora": ["down", "up"]})
    optimizer = AdamW(param_groups(splits, 0.1))
    freeze_to(splits, "lora")
    before = copies(splits)
    train_step(model, optimizer)
    assert changed(splits, before) == [False, True]


def test_freezing_again_costs_little():
    """It is done before every batch, so it has to be cheap: under 2 ms for a ResNet's size."""
    import time

    net = TinyNet()
    for i in range(1, 5):
        setattr(net, f"layer{i}", nn.Sequential(*[block(4, 4) for _ in range(5)]))
    splits = split_model(net)
    best = min(_timed(time.perf_counter, lambda: freeze_to(splits, 3)) for _ in range(20))
    assert best < 2e-3


def _timed(clock, work) -> float:
    start = clock()
    work()
    return clock() - start
