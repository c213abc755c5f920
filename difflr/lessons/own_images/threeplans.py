"""Which properties a plan needs for few pictures, for foggy ones, and for plenty of another kind."""

from collections.abc import Mapping
from itertools import pairwise

from difflr.experiments.flops import count_costs
from difflr.lessons.checking import Wrong
from difflr.plan import Phase, Plan
from difflr.recipes import make_plan
from difflr.splits import Splits
from difflr.studies.measures import training_flops

__all__ = ["judge_plans"]


def judge_plans(plans: Mapping[str, Plan], splits: Splits) -> float:
    """Return what ``few`` costs as a share of training all, or raise ``Wrong``.

    What counts is what learns and how fast compared with its neighbours, not the recipe's name.
    """
    for name in ("few", "plenty"):
        if not all(_peaks(phase)[-1] for phase in plans[name].phases):
            raise Wrong(
                f"`{name}` has new classes, so its head is random, yet in some phase it does not "
                "learn. Whatever learns below a random head learns nonsense.",
                "Let the last split train in every phase.",
            )
        peaks = map(_peaks, plans[name].phases)
        if any(early > late for each in peaks for early, late in pairwise(each)):
            raise Wrong(
                f"In `{name}` a split learns faster than one after it. The labels are new there, and "
                "what is general lies at the front.",
                "Rates that are equal or rise with depth: `uniform`, `differential`, `gradual`, …",
            )
    share = _cost(plans["few"], splits)
    if share > 0.75:
        raise Wrong(
            f"Training `few` costs {share:.0%} of training everything; 75% were allowed. Small "
            "learning rates save nothing: backward goes through all of it.",
            "Only what is *frozen* saves time (lesson 2).",
            "`head_only`, `gradual` and `lp_ft` begin with frozen splits.",
        )
    _judge_fog(plans["fog"])
    if not all(_peaks(plans["plenty"].phases[-1])):
        raise Wrong(
            "In `plenty` something is still frozen at the end. With many pictures of another kind, "
            "what the network knew is a start, not a treasure.",
            "Let all splits learn at least in the last phase.",
        )
    return share


def _judge_fog(plan: Plan) -> None:
    """Raise ``Wrong`` for what lost clearly against uniform in the recorded study of shifts."""
    peaks = [max(_peaks(phase)[i] for phase in plan.phases) for i in range(plan.n_splits)]
    half = plan.n_splits // 2
    early, late = max(peaks[:half]), max(peaks[half:])
    if not early:
        raise Wrong(
            "In `fog` no early split learns. The head still fits; what no longer fits is what meets "
            "the picture first.",
            "With the head alone, 9 to 20 points were lost against uniform under four shifts (lesson 7).",
            "Let early splits learn as fast as the others at least: `uniform` or `falling`.",
        )
    if not any(peaks[1:]):
        raise Wrong(
            "In `fog` the first split alone learns. It has few weights: alone, it lost 3 to 24 points "
            "against uniform under four shifts.",
            "Let the splits behind it learn as well.",
            "`uniform` or `falling`.",
        )
    if early < late / 10:
        raise Wrong(
            "In `fog` the early splits learn at less than a tenth of the others' rate. With a ratio of "
            "100, rising rates lost 3 points against uniform under low contrast.",
            "That is advice for new labels. Here the inputs are new (lesson 7).",
            "`uniform` or `falling`.",
        )


def _peaks(phase: Phase) -> list[float]:
    """Return the largest learning rate of each split, 0 where it does not train."""
    return [lr if t else 0.0 for lr, t in zip(phase.lrs, phase.trainable, strict=True)]


def _cost(plan: Plan, splits: Splits) -> float:
    costs = count_costs(splits, (3, 32, 32))
    full = make_plan("uniform", splits, plan.epochs)
    return training_flops(costs, plan, splits, 1) / training_flops(costs, full, splits, 1)
