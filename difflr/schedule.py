"""One torch scheduler for all phases of a plan: it writes what the plan says into the optimizer."""

from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from difflr.errors import DifflrError, as_int
from difflr.plan import Plan

__all__ = ["PlanScheduler"]


class PlanScheduler(LRScheduler):
    """Set LR and momentum of every parameter group from ``plan`` at every optimizer step.

    Equal to a fresh ``torch.optim.lr_scheduler.OneCycleLR`` per phase and split, without ever
    replacing a scheduler or adding a group. Its state is the step and a fingerprint of the plan.

    Args:
        optimizer: with the groups of ``param_groups``; each says in ``group["split"]`` which of the
            plan's learning rates is its own. Groups without that entry must be one per split.
        plan: the phases.
        steps_per_epoch: optimizer steps in one epoch, at least 1.

    Raises:
        DifflrError: when the optimizer's groups do not fit the plan's splits, and from
            ``load_state_dict`` when the state is that of another plan.
    """

    def __init__(self, optimizer: Optimizer, plan: Plan, steps_per_epoch: int) -> None:
        self.plan = plan
        self.steps_per_epoch = as_int("steps_per_epoch", steps_per_epoch, 1)
        groups = optimizer.param_groups
        if not any("split" in group for group in groups):
            plan.check(len(groups))
            for index, group in enumerate(groups):
                group["split"] = index
        owned = {group.get("split") for group in groups}
        if owned != set(range(plan.n_splits)):
            raise DifflrError(
                f"The optimizer's groups belong to splits {sorted(map(str, owned))}, the plan has "
                f"splits 0 to {plan.n_splits - 1}.",
                "Make the groups with param_groups(splits), and the plan for the same splits.",
            )
        super().__init__(optimizer)  # writes step 0 into the optimizer

    @property
    def total_steps(self) -> int:
        """Optimizer steps in the whole plan."""
        return self.plan.epochs * self.steps_per_epoch

    @property
    def phase_index(self) -> int:
        """Index of the phase of the step that comes next."""
        return self.plan.index_at(self.last_epoch // self.steps_per_epoch)

    def get_lr(self) -> list[float | torch.Tensor]:
        """Return one LR per group for the step that comes next, and write its momentum."""
        point = self.plan.at(self.last_epoch, self.steps_per_epoch)
        groups = self.optimizer.param_groups
        if self.plan.cycle_momentum:
            for group in groups:
                if "betas" in group:
                    group["betas"] = (point.momentum, *group["betas"][1:])
                elif "momentum" in group:
                    group["momentum"] = point.momentum
        return [point.lrs[group["split"]] for group in groups]

    def state_dict(self) -> dict[str, Any]:
        """Return ``{"step": int, "fingerprint": dict}``, primitives only."""
        return {"step": self.last_epoch, "fingerprint": self._fingerprint()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go to the step of ``state_dict`` and set the optimizer accordingly."""
        saved, own = state_dict.get("fingerprint"), self._fingerprint()
        if not isinstance(saved, dict) or "step" not in state_dict:
            raise DifflrError(
                "The checkpoint's scheduler state is not one of PlanScheduler.",
                "Resume a run that was trained with a plan, or start anew without the checkpoint.",
            )
        if saved != own:
            changed = [key for key in own if saved.get(key) != own[key]]
            difference = "; ".join(f"{k}: saved {saved.get(k)}, now {own[k]}" for k in changed)
            raise DifflrError(
                f"The checkpoint was written under another plan ({difference}).",
                "Resume with the plan, splits, epochs and steps per epoch of the saved run, or load "
                "only its weights and start a new run.",
            )
        self.last_epoch = as_int("step", state_dict["step"], 0) - 1
        self._initial_step()  # steps once without torch's warning about the order of calls

    def _fingerprint(self) -> dict[str, Any]:
        names: dict[int, str] = {}
        for group in self.optimizer.param_groups:
            names.setdefault(group["split"], str(group.get("split_name", group["split"])))
        return {
            "plan": self.plan.fingerprint,
            "epochs": self.plan.epochs,
            "steps_per_epoch": self.steps_per_epoch,
            "splits": [names[i] for i in sorted(names)],
        }
