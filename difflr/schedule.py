"""One torch scheduler for all phases: it writes what the plan says into the optimizer."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from difflr.errors import DifflrError, as_int, short_repr
from difflr.freezing import set_trainable
from difflr.models.held import is_held
from difflr.models.modes import train_mode
from difflr.models.optimizers import momentum_of, set_momentum
from difflr.plan import Phase, Plan
from difflr.shapes import SHAPES
from difflr.splits import Splits

__all__ = ["PlanScheduler", "check_fingerprint", "check_held", "fingerprint", "warn_of_lost_phases"]

# Checkpoints whose hyperparameters hold a plan load with weights_only=True.
torch.serialization.add_safe_globals([Plan, Phase, *SHAPES.values()])


class PlanScheduler(LRScheduler):
    """Set LR and momentum of every parameter group from ``plan`` at every optimizer step.

    Equal to a fresh ``torch.optim.lr_scheduler.OneCycleLR`` per phase and split.

    Args:
        optimizer: with the groups of ``param_groups``. ``group["split"]`` says which of the plan's
            LRs is its own, times ``group["lr_factor"]`` if given; without it there is one
            group per split. Several optimizers: see ``JoinedOptimizer``.
        plan: the phases.
        steps_per_epoch: optimizer steps, at least 1.

    Raises:
        DifflrError: for groups that do not fit the plan's splits, and from ``load_state_dict`` for
            another plan's state.
    """

    def __init__(self, optimizer: Optimizer, plan: Plan, steps_per_epoch: int) -> None:
        self.plan = plan
        self.steps_per_epoch = as_int("steps_per_epoch", steps_per_epoch, 1)
        groups = optimizer.param_groups
        if not any("split" in group for group in groups):
            plan.check(len(groups))
            for index, group in enumerate(groups):
                group["split"] = index
        labels = {g.get("split"): str(g.get("split_name", g.get("split"))) for g in groups[::-1]}
        if labels.keys() != set(range(plan.n_splits)):
            raise DifflrError(
                f"The optimizer's groups belong to splits {sorted(map(str, labels))}, the plan has "
                f"splits 0 to {plan.n_splits - 1}.",
                "Make both for the same splits (param_groups). Several optimizers: join them "
                "(JoinedOptimizer). Splits without one: leave them out, split_model(model, exclude=…).",
            )
        # Kept here, since loading a checkpoint replaces the groups' entries.
        self._shares = [(group["split"], float(group.get("lr_factor", 1.0))) for group in groups]
        self._momenta = [momentum_of(group) for group in groups]
        self.cycles_momentum = plan.moves_momentum and self._momenta != [None] * len(groups)
        names = [labels[index] for index in range(plan.n_splits)]
        self._fingerprint = {**fingerprint(plan, names), "steps_per_epoch": self.steps_per_epoch}
        _check_momenta(optimizer, plan)
        super().__init__(optimizer)  # writes step 0 into the optimizer

    @property
    def total_steps(self) -> int:
        """Optimizer steps in the whole plan."""
        return self.plan.epochs * self.steps_per_epoch

    @property
    def phase_index(self) -> int:
        """Index of the phase of the next step."""
        return self.plan.index_at(self.last_epoch // self.steps_per_epoch)

    def freeze(self, splits: Splits) -> None:
        """Put all splits into train mode, and freeze for the step to come.

        For loops without Lightning, at the start of every epoch.
        """
        check_held(self.plan, splits)
        if self.last_epoch == 0:
            warn_of_lost_phases(self.plan, self.steps_per_epoch, warnings.warn)
        train_mode(splits.model, splits.learning())
        phase = self.plan.phases[self.phase_index]
        set_trainable(splits, phase.trained, train_bn=self.plan.train_bn)

    def get_lr(self) -> list[float | torch.Tensor]:
        """Return the LR of each group for the next step, and write its momentum."""
        point = self.plan.at(self.last_epoch, self.steps_per_epoch)
        groups = self.optimizer.param_groups
        if len(groups) != len(self._shares):
            raise DifflrError(
                f"The optimizer has {len(groups)} groups, at first it had {len(self._shares)}.",
                "Put all parameters into it from the start, as param_groups does.",
            )
        if self.cycles_momentum:
            for group, own in zip(groups, self._momenta, strict=True):
                set_momentum(group, own if point.momentum is None else point.momentum)
        return [point.lrs[owner] * factor for owner, factor in self._shares]

    def state_dict(self) -> dict[str, Any]:
        """Return ``{"step": int, "fingerprint": dict}``, primitives only."""
        return {"step": self.last_epoch, "fingerprint": dict(self._fingerprint)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go to the step of ``state_dict`` and set the optimizer accordingly."""
        saved = state_dict.get("fingerprint") if isinstance(state_dict, Mapping) else None
        if not isinstance(saved, Mapping) or "step" not in state_dict:
            raise DifflrError(
                "The checkpoint's scheduler state is not one of PlanScheduler.",
                "Resume a run that was trained with a plan, or start anew.",
            )
        check_fingerprint(saved, self._fingerprint)
        self.last_epoch = as_int("step", state_dict["step"], 0) - 1
        self._initial_step()  # steps once without torch's warning about the order of calls


def _check_momenta(optimizer: Optimizer, plan: Plan) -> None:
    """Refuse momenta that would never be used."""
    for name, other in (("momentum", "betas"), ("betas", "momentum")):
        found = {str(g[name]) for g in optimizer.param_groups if name in g}
        # Without defaults, as a joined optimizer is, nothing says what it reads.
        if found and other in optimizer.defaults and name not in optimizer.defaults:
            raise DifflrError(
                f"{type(optimizer).__name__} has {other}, and would never read the groups' {name}.",
                f"Pass {other}= to param_groups.",
            )
        if len(found) > 1 and plan.moves_momentum:
            raise DifflrError(
                f"The groups differ in their {name} ({', '.join(sorted(found))}), but the plan cycles it.",
                f"Pass Plan(…, cycle_momentum=False), or one {name} for all.",
            )


def check_held(plan: Plan, splits: Splits) -> None:
    """Raise DifflrError where the plan trains a split that the user froze entirely."""
    for index in sorted({index for phase in plan.phases for index in phase.trained}):
        split = splits[index]
        if split.parameters and all(is_held(splits.model, name) for name in split.parameters):
            raise DifflrError(
                f"The plan trains the split {split.name}, but all of it was frozen before difflr saw it.",
                "Call requires_grad_(True) on its modules and freeze by the plan, or leave it out: "
                "split_model(model, exclude=lambda name, p: not p.requires_grad).",
            )


def warn_of_lost_phases(plan: Plan, steps_per_epoch: int, warn: Callable[[str], Any]) -> None:
    """Warn of the first of ``plan.phases_at_minimum``."""
    if lost := plan.phases_at_minimum(steps_per_epoch):
        warn(
            f"The only step of phase {lost[0] + 1} of the plan lies at the cycle's minimum and learns next "
            "to nothing. Give it more epochs, the epoch more batches, or the phase pct_start=1."
        )


def fingerprint(plan: Plan, split_names: Sequence[str]) -> dict[str, Any]:
    """Return what a checkpoint says of a plan."""
    return {"plan": plan.fingerprint, "epochs": plan.epochs, "splits": list(split_names)}


def check_fingerprint(saved: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Raise DifflrError where a saved fingerprint differs from one's own."""
    changed = [
        f"{key}: saved {short_repr(saved.get(key))}, now {now}"
        for key, now in own.items()
        if saved.get(key) != now
    ]
    if changed:
        raise DifflrError(
            f"The checkpoint was written under another plan ({'; '.join(changed)}).",
            "Resume with the plan, splits, epochs and steps per epoch of the saved run, or load "
            "only its weights and start a new run.",
        )
