"""Any module trains by its plan, end to end: each split moves in its epochs and in no other."""

import pytest
import torch
from lightning_nets import Watch, moves, trainer_for
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from difflr import DifflrError, ParametersSplitsModule, Phase, Plan
from difflr.freezing import bn_mode

#: Body and head one after the other, then the body alone, then both.
PLAN = Plan(
    [Phase(-1, 1, [0, 1e-2]), Phase(0, 1, [1e-2, 0], frozen={1}), Phase(0, 1, [1e-2, 1e-2])]
)
WIDTH = 8


class Lit(ParametersSplitsModule):
    """Classifies noise of eight numbers with any network whose parts are ``body`` and ``head``."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.milestones = PLAN

    def model_splits(self):
        return {"body": "net.body*", "head": "net.head*"}

    def training_step(self, batch, batch_idx):
        return F.cross_entropy(self.net(batch[0]), batch[1])

    def train_dataloader(self):
        generator = torch.Generator().manual_seed(1)
        labels = torch.randint(0, WIDTH, (12,), generator=generator)
        return DataLoader(TensorDataset(torch.randn(12, WIDTH, generator=generator), labels), 4)


class Net(nn.Module):
    """A body, perhaps a norm after it, and a head."""

    def __init__(self, norm: nn.Module | None = None) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(WIDTH, WIDTH), norm or nn.Identity(), nn.ReLU())
        self.head = nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        return self.head(self.body(x))


class OnTheModel(Net):
    """A scale and a class token that belong to no layer, and buffers of both kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.body_token = nn.Parameter(torch.zeros(WIDTH))
        self.head_scale = nn.Parameter(torch.ones(()))
        self.register_buffer("seen", torch.zeros(()))
        self.register_buffer("scratch", torch.zeros(3), persistent=False)

    def forward(self, x):
        self.seen += 1
        return super().forward(x + self.body_token) * self.head_scale


class Tied(Net):
    """The head's weight is the first layer's: it belongs to the body, and trains with it."""

    def __init__(self) -> None:
        super().__init__()
        self.head.weight = self.body[0].weight


class LowRank(nn.Module):
    """A pre-trained layer, with the matrices that LoRA (arXiv 2106.09685) adds to it as the head."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(WIDTH, WIDTH)
        self.head_down = nn.Parameter(torch.randn(2, WIDTH))
        self.head_up = nn.Parameter(torch.zeros(WIDTH, 2))

    def forward(self, x):
        return self.body(x) + x @ self.head_down.T @ self.head_up.T


class Lazy(Net):
    """Layers that take their shape from the first batch."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.LazyLinear(WIDTH), nn.LazyBatchNorm1d(), nn.ReLU())


NETS = {
    "no norm": Net,
    "BatchNorm": lambda: Net(nn.BatchNorm1d(WIDTH)),
    "BatchNorm without statistics": lambda: Net(nn.BatchNorm1d(WIDTH, track_running_stats=False)),
    "BatchNorm without parameters": lambda: Net(nn.BatchNorm1d(WIDTH, affine=False)),
    "GroupNorm": lambda: Net(nn.GroupNorm(2, WIDTH)),
    "LayerNorm": lambda: Net(nn.LayerNorm(WIDTH)),
    "RMSNorm": lambda: Net(nn.RMSNorm(WIDTH)),
    "parameters and buffers on the model": OnTheModel,
    "tied": Tied,
    "low rank": LowRank,
}


@pytest.mark.parametrize("make", NETS.values(), ids=NETS.keys())
def test_each_kind_of_module_moves_as_its_plan_says(make):
    """And by the plan's learning rates; what is frozen keeps every bit, its statistics included."""
    module, watch = Lit(make()), Watch()
    buffers = isinstance(module.net, OnTheModel)  # the user's own, which the network itself moves
    trainer_for(watch, epochs=3).fit(module)
    assert [seen[0] for seen in watch.trace] == [PLAN.lrs(step, 3) for step in range(9)]
    assert [seen[2] for seen in watch.trace] == [
        phase.trainable for phase in PLAN.phases for _ in range(3)
    ]
    if buffers:
        assert module.net.seen == 9
    else:
        assert watch.moved == moves(PLAN)
        assert not watch.leaks
    tracked = getattr(module.net.body, "1", None)
    if getattr(tracked, "track_running_stats", False):
        assert [seen[3][0] for seen in watch.trace] == ["eval"] * 3 + ["train"] * 6


def test_a_tied_weight_trains_with_its_first_name_only():
    """While the body is frozen the head's bias moves and the shared weight does not."""
    module, watch = Lit(Tied()), Watch()
    weight, bias = (
        value.detach().clone() for value in (module.net.head.weight, module.net.head.bias)
    )
    trainer_for(watch, epochs=3, max_steps=3).fit(module)
    assert torch.equal(module.net.head.weight, weight)
    assert not torch.equal(module.net.head.bias, bias)
    assert module.net.head.weight is module.net.body[0].weight


def test_lazy_modules_train_once_they_have_a_shape():
    """Before, there is nothing to give to an optimizer: the error says how to get there."""
    module, watch = Lit(Lazy()), Watch()
    with pytest.raises(DifflrError, match=r"lazy.*Run one batch"):
        trainer_for(watch, epochs=3).fit(module)
    module.net(torch.randn(2, WIDTH))
    watch = Watch()
    trainer_for(watch, epochs=3).fit(module)
    assert watch.moved == moves(PLAN)
    assert bn_mode(module.splits[0]) == "train"
