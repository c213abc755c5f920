"""The callback that freezes by the plan and logs the curves; every ParametersSplitsModule brings it."""

from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_warn
from torch.optim import Optimizer

from difflr import freezing
from difflr.errors import DifflrError
from difflr.lightning.package import pl
from difflr.lightning.trainer import (
    check_strategy,
    check_trainer,
    count_epoch,
    epochs_done,
    steps_per_epoch,
)
from difflr.models import held
from difflr.models.order import ForwardOrder, is_compiled
from difflr.schedule import PlanScheduler, check_fingerprint, check_held, fingerprint
from difflr.splits import Split, Splits

__all__ = ["PlanCallback", "scheduler_of"]


class PlanCallback(pl.Callback):
    """Freeze what the plan says wherever training can begin, and log each split's LR.

    What is frozen follows from the scheduler's step and is never saved, so a resumed run is frozen
    like one never interrupted, in mid-epoch too.
    """

    _splits: Splits
    _asleep: list[Split]  # whose BatchNorm has to stay in evaluation mode
    _order: ForwardOrder | None = None  # during the first batch of a fit
    _first_epoch: int  # of this fit: a trainer that fits again goes on counting

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Refuse what would shard the splits; wake what difflr froze."""
        if stage != "fit":
            return
        if not hasattr(type(pl_module), "splits"):
            raise DifflrError(
                f"PlanCallback was given to a trainer that fits a {type(pl_module).__name__}.",
                "Let the module inherit from ParametersSplitsModule, which brings the callback.",
            )
        check_strategy(trainer)
        held.wake_all(pl_module)  # data-parallel strategies synchronise only what is trainable now

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: Any, checkpoint: dict[str, Any]
    ) -> None:
        """Refuse another plan's checkpoint before torch complains of group sizes."""
        for state in checkpoint.get("lr_schedulers", []):
            if trainer.state.fn == "fit" and "fingerprint" in state:
                own = fingerprint(pl_module.plan, pl_module.splits.names)
                check_fingerprint(state["fingerprint"], own)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Refuse what would go wrong later."""
        plan, splits = pl_module.plan, pl_module.splits
        plan.check(splits)
        check_held(plan, splits)
        check_trainer(trainer, plan)
        self._first_epoch = epochs_done(trainer)
        if scheduler_of(trainer) is None:
            steps_per_epoch(trainer, plan)
            _check_own_optimizers(trainer.optimizers)
        if hasattr(pl_module, "on_epoch_start"):
            rank_zero_warn(
                "Lightning 2 never calls on_epoch_start; difflr does what the 2020 recipe did there. "
                "Delete it, or rename it to on_train_epoch_start if it does more."
            )

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Freeze for the first step, which may lie in mid-phase."""
        # Only now, since a strategy may have exchanged modules (SyncBatchNorm).
        self._splits = pl_module.splits
        self._freeze(trainer, pl_module)
        hooked = not is_compiled(pl_module)  # hooks would have it compiled once more
        self._order = self._splits.forward_order().__enter__() if hooked else None

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Freeze before the module's own hook, which may read what trains."""
        self._freeze(trainer, pl_module)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Freeze, since a hook may have called ``train()``; log the step's LR and momentum."""
        count_epoch(trainer)
        self._freeze(trainer, pl_module)
        scheduler = scheduler_of(trainer)
        every = trainer.log_every_n_steps  # type: ignore[attr-defined]
        opens_step = batch_idx % trainer.accumulate_grad_batches == 0
        due = every and opens_step and trainer.global_step % every == 0
        if scheduler is None or not due or not trainer.loggers:
            return
        point = scheduler.plan.at(scheduler.last_epoch, scheduler.steps_per_epoch)
        names = self._splits.names
        curves = {f"lr/{name}": lr for name, lr in zip(names, point.lrs, strict=True)}
        if scheduler.cycles_momentum and point.momentum is not None:
            curves |= {f"momentum/{name}": point.momentum for name in names}
        for logger in trainer.loggers:
            logger.log_metrics(curves, step=trainer.global_step)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any, **__: Any
    ) -> None:
        """Warn of a forward in another order; refuse BatchNorm that was woken."""
        if self._order is not None:
            self._order.__exit__()
            if found := self._order.out_of_order():
                rank_zero_warn(f"{type(pl_module).__name__}: {found}")
            self._order = None
        for split in self._asleep:
            if freezing.bn_mode(split) not in ("eval", "-"):
                raise DifflrError(
                    "training_step (or on_train_batch_start) put BatchNorm of the frozen split "
                    f"{split.name} into train mode, which changed its statistics.",
                    "Do not call train() there: difflr sets the mode before every batch.",
                )

    def on_exception(self, *_: Any, **__: Any) -> None:
        """Leave no hook on the model after a failed first batch."""
        if self._order is not None:
            self._order.__exit__()

    def _freeze(self, trainer: pl.Trainer, pl_module: Any) -> None:
        scheduler = scheduler_of(trainer)
        if scheduler is not None:
            plan, phase = scheduler.plan, scheduler.plan.phases[scheduler.phase_index]
        else:  # the module's own scheduler: only the epoch is known
            plan = pl_module.plan
            phase = plan.phase_at(trainer.current_epoch - self._first_epoch)
        trained = phase.trained
        freezing.set_trainable(self._splits, trained, train_bn=plan.train_bn)
        asleep = () if plan.train_bn else self._splits
        self._asleep = [split for i, split in enumerate(asleep) if i not in trained]


def scheduler_of(trainer: pl.Trainer) -> PlanScheduler | None:
    """Return the trainer's plan scheduler, if it has one."""
    schedulers = (config.scheduler for config in trainer.lr_scheduler_configs)
    return next((found for found in schedulers if isinstance(found, PlanScheduler)), None)


def _check_own_optimizers(optimizers: list[Optimizer]) -> None:
    """Say what a ``configure_optimizers`` without the plan's scheduler means."""
    own = [group for optimizer in optimizers for group in optimizer.param_groups]
    if not any(float(g["lr"]) or float(g.get("initial_lr", 0)) for g in own):
        raise DifflrError(
            "The learning rates of configure_optimizers are all 0 (the dummy of the 2020 recipe?).",
            "Delete your configure_optimizers, or return self.get_scheduler(optimizer) too.",
        )
    rank_zero_warn(
        "configure_optimizers returns no PlanScheduler: the plan only freezes, by the epoch. For its "
        "rates too, return {'optimizer': optimizer, 'lr_scheduler': self.get_scheduler(optimizer)}."
    )
