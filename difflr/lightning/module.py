"""Differential learning rates in a Lightning module: the glue, and nothing else."""

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins import MixedPrecision
from pytorch_lightning.utilities.model_helpers import is_overridden
from torch.optim import Optimizer

from difflr import freezing, groups, held
from difflr.errors import DifflrError
from difflr.lightning.callback import PlanCallback
from difflr.lightning.trainer import steps_per_epoch
from difflr.milestones import from_milestones
from difflr.plan import Plan
from difflr.rates import LRs, expand_lrs
from difflr.schedule import PlanScheduler
from difflr.splits import Splits, split_model

__all__ = ["ParametersSplitsModule", "PlanCallback", "steps_per_epoch"]

# Settings of the cycle that a module written for the 2020 recipe keeps as attributes of its own.
_CYCLE = ("div_factor", "final_div_factor", "base_momentum", "max_momentum")


class ParametersSplitsModule(pl.LightningModule):
    """A LightningModule that trains by ``milestones``: a plan, or the dictionary of the 2020 recipe.

    Set ``self.milestones``, return the parts of the network from ``model_splits`` (or let difflr
    find them) and write ``training_step``. Nothing else is needed: the optimizer (AdamW with
    ``self.weight_decay``, see ``make_optimizer``), one scheduler for all phases, freezing and the
    curves per split are set up here. A module that overrides ``configure_optimizers`` keeps the
    plan's freezing, and its learning rates too if it returns ``self.get_scheduler(optimizer)``.
    """

    milestones: Plan | Mapping[int, Mapping[str, Any]] | None = None
    weight_decay: float = 0.01
    train_bn: bool = False

    def model_splits(self) -> Any:
        """Return the splits, shallow to deep, in any form that ``split_model`` takes."""
        return None

    @property
    def splits(self) -> Splits:
        """The checked splits of this module."""
        try:
            return split_model(self, self.model_splits())
        except AttributeError as error:  # torch would report that "splits" itself is missing
            raise DifflrError(
                f"{type(self).__name__}.model_splits() failed: {error}.",
                "Build the network in __init__, and name its own parts in model_splits.",
            ) from error

    @property
    def plan(self) -> Plan:
        """``milestones`` as a plan; the 2020 recipe's attributes such as ``div_factor`` count."""
        if isinstance(self.milestones, Plan):
            return self.milestones
        if self.milestones is None:
            raise DifflrError(
                f"{type(self).__name__} has no milestones.",
                "Set self.milestones to a Plan (see difflr.recipes) or a milestones dictionary.",
            )
        options = {name: getattr(self, name) for name in _CYCLE if hasattr(self, name)}
        return from_milestones(self.milestones, train_bn=self.train_bn, **options)

    def freeze_to(self, n: int | str) -> None:
        """Train split ``n`` and all after it: 0 trains all, -1 only the last split."""
        freezing.freeze_to(self.splits, n, train_bn=self.train_bn)

    def unfreeze(self) -> "ParametersSplitsModule":
        """Let every parameter train, whoever froze it, and return the module."""
        held.wake_all(self)
        super().unfreeze()
        return self

    def get_lrs(self, lr: LRs) -> list[float]:
        """Return one learning rate per split, from any form that ``expand_lrs`` takes."""
        return expand_lrs(lr, len(self.splits))

    def get_optimizer_param_groups(self, lr: LRs = 0.0, **options: Any) -> list[dict[str, Any]]:
        """Return the named groups of all splits, frozen ones included (see ``param_groups``)."""
        return groups.param_groups(
            self.splits, lr, **{"weight_decay": self.weight_decay, **options}
        )

    def make_optimizer(self, param_groups: list[dict[str, Any]]) -> Optimizer:
        """Return the optimizer for these groups. Override it to use another than AdamW."""
        return torch.optim.AdamW(param_groups, fused=_may_fuse(self))

    def get_scheduler(self, optimizer: Optimizer) -> dict[str, Any]:
        """Return the plan's scheduler in the form that Lightning takes, stepped per batch."""
        plan = self.plan
        plan.check(self.splits)
        steps = steps_per_epoch(self.trainer, plan)
        return {"scheduler": PlanScheduler(optimizer, plan, steps), "interval": "step"}

    def configure_optimizers(self) -> Any:
        """Return the optimizer and the plan's scheduler."""
        optimizer = self.make_optimizer(self.get_optimizer_param_groups())
        return {"optimizer": optimizer, "lr_scheduler": self.get_scheduler(optimizer)}

    def configure_callbacks(self) -> list[pl.Callback]:
        """Return the callback that freezes and logs; extend ``super()``'s list in an override."""
        return [PlanCallback()]


def _may_fuse(module: pl.LightningModule) -> bool:
    """Whether AdamW may be the fused one, the fastest.

    Under a gradient scaler (``16-mixed``) a fused optimizer takes the scale out of the gradients inside
    its step, so all that looks at them before, clipping or a hook, would see them scaled. Lightning's
    ``MixedPrecision.clip_gradients`` therefore refuses to clip for it, in ``bf16-mixed`` too, which has
    no scaler.
    """
    trainer = module.trainer
    plugin = trainer.precision_plugin
    if not isinstance(plugin, MixedPrecision):
        return True
    clips = trainer.gradient_clip_val or is_overridden("configure_gradient_clipping", module)
    return plugin.scaler is None and not clips
