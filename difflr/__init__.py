"""Differential learning rates for transfer learning with PyTorch Lightning.

model → splits → plan (phases) → parameter groups and one scheduler → Lightning module → runs.
The names below are loaded when they are first used, so that ``import difflr`` stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from difflr.extras import MissingExtra, extra_of

if TYPE_CHECKING:  # what type checkers and editors see; at run time ``_HOME`` says the same
    from difflr.errors import DifflrError as DifflrError
    from difflr.experiments.backbones import load_backbone as load_backbone
    from difflr.figures.plan import plot_plan as plot_plan
    from difflr.figures.words import describe_plan as describe_plan
    from difflr.freezing import freeze_to as freeze_to
    from difflr.freezing import set_trainable as set_trainable
    from difflr.groups import param_groups as param_groups
    from difflr.inspector import report as report
    from difflr.lightning.callback import PlanCallback as PlanCallback
    from difflr.lightning.module import ParametersSplitsModule as ParametersSplitsModule
    from difflr.lightning.module import SplitsMixin as SplitsMixin
    from difflr.milestones import MILESTONES_2020 as MILESTONES_2020
    from difflr.milestones import from_milestones as from_milestones
    from difflr.milestones import to_milestones as to_milestones
    from difflr.models.heads import replace_head as replace_head
    from difflr.models.interpolation import interpolate as interpolate
    from difflr.models.prefix import CachedPrefix as CachedPrefix
    from difflr.models.running_stats import recalibrate as recalibrate
    from difflr.optimizers import JoinedOptimizer as JoinedOptimizer
    from difflr.order import check_order as check_order
    from difflr.plan import Phase as Phase
    from difflr.plan import Plan as Plan
    from difflr.rangetest.finder import range_test as range_test
    from difflr.rangetest.gradients import suggest_lrs as suggest_lrs
    from difflr.rates import LayerDecay as LayerDecay
    from difflr.rates import Ratio as Ratio
    from difflr.rates import Ulmfit as Ulmfit
    from difflr.rates import expand_lrs as expand_lrs
    from difflr.recipes import RECIPES as RECIPES
    from difflr.recipes import make_plan as make_plan
    from difflr.schedule import PlanScheduler as PlanScheduler
    from difflr.splits import Split as Split
    from difflr.splits import Splits as Splits
    from difflr.splits import split_model as split_model

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
__all__ = sorted(_MODULE_OF)


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
