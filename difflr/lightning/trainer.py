"""What a plan asks of a Lightning Trainer: length, strategy, other callbacks."""

import math
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_warn
from torch.utils.data import DataLoader, IterableDataset

from difflr.errors import DifflrError
from difflr.lightning.package import either, package_of, pl
from difflr.models.running_stats import is_batch_norm
from difflr.plan import Plan
from difflr.schedule import warn_of_lost_phases

__all__ = [
    "check_strategy",
    "check_trainer",
    "count_epoch",
    "epochs_done",
    "steps_per_epoch",
    "warn_of_lost_steps",
]

_RIVALS = {  # callbacks, and what each would do to a plan
    "BaseFinetuning": "freezes and adds parameter groups on its own",
    "GradientAccumulationScheduler": "changes the number of steps in an epoch",
    "StochasticWeightAveraging": "replaces the scheduler",
}
_DDP = "strategy='ddp_find_unused_parameters_true'"


def epochs_done(trainer: pl.Trainer) -> int:
    """Return the epochs that earlier calls of ``fit`` trained; a resumed run counts from 0."""
    return 0 if trainer.ckpt_path else trainer.current_epoch


def count_epoch(trainer: pl.Trainer) -> None:
    """Count the running epoch where Lightning has not.

    Resumed after an epoch's last batch, Lightning (2.5 and 2.6) does not count the next epoch. A run
    resumed from within that one would begin it anew and exceed its plan.
    """
    epochs = trainer.fit_loop.epoch_progress
    if epochs.current.ready == epochs.current.completed:
        epochs.increment_ready()
        epochs.increment_started()


def steps_per_epoch(trainer: pl.Trainer, plan: Plan) -> int:
    """Return the optimizer steps of one epoch of ``trainer``, whose length is checked.

    Counts devices, ``limit_train_batches`` and ``accumulate_grad_batches`` as Lightning does.

    Raises:
        DifflrError: for a loader without a length, or a trainer that runs longer or shorter than the
            plan (``max_steps`` and ``fast_dev_run`` may cut it short).
    """
    trainer.fit_loop.setup_data()
    batches = trainer.num_training_batches
    if batches == math.inf:
        raise DifflrError(
            "The training data has no length, so an epoch has no number of steps.",
            "Pass limit_train_batches=<batches per epoch> to the Trainer.",
        )
    steps = max(1, math.ceil(batches / trainer.accumulate_grad_batches))
    if trainer.fast_dev_run:  # type: ignore[attr-defined]
        return steps
    done = epochs_done(trainer)
    if trainer.max_epochs in (None, -1):
        if not 0 <= trainer.max_steps <= plan.epochs * steps:
            raise DifflrError(
                f"The trainer runs max_epochs={trainer.max_epochs}, max_steps={trainer.max_steps}; the "
                f"plan lasts {plan.epochs} epochs of {steps} steps.",
                f"Pass max_epochs={plan.epochs} to the Trainer.",
            )
    elif not done:
        plan.check(plan.n_splits, trainer.max_epochs)
    elif trainer.max_epochs - done != plan.epochs:  # fit goes on counting epochs
        raise DifflrError(
            f"The plan lasts {plan.epochs} epochs, the trainer has trained {done} of its "
            f"{trainer.max_epochs} epochs.",
            f"Make a new Trainer, or set trainer.fit_loop.max_epochs = {done + plan.epochs}.",
        )
    return steps


def check_strategy(trainer: pl.Trainer) -> None:
    """Refuse strategies (FSDP, DeepSpeed, model parallelism) that shard parameters: none is tested."""
    strategy = trainer.strategy
    whole = _is(strategy, "DDPStrategy") and not _is(strategy, "DeepSpeedStrategy")
    if _is(strategy, "ParallelStrategy") and not whole:
        raise DifflrError(
            f"{type(strategy).__name__} shards the parameters that the splits hold.",
            f"Pass {_DDP} to the Trainer: every device then holds the whole model.",
        )


def check_trainer(trainer: pl.Trainer, plan: Plan) -> None:
    """Refuse a trainer under which the plan would go wrong; warn of parts of the other Lightning."""
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        for name, does in _RIVALS.items():
            if isinstance(callback, either(f"callbacks.{name}")):
                raise DifflrError(
                    f"The callback {type(callback).__name__} {does}, so the plan would not hold.",
                    "Remove it from the Trainer.",
                )
    if not trainer.lightning_module.automatic_optimization:
        raise DifflrError(
            "With automatic_optimization=False Lightning steps no scheduler.",
            "Leave it on (JoinedOptimizer makes one of several optimizers), or write a plain "
            "LightningModule that steps a PlanScheduler for each of its optimizers.",
        )
    strategy: Any = trainer.strategy
    freezes = not all(all(phase.trainable) for phase in plan.phases)
    plain = _is(strategy, "DDPStrategy") and not strategy._ddp_kwargs.get("find_unused_parameters")
    if freezes and plain:
        raise DifflrError(
            "The plan freezes splits, which plain DDP takes for lost gradients.",
            f"Pass {_DDP} to the Trainer.",
        )
    _warn_of_mix(trainer)


def _is(strategy: Any, name: str) -> bool:
    return isinstance(strategy, either(f"strategies.{name}"))


def _warn_of_mix(trainer: pl.Trainer) -> None:
    # Beside a ModelCheckpoint of the other package Lightning adds its own.
    own = package_of(trainer)
    given: list[Any] = [*trainer.callbacks, *trainer.loggers, trainer.datamodule]  # type: ignore[attr-defined]
    for thing in given:
        foreign = package_of(thing) not in (None, own)
        if foreign and not type(thing).__module__.startswith("difflr."):
            rank_zero_warn(
                f"{type(thing).__name__} belongs to {package_of(thing)}, the Trainer to {own}, which "
                f"does not know it for what it is. Import both from {own}."
            )


def warn_of_lost_steps(trainer: pl.Trainer, plan: Plan, steps: int) -> None:
    """Warn of phases that learn next to nothing, and of a last batch on which BatchNorm fails."""
    if not trainer.fast_dev_run:  # type: ignore[attr-defined]
        warn_of_lost_phases(plan, steps, rank_zero_warn)
    loader = trainer.train_dataloader
    if not isinstance(loader, DataLoader) or loader.batch_size is None or loader.drop_last:
        return
    if isinstance(loader.dataset, IterableDataset):
        return
    samples, size = len(loader.sampler), loader.batch_size  # type: ignore[arg-type]
    whole = trainer.num_training_batches == len(loader)
    norms = any(map(is_batch_norm, trainer.lightning_module.modules()))
    if whole and norms and size > 1 and samples % size == 1:
        rank_zero_warn(
            f"An epoch's last batch holds a single sample ({samples} in batches of {size}), on which a "
            "BatchNorm that trains fails. Pass drop_last=True to the DataLoader."
        )
