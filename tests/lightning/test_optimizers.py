"""Several optimizers in Lightning: joined in one under automatic optimization, or stepped by hand."""

import re
from pathlib import Path

import pytest
import torch
from lightning_nets import PLAN, Tiny, fit, same_weights, trainer_for, weights
from nets import TinyNet, loader
from torch import nn
from torch.nn import functional as F
from which_lightning import pl

import difflr
from difflr import DifflrError, JoinedOptimizer, make_plan, param_groups, split_model

TITLE = "Two networks against each other (manual optimization)"
PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "ten-lines.md").read_text("utf-8")
RECIPE = re.search(rf"{re.escape(TITLE)}\n.*?```python\n(.*?)```", PAGE, re.DOTALL)[1]


class Deep(nn.Module):
    """A network with hidden matrices, in three splits."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 8), nn.ReLU())
        self.neck = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8))
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        return self.head(self.neck(self.body(x)))


class WithMuon(Tiny):
    """Muon for its matrices, AdamW for the rest; a list of weight decays."""

    weight_decay = (0.3, 0.2, 0.1)

    def __init__(self, epochs: int = 3) -> None:
        super().__init__(make_plan("gradual", 3, epochs, lr=1e-2), 4)
        self.net = Deep()

    def model_splits(self):
        return [self.net.body, self.net.neck, self.net.head]

    def make_optimizer(self, param_groups):
        groups = self.get_optimizer_param_groups(matrices=True)
        muon = [g for g in groups if g["matrices"]]
        rest = [g for g in groups if not g["matrices"]]
        return JoinedOptimizer(torch.optim.Muon(muon), torch.optim.AdamW(rest))


muon_only = pytest.mark.skipif(
    not hasattr(torch.optim, "Muon"), reason="torch.optim.Muon came with torch 2.9"
)


@muon_only
@pytest.mark.parametrize(
    "options",
    [{}, {"gradient_clip_val": 0.1}, {"precision": "bf16-mixed"}, {"accumulate_grad_batches": 2}],
    ids=["plain", "clipped", "bf16-mixed", "accumulated"],
)
def test_muon_and_adamw_train_by_one_plan(options):
    """Rates and momentum of every step, what is frozen, and that nothing frozen moves."""
    module = WithMuon()
    before = weights(module)
    watch = fit(module, epochs=3, **options)
    steps = 4 // options.get("accumulate_grad_batches", 1)
    lrs = [module.plan.at(step, steps).lrs for step in range(3 * steps)]
    momenta = [module.plan.at(step, steps).momentum for step in range(3 * steps)]
    assert [entry[:2] for entry in watch.trace] == list(zip(lrs, momenta, strict=True))
    assert watch.moved == [list(phase.trainable) for phase in module.plan.phases]
    after = weights(module)
    assert not any(
        torch.equal(before[n], after[n]) for n, p in module.named_parameters() if p.ndim > 1
    )
    assert {g["weight_decay"] for g in module.trainer.optimizers[0].param_groups} == {
        0,
        0.1,
        0.2,
        0.3,
    }


@muon_only
def test_a_run_with_muon_is_resumed_bit_identically(tmp_path):
    """In the middle of a phase."""
    torch.manual_seed(0)
    whole = WithMuon(6)
    keep = pl.callbacks.ModelCheckpoint(tmp_path, "{step}", save_top_k=-1, every_n_train_steps=4)
    fit(whole, keep, epochs=6)
    torch.manual_seed(1)
    resumed = WithMuon(6)
    fit(resumed, epochs=6, ckpt_path=str(tmp_path / "step=12.ckpt"))
    assert same_weights(weights(whole), weights(resumed))


@muon_only
def test_a_gradient_scaler_takes_its_scale_out_once():
    """As in float16: the joined optimizer learns what it would learn without one."""
    results = []
    for scale in (False, True):
        torch.manual_seed(0)
        net = Deep()
        splits = split_model(net, [net.body, net.neck, net.head])
        groups = param_groups(splits, 1e-2, matrices=True)
        muon = torch.optim.Muon([g for g in groups if g["matrices"]])
        adamw = torch.optim.AdamW([g for g in groups if not g["matrices"]], fused=True)
        optimizer = JoinedOptimizer(muon, adamw)
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, enabled=scale)
        for images, labels in loader(3):
            scaler.scale(F.cross_entropy(net(images), labels)).backward()
            scaler.step(optimizer), scaler.update(), optimizer.zero_grad()
        results.append(weights(net))
    assert same_weights(*results)


class Rivals(pl.LightningModule):
    """Two networks against each other, each by its own plan: the recipe of the docs as it stands there."""

    automatic_optimization = False

    def __init__(self) -> None:
        super().__init__()
        self.generator, self.critic = TinyNet(), TinyNet()

    def configure_optimizers(self):
        names = {"difflr": difflr, "torch": torch, "epochs": 3, "loader": range(5)}
        exec(RECIPE, names)
        optimizers, self.plans = names["configure_optimizers"](self)
        return optimizers, self.plans

    def training_step(self, batch, batch_idx):
        for optimizer, scheduler, splits in zip(
            self.optimizers(), self.lr_schedulers(), self.cuts, strict=True
        ):
            scheduler.freeze(splits)
            self.manual_backward(F.cross_entropy(splits.model(batch[0]), batch[1]))
            optimizer.step(), scheduler.step(), optimizer.zero_grad()


class Steps(pl.Callback):
    """Notes at each step the rates of both optimizers and which splits of each network require gradients."""

    def __init__(self) -> None:
        self.seen = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.seen.append(
            [
                tuple(all(p.requires_grad for p in s.parameters.values()) for s in cut)
                for cut in pl_module.cuts
            ]
        )


def test_two_plans_train_two_networks_under_manual_optimization(tmp_path):
    """Each by its own; and a resumed run ends where the whole one does."""
    torch.manual_seed(0)
    whole, steps = Rivals(), Steps()
    keep = pl.callbacks.ModelCheckpoint(tmp_path, "{epoch}", save_top_k=-1, every_n_epochs=1)
    trainer_for(keep, steps, epochs=3).fit(whole, loader(5))
    assert steps.seen == [
        [tuple(plan.plan.phase_at(step // 5).trainable) for plan in whole.plans]
        for step in range(15)
    ]
    assert [plan.last_epoch for plan in whole.plans] == [15, 15]
    torch.manual_seed(1)
    resumed = Rivals()
    trainer_for(epochs=3).fit(resumed, loader(5), ckpt_path=str(tmp_path / "epoch=0.ckpt"))
    assert same_weights(weights(whole), weights(resumed))


def test_manual_optimization_of_a_splits_module_names_both_ways():
    """A joined optimizer, or a scheduler for each."""
    module = Tiny(PLAN)
    module.automatic_optimization = False
    with pytest.raises(DifflrError, match=r"JoinedOptimizer.*PlanScheduler for each"):
        fit(module)
