"""The Lightning module that trains by a plan, and the mixin that makes any LightningModule one."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.optim import Optimizer

from difflr import freezing
from difflr.errors import DifflrError
from difflr.groups import param_groups
from difflr.lightning.callback import PlanCallback
from difflr.lightning.package import PACKAGES, either, pl
from difflr.lightning.trainer import steps_per_epoch, warn_of_lost_steps
from difflr.milestones import from_milestones
from difflr.models import held
from difflr.plan import Plan
from difflr.rates import LRs, expand_lrs
from difflr.schedule import PlanScheduler
from difflr.splits import Splits, split_model

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["ParametersSplitsModule", "SplitsMixin"]

# What a module written for the 2020 recipe keeps as attributes.
_CYCLE = ("div_factor", "final_div_factor", "base_momentum", "max_momentum")


class SplitsMixin(nn.Module):
    """Let a LightningModule train by ``milestones``: a plan, or the dictionary of the 2020 recipe.

    Name it before the LightningModule of the package whose Trainer you use::

        import lightning as L

        class Lit(difflr.SplitsMixin, L.LightningModule): ...

    Set ``self.milestones``, return the parts of the network from ``model_splits`` (or let difflr
    find them) and write ``training_step``. The optimizer (AdamW with ``self.weight_decay``, see
    ``make_optimizer``), scheduler, freezing and curves per split are set up here. A module with
    its own ``configure_optimizers`` keeps the plan's freezing, and its learning rates if it
    returns ``self.get_scheduler(optimizer)``.
    """

    milestones: Plan | Mapping[int, Mapping[str, Any]] | None = None
    weight_decay: float | Sequence[float] = 0.01
    train_bn: bool = False
    _kept_splits: tuple[list[Any], Splits] | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        order = [c for c in cls.__mro__ if c is SplitsMixin or c in either("LightningModule")]
        if order[0] is not SplitsMixin:
            raise DifflrError(
                f"In {cls.__name__} methods of LightningModule hide those of SplitsMixin.",
                f"Write class {cls.__name__}(SplitsMixin, LightningModule).",
            )

    def model_splits(self) -> Any:
        """Return the splits, shallow to deep, in any form that ``split_model`` takes."""
        return None

    @property
    def splits(self) -> Splits:
        """The splits of this module, cut anew once its parts or their names change."""
        built: list[Any] = [self.model_splits]
        built += [
            (name, id(module), *((own, id(p)) for own, p in module._parameters.items()))
            for name, module in self.named_modules(remove_duplicate=False)
        ]
        if self._kept_splits and self._kept_splits[0] == built:
            return self._kept_splits[1]
        try:
            splits = split_model(self, self.model_splits())
        except AttributeError as error:  # torch would report that "splits" is missing
            raise DifflrError(
                f"{type(self).__name__}.model_splits() failed: {error}.",
                "Build the network in __init__, and name its own parts in model_splits.",
            ) from error
        self._kept_splits = (built, splits)
        return splits

    def __getstate__(self) -> dict[str, Any]:
        lightning: Any = super()
        state: dict[str, Any] = lightning.__getstate__()  # without the trainer
        return {**state, "_kept_splits": None}  # a copy or another process cuts its own

    @property
    def plan(self) -> Plan:
        """``milestones`` as a plan; of a dictionary, with attributes such as ``div_factor``."""
        if isinstance(self.milestones, Plan):
            wakes = self.train_bn and not self.milestones.train_bn
            return replace(self.milestones, train_bn=True) if wakes else self.milestones
        if self.milestones is None:
            raise DifflrError(
                f"{type(self).__name__} has no milestones.",
                "Set self.milestones to a Plan (see difflr.recipes) or a milestones dictionary.",
            )
        options = {name: getattr(self, name) for name in _CYCLE if hasattr(self, name)}
        return from_milestones(self.milestones, train_bn=self.train_bn, **options)

    def freeze_to(self, n: int | str) -> None:
        """Train split ``n`` and all after it, as ``difflr.freeze_to`` does."""
        freezing.freeze_to(self.splits, n, train_bn=self.train_bn)

    def unfreeze(self) -> "Self":
        """Let every parameter train, whoever froze it; return the module."""
        held.wake_all(self)
        lightning: Any = super()
        lightning.unfreeze()  # which returns nothing in Lightning 2.5
        return self

    def get_lrs(self, lr: LRs) -> list[float]:
        """Return one learning rate per split, as ``expand_lrs`` does."""
        return expand_lrs(lr, len(self.splits))

    def get_optimizer_param_groups(self, lr: LRs = 0.0, **options: Any) -> list[dict[str, Any]]:
        """Return the groups of all splits; ``options`` as in ``param_groups``."""
        return param_groups(self.splits, lr, **{"weight_decay": self.weight_decay, **options})

    def make_optimizer(self, param_groups: list[dict[str, Any]]) -> Optimizer:
        """Return the optimizer for these groups; override it to use another than AdamW.

        For groups with ``momentum``, ``matrices`` or ``lora_plus`` see ``get_optimizer_param_groups``.
        """
        return torch.optim.AdamW(param_groups, fused=_may_fuse(self))

    def get_scheduler(self, optimizer: Optimizer) -> dict[str, Any]:
        """Return the plan's scheduler as Lightning takes it, stepped per batch."""
        plan = self.plan
        plan.check(self.splits)
        module: Any = self  # a LightningModule, which the mixin alone is not
        steps = steps_per_epoch(module.trainer, plan)
        warn_of_lost_steps(module.trainer, plan, steps)
        return {"scheduler": PlanScheduler(optimizer, plan, steps), "interval": "step"}

    def configure_optimizers(self) -> Any:
        """Return the optimizer and the plan's scheduler."""
        optimizer = self.make_optimizer(self.get_optimizer_param_groups())
        return {"optimizer": optimizer, "lr_scheduler": self.get_scheduler(optimizer)}

    def configure_callbacks(self) -> list[pl.Callback]:
        """Return the callback that freezes and logs; an override extends this list."""
        return [PlanCallback()]


class ParametersSplitsModule(SplitsMixin, pl.LightningModule):
    """A LightningModule with ``SplitsMixin``, of the Lightning that ``difflr.lightning.package`` chose."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        own = pl.__name__
        if len(either("LightningModule")) > 1:
            (other,) = set(PACKAGES) - {own}
            warnings.warn(
                f"{own} and {other} are both imported, and this ParametersSplitsModule is of {own}: "
                f"the Trainer of {other} refuses it. For that one, write class "
                f"{type(self).__name__}(difflr.SplitsMixin, {other}.LightningModule).",
                stacklevel=2,
            )


def _may_fuse(module: Any) -> bool:
    """Whether AdamW may be the fused one, the fastest.

    It unscales the gradients of ``16-mixed`` in its step, too late for clipping and hooks. Lightning
    refuses to clip for it in ``bf16-mixed`` too.
    """
    trainer = module.trainer
    plugin = trainer.precision_plugin
    mixed = isinstance(plugin, either("plugins.MixedPrecision"))
    if not mixed:
        return True
    usual = either("LightningModule.configure_gradient_clipping")
    clips = trainer.gradient_clip_val or type(module).configure_gradient_clipping not in usual
    return plugin.scaler is None and not clips
