"""Differential learning rates for transfer learning with PyTorch Lightning.

model → splits → plan (phases) → parameter groups and one scheduler → Lightning module → runs.
The names below are loaded when they are first used, so that ``import difflr`` stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from difflr.extras import MissingExtra, extra_of

if TYPE_CHECKING:  # what type checkers and editors see; at run time ``_HOME`` says the same
    from difflr.errors import DifflrError
    from difflr.experiments.backbones import load_backbone
    from difflr.figures.plan import plot_plan
    from difflr.figures.words import describe_plan
    from difflr.freezing import freeze_to, set_trainable
    from difflr.groups import param_groups
    from difflr.inspector import report
    from difflr.lightning.callback import PlanCallback
    from difflr.lightning.module import ParametersSplitsModule, SplitsMixin
    from difflr.milestones import MILESTONES_2020, from_milestones, to_milestones
    from difflr.models.heads import replace_head
    from difflr.models.interpolation import interpolate
    from difflr.models.prefix import CachedPrefix
    from difflr.models.running_stats import recalibrate
    from difflr.optimizers import JoinedOptimizer
    from difflr.order import check_order
    from difflr.plan import Phase, Plan
    from difflr.rangetest.finder import range_test
    from difflr.rangetest.gradients import suggest_lrs
    from difflr.rates import LayerDecay, Ratio, Ulmfit, expand_lrs
    from difflr.recipes import RECIPES, make_plan
    from difflr.schedule import PlanScheduler
    from difflr.splits import Split, Splits, split_model

__all__ = [
    "MILESTONES_2020",
    "RECIPES",
    "CachedPrefix",
    "DifflrError",
    "JoinedOptimizer",
    "LayerDecay",
    "ParametersSplitsModule",
    "Phase",
    "Plan",
    "PlanCallback",
    "PlanScheduler",
    "Ratio",
    "Split",
    "Splits",
    "SplitsMixin",
    "Ulmfit",
    "check_order",
    "describe_plan",
    "expand_lrs",
    "freeze_to",
    "from_milestones",
    "interpolate",
    "load_backbone",
    "make_plan",
    "param_groups",
    "plot_plan",
    "range_test",
    "recalibrate",
    "replace_head",
    "report",
    "set_trainable",
    "split_model",
    "suggest_lrs",
    "to_milestones",
]
__version__ = "0.1.0"

_HOME = {
    "errors": ["DifflrError"],
    "experiments.backbones": ["load_backbone"],
    "figures.plan": ["plot_plan"],
    "figures.words": ["describe_plan"],
    "freezing": ["freeze_to", "set_trainable"],
    "groups": ["param_groups"],
    "models.heads": ["replace_head"],
    "inspector": ["report"],
    "lightning.callback": ["PlanCallback"],
    "lightning.module": ["ParametersSplitsModule", "SplitsMixin"],
    "milestones": ["MILESTONES_2020", "from_milestones", "to_milestones"],
    "optimizers": ["JoinedOptimizer"],
    "order": ["check_order"],
    "plan": ["Phase", "Plan"],
    "models.interpolation": ["interpolate"],
    "models.prefix": ["CachedPrefix"],
    "models.running_stats": ["recalibrate"],
    "rangetest.finder": ["range_test"],
    "rangetest.gradients": ["suggest_lrs"],
    "rates": ["LayerDecay", "Ratio", "Ulmfit", "expand_lrs"],
    "recipes": ["RECIPES", "make_plan"],
    "schedule": ["PlanScheduler"],
    "splits": ["Split", "Splits", "split_model"],
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}


if not TYPE_CHECKING:  # a checker that saw it would take every misspelt name for one that exists

    def __getattr__(name: str) -> Any:
        if name not in _MODULE_OF:
            raise AttributeError(f"module 'difflr' has no attribute {name!r}")
        try:
            value = getattr(import_module(f"difflr.{_MODULE_OF[name]}"), name)
        except ImportError as error:
            if extra_of(error.name) is None:
                raise
            raise MissingExtra(f"difflr.{name}", str(error.name)) from None
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
