"""The callback that freezes by the plan and draws the curves; every ParametersSplitsModule brings it."""

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.strategies import DDPStrategy, ParallelStrategy
from pytorch_lightning.utilities.rank_zero import rank_zero_warn
from torch.optim import Optimizer

from difflr import freezing
from difflr.errors import DifflrError
from difflr.plan import Plan
from difflr.schedule import PlanScheduler
from difflr.splits import Splits

__all__ = ["PlanCallback"]


class PlanCallback(pl.Callback):
    """Freeze what the plan says at every point where training can begin, and log each split's LR.

    What is frozen follows from the scheduler's step alone and is never saved, so a resumed run (in
    mid-epoch too) is frozen like the one that was never interrupted.
    """

    def __init__(self) -> None:
        self._phase = -1  # the phase that the model is frozen for now

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Refuse what would go wrong later, before anything is trained."""
        if stage != "fit":
            return
        if not hasattr(pl_module, "splits"):
            raise DifflrError(
                f"PlanCallback was given to a trainer that fits a {type(pl_module).__name__}.",
                "Let the module inherit from ParametersSplitsModule, which brings the callback.",
            )
        module: Any = pl_module
        self._splits: Splits = module.splits
        plan: Plan = module.plan
        plan.check(self._splits)
        _check_strategy(trainer, plan)
        # Data-parallel strategies synchronise only what can train when they wrap the model.
        freezing.set_trainable(self._splits, range(len(self._splits)))
        if hasattr(pl_module, "on_epoch_start"):
            rank_zero_warn(
                "Lightning 2 never calls on_epoch_start; difflr does what the 2020 recipe did there. "
                "Delete the method, or rename it to on_train_epoch_start if it does more."
            )

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Freeze for the first step, which a resumed run may take in the middle of a phase."""
        if _scheduler(trainer) is None:
            _check_own_optimizers(trainer.optimizers)
        self._freeze(trainer, pl_module)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Freeze anew: another hook may have called ``train()`` on the whole model."""
        self._freeze(trainer, pl_module)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Freeze where a phase begins, and log LR and momentum of the step to come."""
        scheduler = _scheduler(trainer)
        if scheduler is None:
            return
        if scheduler.phase_index != self._phase:
            self._freeze(trainer, pl_module)
        every = trainer.log_every_n_steps  # type: ignore[attr-defined]
        opens_step = batch_idx % trainer.accumulate_grad_batches == 0
        if trainer.loggers and every and opens_step and trainer.global_step % every == 0:
            point = scheduler.plan.at(scheduler.last_epoch, scheduler.steps_per_epoch)
            names = self._splits.names
            curves = {f"lr/{name}": lr for name, lr in zip(names, point.lrs, strict=True)}
            if scheduler.plan.cycle_momentum:
                curves |= {f"momentum/{name}": point.momentum for name in names}
            for logger in trainer.loggers:
                logger.log_metrics(curves, step=trainer.global_step)

    def _freeze(self, trainer: pl.Trainer, pl_module: Any) -> None:
        scheduler = _scheduler(trainer)
        if scheduler is not None:
            plan, self._phase = scheduler.plan, scheduler.phase_index
            phase = plan.phases[self._phase]
        else:  # the module's own optimizer and scheduler: only the epoch is known
            plan = pl_module.plan
            phase = plan.phase_at(trainer.current_epoch)
        trainable = [i for i, trains in enumerate(phase.trainable) if trains]
        freezing.set_trainable(self._splits, trainable, train_bn=plan.train_bn)


def _scheduler(trainer: pl.Trainer) -> PlanScheduler | None:
    schedulers = (config.scheduler for config in trainer.lr_scheduler_configs)
    return next((found for found in schedulers if isinstance(found, PlanScheduler)), None)


def _check_strategy(trainer: pl.Trainer, plan: Plan) -> None:
    """Refuse a strategy under which a split that is frozen for a while would go wrong."""
    if all(all(phase.trainable) for phase in plan.phases):
        return
    strategy = trainer.strategy
    if isinstance(strategy, DDPStrategy):
        if not strategy._ddp_kwargs.get("find_unused_parameters", False):
            raise DifflrError(
                "The plan freezes splits, which plain DDP takes for lost gradients.",
                "Pass strategy='ddp_find_unused_parameters_true' to the Trainer.",
            )
    elif isinstance(strategy, ParallelStrategy):
        raise DifflrError(
            f"The plan freezes splits, which {type(strategy).__name__} does not allow after it has "
            "wrapped the model.",
            "Pass strategy='ddp_find_unused_parameters_true', or a plan that trains all splits.",
        )


def _check_own_optimizers(optimizers: list[Optimizer]) -> None:
    """Say what an overridden ``configure_optimizers`` without the plan's scheduler means."""
    own = [group for optimizer in optimizers for group in optimizer.param_groups]
    if not any(float(g["lr"]) or float(g.get("initial_lr", 0)) for g in own):
        raise DifflrError(
            "configure_optimizers returns an optimizer whose learning rates are all 0 (the dummy of "
            "the 2020 recipe?), so nothing would train.",
            "Delete your configure_optimizers, or return self.get_scheduler(optimizer) with it.",
        )
    rank_zero_warn(
        "configure_optimizers returns no PlanScheduler: the plan's splits are frozen by the epoch, "
        "but its learning rates are not used. Return {'optimizer': optimizer, 'lr_scheduler': "
        "self.get_scheduler(optimizer)} to use them."
    )
