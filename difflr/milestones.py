"""The milestones dictionary of the 2020 recipe: read unchanged, written back the same.

``{epoch: {"freeze_to": …, "duration": …, "pct_start": …, "lrs": […]}}``, epochs from 1.
Source: the recipe by Lucas Vazquez in Lightning's issue #2005.
"""

from collections.abc import Mapping
from typing import Any

from difflr.errors import DifflrError, as_int, short_repr
from difflr.plan import Phase, Plan

__all__ = ["MILESTONES_2020", "from_milestones", "to_milestones"]

_REQUIRED = ("freeze_to", "duration", "lrs")
_FACTORS = ("div_factor", "final_div_factor")
_ENTRIES = (*_REQUIRED, "pct_start", *_FACTORS, "frozen")

#: The recipe's milestones, for the six splits of a ResNet (stem, layer1…layer4, head).
MILESTONES_2020: dict[int, dict[str, Any]] = {
    epoch: {"freeze_to": freeze_to, "duration": 1, "pct_start": 0.3, "lrs": lrs}
    for epoch, (freeze_to, lrs) in enumerate(
        [
            (-1, [0.0, 0.0, 0.0, 0.0, 0.0, 1e-3]),
            (-2, [0.0, 0.0, 0.0, 0.0, 5e-4, 5e-4]),
            (-3, [0.0, 0.0, 0.0, 5e-5, 1e-4, 1e-4]),
            (-4, [0.0, 0.0, 1e-5, 1e-5, 5e-5, 5e-5]),
            (-5, [0.0, 1e-5, 1e-5, 1e-5, 1e-5, 1e-5]),
            (0, [1e-6, 1e-6, 1e-6, 1e-6, 1e-6, 1e-6]),
        ],
        start=1,
    )
}


def from_milestones(milestones: Mapping[int, Mapping[str, Any]], **options: Any) -> Plan:
    """Return the plan that a milestones dictionary describes.

    Args:
        milestones: epoch (from 1) to ``freeze_to``, ``duration`` in epochs, ``lrs`` (one per split)
            and, where not OneCycleLR's defaults, ``pct_start``, ``div_factor`` and ``final_div_factor``.
        options: of ``Plan``, and factors for the milestones without their own.

    Raises:
        DifflrError: for gaps, overlaps, unknown or missing entries and all that ``Phase`` and ``Plan``
            refuse, with the epoch at fault.

    >>> from_milestones(MILESTONES_2020).epochs
    6
    """
    if not isinstance(milestones, Mapping) or not milestones:
        raise DifflrError(
            f"Received milestones={short_repr(milestones)}, expected a dictionary.",
            "Pass e.g. {1: {'freeze_to': -1, 'duration': 1, 'pct_start': 0.3, 'lrs': [0, 1e-3]}}.",
        )
    shared = {key: options.pop(key) for key in _FACTORS if key in options}
    entries = {as_int("milestone", epoch): milestone for epoch, milestone in milestones.items()}
    phases: list[Phase] = []
    for epoch in sorted(entries):
        try:
            phases.append(_phase(entries[epoch], shared))
            phases[-1].check(len(phases[0].lrs), options.get("train_bn", False))
        except DifflrError as error:
            raise DifflrError(
                f"Milestone at epoch {epoch}: {error.problem}", error.remedy
            ) from None
    plan = Plan(phases, **options)
    if (starts := [start + 1 for start in plan.starts]) != sorted(entries):
        raise DifflrError(
            f"Received milestones at epochs {short_repr(sorted(entries))}, by their durations they "
            f"begin at {short_repr(starts)}.",
            "Count epochs from 1, without gaps or overlaps.",
        )
    return plan


def _phase(milestone: Any, shared: Mapping[Any, float]) -> Phase:
    keys = set(milestone) if isinstance(milestone, Mapping) else set()
    missing = [key for key in _REQUIRED if key not in keys]
    unknown = sorted(map(repr, keys.difference(_ENTRIES)))
    if missing or unknown:
        what = f"has no {', '.join(missing)}" if missing else f"has an unknown {', '.join(unknown)}"
        raise DifflrError(f"It {what}.", f"Its entries are {', '.join(_ENTRIES)}.")
    values = {**shared, **milestone}
    return Phase(epochs=as_int("duration", values.pop("duration"), 1), **values)


def to_milestones(plan: Plan) -> dict[int, dict[str, Any]]:
    """Return a plan as the milestones dictionary that ``from_milestones`` reads.

    What a plan says of all phases (``anneal``, the momenta, ``train_bn``) has no place in it.

    Raises:
        DifflrError: for other shapes than one cycle per phase.

    >>> to_milestones(from_milestones(MILESTONES_2020)) == MILESTONES_2020
    True
    """
    if any(phase.shape is not None or phase.continues for phase in plan.phases):
        raise DifflrError(
            "Milestones know one cycle per phase; this plan has other shapes.",
            "Use Plan.to_dict().",
        )
    result: dict[int, dict[str, Any]] = {}
    for start, phase in zip(plan.starts, plan.phases, strict=True):
        result[start + 1] = entry = {
            "freeze_to": phase.freeze_to,
            "duration": phase.epochs,
            "pct_start": phase.pct_start,
            "lrs": list(phase.lrs),
        }
        if phase.frozen:
            entry["frozen"] = list(phase.frozen)
        for key in _FACTORS:
            if getattr(phase, key) != getattr(Phase, key):
                entry[key] = getattr(phase, key)
    return result
