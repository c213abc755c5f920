"""The ten problems that people report most often elsewhere: the usual way fails, difflr's does not.

Each test runs the usual way of torch or Lightning first, so that it says so if that is mended one day.
"""

import copy
import csv

import pytest
import torch
from lightning_nets import PLAN, Tiny, expected, fit, trainer_for
from nets import SPLITS, TinyNet, batch, loader, train_step
from torch import nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from torch.optim import SGD, AdamW
from torch.optim.lr_scheduler import OneCycleLR
from which_lightning import pl

from difflr import (
    JoinedOptimizer,
    LayerDecay,
    Phase,
    Plan,
    PlanScheduler,
    expand_lrs,
    freeze_to,
    param_groups,
    split_model,
)

STEPS = 5  # per epoch of Tiny
LRS = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3)


def usual_groups(net: nn.Module) -> list[dict]:
    """One nameless group per split, as most tutorials write them."""
    return [
        {"params": list(split.parameters.values()), "lr": lr}
        for split, lr in zip(split_model(net), LRS, strict=True)
    ]


def ours(net: nn.Module, kind=SGD, epochs: int = 1, **options):
    """An optimizer with difflr's groups, and the scheduler of one cycle for all splits."""
    optimizer = kind(param_groups(split_model(net), **options), lr=0.0)
    return optimizer, PlanScheduler(optimizer, Plan([Phase(0, epochs, LRS)]), STEPS)


class Usual(pl.LightningModule):
    """Lightning's documented way: only what trains is in the optimizer, one cycle over all steps."""

    def __init__(self, one_cycle: bool = True) -> None:
        super().__init__()
        self.net, self.one_cycle = TinyNet(), one_cycle

    def training_step(self, batch, batch_idx):
        images, labels = batch
        return F.cross_entropy(self.net(images), labels)

    def train_dataloader(self):
        return loader(STEPS)

    def configure_optimizers(self):
        optimizer = SGD([p for p in self.parameters() if p.requires_grad], lr=0.1)
        if not self.one_cycle:
            return optimizer
        cycle = OneCycleLR(optimizer, 0.1, total_steps=3 * STEPS)
        return [optimizer], [{"scheduler": cycle, "interval": "step"}]


class Thaw(pl.callbacks.BaseFinetuning):
    """Trains the head; from the second epoch on also layer4, whose group is added then."""

    def freeze_before_training(self, pl_module):
        self.freeze([m for name, m in pl_module.net.named_children() if name != "fc"])

    def finetune_function(self, pl_module, epoch, optimizer):
        if epoch == 1:
            self.unfreeze_and_add_param_group(pl_module.net.layer4, optimizer)


def test_one_max_lr_flattens_the_groups(net):
    """OneCycleLR with one ``max_lr`` overwrites the groups' rates; a plan keeps them apart at each step."""
    optimizer = SGD(usual_groups(net))
    OneCycleLR(optimizer, max_lr=3e-3, total_steps=STEPS)
    assert len({group["lr"] for group in optimizer.param_groups}) == 1
    optimizer, scheduler = ours(net)
    for _ in range(STEPS):
        rates = {group["split"]: group["lr"] for group in optimizer.param_groups}
        assert [rates[i] / rates[5] for i in range(6)] == pytest.approx([r / LRS[5] for r in LRS])
        train_step(net, optimizer)
        scheduler.step()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_group_added_in_mid_run_breaks_the_scheduler():
    """BaseFinetuning adds a group that OneCycleLR knows nothing of; a plan's groups are there from step 0."""
    with pytest.raises((KeyError, ValueError, IndexError)):
        trainer_for(Thaw(), epochs=3).fit(Usual())
    counts = []

    class Count(pl.Callback):
        def on_train_epoch_start(self, trainer, pl_module):
            counts.append(len(trainer.optimizers[0].param_groups))

    assert fit(Tiny(), Count()).trace == expected(PLAN, STEPS)
    assert len(counts) == PLAN.epochs
    assert len(set(counts)) == 1


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_resumed_run_is_frozen_again(tmp_path):
    """BaseFinetuning, resumed, freezes what it had unfrozen; a plan goes on as if it had never stopped."""
    path = tmp_path / "usual.ckpt"
    stopped = trainer_for(Thaw(), epochs=2)
    stopped.fit(module := Usual(one_cycle=False))
    assert all(p.requires_grad for p in module.net.layer4.parameters())
    stopped.save_checkpoint(path)
    trainer_for(Thaw(), epochs=3).fit(module := Usual(one_cycle=False), ckpt_path=path)
    assert not module.net.layer4[0].weight.requires_grad  # BatchNorm it never freezes

    path = tmp_path / "ours.ckpt"

    class Stop(pl.Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            if trainer.current_epoch == 2:
                trainer.save_checkpoint(path)

    whole = Tiny()
    fit(whole, Stop())
    resumed = Tiny()
    assert fit(resumed, ckpt_path=path).trace == expected(PLAN, STEPS, 3 * STEPS)
    assert all(map(torch.equal, whole.state_dict().values(), resumed.state_dict().values()))


def test_statistics_of_frozen_batchnorm_drift(net):
    """``requires_grad=False`` leaves the running statistics moving; a frozen split keeps every bit."""
    usual = copy.deepcopy(net).requires_grad_(False)
    usual.fc.requires_grad_(True)
    optimizer = SGD(usual.fc.parameters(), lr=0.1)
    usual.train()
    train_step(usual, optimizer)
    assert not torch.equal(usual.bn1.running_mean, net.bn1.running_mean)

    splits, before = split_model(net), copy.deepcopy(net.state_dict())
    optimizer = SGD(param_groups(splits, 0.1))
    net.train()
    freeze_to(splits, -1)
    train_step(net, optimizer)
    moved = {
        name for name, value in net.state_dict().items() if not torch.equal(value, before[name])
    }
    assert moved == {"fc.weight", "fc.bias"}


def test_lr_scale_is_read_by_no_torch_optimizer(net):
    """``lr_scale``, as timm writes it, changes no step of torch's SGD; ``LayerDecay`` changes each step."""
    weight = nn.Parameter(torch.ones(3))
    optimizer = SGD([{"params": [weight], "lr_scale": 0.1}], lr=0.5)
    weight.grad = torch.ones(3)
    optimizer.step()
    assert torch.equal(weight, torch.full((3,), 0.5))  # not 0.95

    optimizer = SGD(param_groups(split_model(net), LayerDecay(0.5, 0.1), weight_decay=0))
    before = copy.deepcopy(net.state_dict())
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    rates = expand_lrs(LayerDecay(0.5, 0.1), 6)
    for split, rate in zip(split_model(net), rates, strict=True):
        for name, parameter in split.parameters.items():
            torch.testing.assert_close(parameter.data, before[name] - rate)


@pytest.mark.skipif(
    not (torch.distributed.is_available() and torch.distributed.is_gloo_available()),
    reason="this torch has no gloo",
)
def test_what_is_unfrozen_under_ddp_is_not_synchronised(tmp_path):
    """DDP reduces only what trained when it was made; with difflr all does, whatever is frozen then."""

    def reduced(network: nn.Module, thaw, **options) -> set[str]:
        """Names of the parameters whose gradients DDP exchanges after ``thaw()``."""
        seen: set[int] = set()

        def hook(_, bucket):
            seen.update(map(id, bucket.parameters()))
            future = torch.futures.Future()
            future.set_result(bucket.buffer())
            return future

        wrapped = DistributedDataParallel(network, **options)
        wrapped.register_comm_hook(None, hook)
        thaw()
        images, labels = batch()
        F.cross_entropy(wrapped(images), labels).backward()
        return {name for name, p in network.named_parameters() if id(p) in seen}

    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        usual, net = TinyNet(), TinyNet()
        usual.requires_grad_(False)
        usual.fc.requires_grad_(True)
        found = reduced(usual, lambda: usual.requires_grad_(True))
        assert found == {"fc.weight", "fc.bias"}
        assert usual.conv1.weight.grad is not None  # it trains, on each device for itself

        splits = split_model(net)

        def thaw():
            for first in (-1, 0):
                net.train()
                freeze_to(splits, first)

        assert reduced(net, thaw, find_unused_parameters=True) == set(dict(net.named_parameters()))
        assert all(p.grad.any() for p in (net.conv1.weight, net.fc.weight))
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_logs_do_not_say_whose_rate_they_show(tmp_path):
    """LearningRateMonitor numbers the usual groups; with difflr's groups it names the splits."""

    class Numbered(Usual):
        def configure_optimizers(self):
            optimizer = AdamW(usual_groups(self.net))
            return [optimizer], [OneCycleLR(optimizer, list(LRS), total_steps=3)]

    def columns(module: pl.LightningModule, epochs: int) -> set[str]:
        logger = pl.loggers.CSVLogger(tmp_path, type(module).__name__)
        monitor = pl.callbacks.LearningRateMonitor("step")
        options = {"logger": logger, "log_every_n_steps": 1}
        trainer_for(monitor, epochs=epochs, **options).fit(module)
        with open(f"{logger.log_dir}/metrics.csv", newline="") as file:
            return set(next(csv.reader(file)))

    found = columns(Numbered(), 1)
    assert {f"lr-AdamW/pg{i}" for i in range(1, 7)} <= found
    assert not any(name in column for name in SPLITS for column in found)
    found = columns(Tiny(), PLAN.epochs)
    assert {f"lr-AdamW/{name}" for name in SPLITS} <= found
    assert {f"lr/{name}" for name in SPLITS} <= found


def test_layers_are_not_registered_in_the_order_of_the_forward_pass():
    """A head that was built first comes first among the children; the splits go from shallow to deep."""

    class HeadFirst(TinyNet):
        def __init__(self):
            super().__init__()
            for name in ("bn1", "layer1", "layer2", "layer3", "layer4", "conv1"):
                self._modules[name] = self._modules.pop(name)  # to the end

    net = HeadFirst()
    assert [name for name, _ in net.named_children()][1] == "fc"
    decayed = [
        1e-2 * 0.5**i for i in reversed(range(8))
    ]  # the usual way: by place among the children
    usual = dict(zip((name for name, _ in net.named_children()), decayed, strict=True))
    assert usual["fc"] < usual["layer1"] < usual["conv1"]

    splits = split_model(net)
    assert splits.names == SPLITS
    rates = {g["split_name"]: g["lr"] for g in param_groups(splits, LayerDecay(1e-2, 0.5))}
    assert [rates[name] for name in SPLITS] == sorted({*rates.values()})


def test_weight_decay_shrinks_biases_and_norms(net):
    """AdamW over ``parameters()`` decays every scale and bias; difflr's groups decay weights alone."""

    def shrunk(network: nn.Module, groups) -> set[str]:
        before = copy.deepcopy(network.state_dict())
        optimizer = AdamW(groups, lr=0.1, weight_decay=0.1)
        for parameter in network.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
        return {name for name, p in network.named_parameters() if not torch.equal(p, before[name])}

    usual = copy.deepcopy(net)
    assert {"bn1.weight", "fc.bias"} <= shrunk(usual, usual.parameters())
    weights = {name for name, p in net.named_parameters() if p.ndim > 1}
    assert shrunk(net, param_groups(split_model(net), 0.1, weight_decay=0.1)) == weights


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="torch.optim.Muon came with torch 2.9")
def test_muon_takes_no_groups_with_vectors():
    """Muon refuses biases and norms; joined with AdamW, all train at the rates of their splits."""
    body = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4))
    net = nn.Sequential(body, nn.Linear(4, 2))
    with pytest.raises(ValueError, match="2D"):
        torch.optim.Muon(net.parameters())

    splits = split_model(net, [body, net[1]])
    groups = param_groups(splits, matrices=True)
    optimizer = JoinedOptimizer(
        torch.optim.Muon([g for g in groups if g["matrices"]], adjust_lr_fn="match_rms_adamw"),
        AdamW([g for g in groups if not g["matrices"]]),
    )
    scheduler = PlanScheduler(optimizer, Plan([Phase(0, 1, [1e-3, 1e-2])]), STEPS)
    before = copy.deepcopy(net.state_dict())
    for _ in range(STEPS):
        rates = scheduler.plan.lrs(scheduler.last_epoch, STEPS)
        assert all(g["lr"] == rates[g["split"]] for g in optimizer.param_groups)
        optimizer.zero_grad()
        F.cross_entropy(net(torch.randn(8, 4)), torch.randint(0, 2, (8,))).backward()
        optimizer.step()
        scheduler.step()
    assert not any(torch.equal(value, before[name]) for name, value in net.state_dict().items())
