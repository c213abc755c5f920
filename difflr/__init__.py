"""Differential learning rates for transfer learning with PyTorch Lightning.

model → splits → plan (phases) → parameter groups and one scheduler → Lightning module → runs.
The names below are loaded when they are first used, so that ``import difflr`` stays light.
"""

from importlib import import_module
from typing import Any

_HOME = {
    "DifflrError": "errors",
    "Phase": "phase",
    "Plan": "plan",
    "MILESTONES_2020": "milestones",
    "from_milestones": "milestones",
    "to_milestones": "milestones",
    "RECIPES": "recipes",
    "make_plan": "recipes",
    "Ratio": "rates",
    "Ulmfit": "rates",
    "expand_lrs": "rates",
    "Split": "splits",
    "Splits": "splits",
    "split_model": "splits",
    "freeze_to": "freezing",
    "set_trainable": "freezing",
    "param_groups": "groups",
    "report": "inspector",
    "PlanScheduler": "schedule",
    "ParametersSplitsModule": "lightning",
    "PlanCallback": "callback",
    "CachedPrefix": "prefix",
    "range_test": "finder",
    "load_backbone": "backbones",
    "replace_head": "backbones",
    "plot_plan": "plots",
    "describe_plan": "plots",
}

__all__ = sorted(_HOME)
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'difflr' has no attribute {name!r}")
    value = getattr(import_module(f"difflr.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
