"""Several optimizers as one, so that one plan, one scheduler and one checkpoint hold for all parameters."""

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer

from difflr.errors import DifflrError, short_repr

__all__ = ["JoinedOptimizer", "momentum_of", "set_momentum"]


class JoinedOptimizer(Optimizer):
    """Optimizers that step together, such as Muon for matrices and AdamW for the rest.

    Their groups and states are its own, so schedulers, gradient scalers, clipping, checkpoints and
    Lightning's automatic optimization see one optimizer::

        groups = difflr.param_groups(splits, matrices=True)
        optimizer = difflr.JoinedOptimizer(
            torch.optim.Muon([g for g in groups if g["matrices"]], adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW([g for g in groups if not g["matrices"]]),
        )

    With ``match_rms_adamw`` Muon learns at AdamW's learning rates (arXiv 2502.16982), so that one plan is
    for both.

    Raises:
        DifflrError: for anything but optimizers, or a group that is added later.
    """

    def __init__(self, *optimizers: Optimizer) -> None:
        if not optimizers or not all(isinstance(one, Optimizer) for one in optimizers):
            raise DifflrError(
                f"Received {short_repr(optimizers)}, expected torch optimizers.",
                "Pass them one after the other: JoinedOptimizer(muon, adamw).",
            )
        self.members = optimizers
        state = {p: held for one in optimizers for p, held in one.state.items()}
        super().__init__([group for one in optimizers for group in one.param_groups], {})
        self.state.update(state)
        self._share()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Take the members' own groups; refuse others, which no member would step."""
        own = (group for one in self.members for group in one.param_groups)
        if not any(param_group is group for group in own):
            raise DifflrError(
                "A JoinedOptimizer takes no further groups.",
                "Put frozen parameters into its members from the start, as param_groups does.",
            )
        super().add_param_group(param_group)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Let every member step; ``closure`` is evaluated once, before the first."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for one in self.members:
            one.step()
        return loss

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "members": self.members}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._share()

    def _share(self) -> None:
        """Give the members the groups and states that are here, which loading a checkpoint replaces."""
        groups = iter(self.param_groups)
        for one in self.members:
            own = [next(groups) for _ in one.param_groups]
            one.__setstate__({"state": self.state, "param_groups": own})


def momentum_of(group: dict[str, Any]) -> Any:
    """Return a parameter group's momentum, which is the first beta in the Adam family; None without one."""
    return group["betas"][0] if "betas" in group else group.get("momentum")


def set_momentum(group: dict[str, Any], momentum: Any) -> None:
    """Set a parameter group's momentum, if it has one."""
    if "betas" in group:
        group["betas"] = (momentum, *group["betas"][1:])
    elif "momentum" in group:
        group["momentum"] = momentum
