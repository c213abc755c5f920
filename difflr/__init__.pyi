"""Every public name and its home: what checkers and editors see, and what ``__init__.py`` loads by."""

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
from difflr.models.optimizers import JoinedOptimizer as JoinedOptimizer
from difflr.models.prefix import CachedPrefix as CachedPrefix
from difflr.models.running_stats import recalibrate as recalibrate
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
from difflr.splits import check_order as check_order
from difflr.splits import split_model as split_model

__all__: list[str]
__version__: str

def __dir__() -> list[str]: ...
