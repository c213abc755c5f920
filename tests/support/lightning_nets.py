"""A small Lightning module, a trainer without trimmings, and a callback that watches a fit."""

import torch
from nets import TinyNet, changed, copies, loader
from torch.nn import functional as F
from which_lightning import pl

from difflr import ParametersSplitsModule, Phase, Plan
from difflr.freezing import bn_mode

#: Three phases of one, two and one epochs; the middle one freezes three splits.
PLAN = Plan(
    [
        Phase(-1, 1, [0, 0, 0, 0, 0, 1e-2]),
        Phase(3, 2, [0, 0, 0, 1e-3, 2e-3, 4e-3], pct_start=0.5),
        Phase(0, 1, [1e-4, 2e-4, 3e-4, 4e-4, 5e-4, 6e-4]),
    ]
)


class Tiny(ParametersSplitsModule):
    """Trains ``TinyNet`` on a few batches of noise, always in the same order."""

    def __init__(self, milestones=PLAN, batches: int = 5) -> None:
        super().__init__()
        self.net = TinyNet()
        self.milestones = milestones
        self.batches = batches

    def training_step(self, batch, batch_idx):
        images, labels = batch
        return F.cross_entropy(self.net(images), labels)

    def train_dataloader(self):
        return loader(self.batches)


class Validated(Tiny):
    """With a validation of two batches."""

    def validation_step(self, batch, batch_idx):
        self.net(batch[0])

    def val_dataloader(self):
        return loader(2)


class Watch(pl.Callback):
    """Notes LR, momentum, freeze state and BN modes at every optimizer step; what each epoch moved;
    and whether any batch moved a bit of a split that was frozen."""

    def __init__(self) -> None:
        self.trace: list = []
        self.moved: list[list[bool]] = []
        self.leaks: list[str] = []

    def on_train_epoch_start(self, trainer, pl_module):
        self.before = copies(pl_module.splits)

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.held = copies(pl_module.splits)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        splits = pl_module.splits
        for split, moved in zip(splits, changed(splits, self.held), strict=True):
            if moved and not any(p.requires_grad for p in split.parameters.values()):
                self.leaks.append(f"{split.name} in step {trainer.global_step}")

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        lrs, momenta = {}, set()
        for group in optimizer.param_groups:
            lrs.setdefault(group["split"], set()).add(float(group["lr"]))
            momenta.add(group["betas"][0] if "betas" in group else group.get("momentum"))
        assert all(len(found) == 1 for found in [*lrs.values(), momenta])
        splits = pl_module.splits
        self.trace.append(
            (
                tuple(lrs[i].pop() for i in sorted(lrs)),
                momenta.pop(),
                tuple(all(p.requires_grad for p in s.parameters.values()) for s in splits),
                tuple(bn_mode(s) for s in splits),
            )
        )

    def on_train_epoch_end(self, trainer, pl_module):
        if hasattr(
            self, "before"
        ):  # not where a run resumes and no hook has said where an epoch starts
            self.moved.append(changed(pl_module.splits, self.before))


def expected(plan: Plan, steps_per_epoch: int, first: int = 0, last: int | None = None) -> list:
    """What ``Watch`` has to see from step ``first`` up to ``last``, by the plan alone."""
    trace = []
    for step in range(first, plan.epochs * steps_per_epoch if last is None else last):
        point = plan.at(step, steps_per_epoch)
        trainable = plan.phases[point.phase].trainable
        modes = tuple("train" if t or plan.train_bn else "eval" for t in trainable)
        trace.append((point.lrs, point.momentum, trainable, (*modes[:-1], "-")))
    return trace


def moves(plan: Plan) -> list[list[bool]]:
    """What each epoch of a plan may move."""
    return [list(plan.phase_at(epoch).trainable) for epoch in range(plan.epochs)]


def trainer_for(*callbacks: pl.Callback, epochs: int | None = PLAN.epochs, **options) -> pl.Trainer:
    """A trainer on the CPU that writes nothing."""
    plain = {
        "accelerator": "cpu",
        "devices": 1,
        "logger": False,
        "enable_checkpointing": any(isinstance(c, pl.callbacks.ModelCheckpoint) for c in callbacks),
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    return pl.Trainer(max_epochs=epochs, callbacks=list(callbacks), **{**plain, **options})


def fit(module: pl.LightningModule, *callbacks: pl.Callback, ckpt_path=None, **options) -> Watch:
    """Fit and return what was seen."""
    watch = Watch()
    trainer_for(watch, *callbacks, **options).fit(module, ckpt_path=ckpt_path)
    assert not watch.leaks
    return watch


def weights(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Copies of all parameters and buffers."""
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def same_weights(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Whether two copies are equal to the last bit."""
    return all(torch.equal(one[name], other[name]) for name in one.keys() | other.keys())
