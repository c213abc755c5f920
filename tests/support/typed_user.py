"""What somebody writes who uses difflr with a type checker: right code, and mistakes."""

RIGHT = """
import torch
from typing import Any

import difflr
from difflr import Phase, Plan, PlanScheduler, Splits, make_plan, param_groups, split_model


class Lit(difflr.ParametersSplitsModule):
    def __init__(self) -> None:
        super().__init__()
        self.model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 2))
        self.milestones = make_plan("differential", 2, epochs=6, lr=1e-3)

    def model_splits(self) -> Any:
        return list(self.model)

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], batch_idx: int) -> torch.Tensor:
        x, y = batch
        loss: torch.Tensor = torch.nn.functional.cross_entropy(self.model(x), y)
        return loss


model = Lit()
splits: Splits = model.splits
plan: Plan = model.plan
plan = Plan([Phase(0, 2, [1e-3, 1e-3]), Phase(freeze_to=-1, epochs=1, lrs=(0, 1e-3))])
rates: tuple[float, ...] = plan.lrs(0, steps_per_epoch=10)
optimizer = torch.optim.AdamW(param_groups(splits, weight_decay=0.01))
scheduler = PlanScheduler(optimizer, plan, steps_per_epoch=10)
scheduler.freeze(split_model(torch.nn.Linear(2, 2), {"all": "*"}, exclude="bias"))
text: str = difflr.report(splits, optimizer)
"""

# A mistake each, with words of what mypy says of it.
WRONG = {
    "difflr.make_plam('uniform', 3)": 'Module has no attribute "make_plam"',
    "difflr.make_plan('diferential', 3)": "Literal",
    "difflr.make_plan('uniform', 3, epochs='six')": '"str"; expected "int"',
    "difflr.make_plan('uniform', 3).lr(0, 10)": '"Plan" has no attribute "lr"',
    "difflr.make_plan('uniform', 3).lrs(0)": 'Missing positional argument "steps_per_epoch"',
    "difflr.Phase(0, 1, lrs='1e-3', pct=0.3)": 'Unexpected keyword argument "pct"',
    "difflr.split_model('resnet18')": "expected Module",
    "difflr.report(difflr.make_plan('uniform', 3))": "Splits",
    "difflr.PlanScheduler(None, difflr.make_plan('uniform', 3), 10)": "Optimizer",
    "from difflr import PlanSchedular": 'has no attribute "PlanSchedular"',
}
