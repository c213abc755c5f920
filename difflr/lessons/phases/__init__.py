"""Lesson 5, Phases: the checks of its exercises, its self-test and its pictures."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

from difflr.errors import DifflrError, short_repr
from difflr.experiments.flops import count_costs
from difflr.experiments.strokenet import StrokeNet
from difflr.lessons.checking import Lesson, Wrong, tried
from difflr.lessons.plain import keyed, unexpected
from difflr.lessons.quiz import Quiz
from difflr.milestones import MILESTONES_2020, from_milestones
from difflr.plan import Phase, Plan
from difflr.splits import split_model

__all__ = [
    "SCHEDULE",
    "check_budget",
    "check_in_force",
    "check_phases",
    "check_prediction",
    "lesson",
    "quiz",
]

lesson = Lesson("Lesson 5")
quiz = Quiz.read(__file__)

#: Three milestones of different length, for six splits.
SCHEDULE: dict[int, dict[str, Any]] = {
    1: {"freeze_to": -1, "duration": 2, "lrs": [0, 0, 0, 0, 0, 1e-2]},
    3: {"freeze_to": -3, "duration": 3, "lrs": [0, 0, 0, 1e-4, 1e-3, 1e-2]},
    6: {"freeze_to": 0, "duration": 1, "lrs": [1e-6, 1e-5, 1e-5, 1e-4, 1e-4, 1e-3]},
}
_ASKED = (1, 2, 5)
_BUDGET, _COST = 8, 0.6


@lesson.exercise("5.1", "What is frozen?")
def check_prediction(prediction: Any) -> str:
    """Compare ``{current_epoch: number of frozen splits}`` with the plan that SCHEDULE describes."""
    plan = from_milestones(SCHEDULE)
    right = [plan.phase_at(epoch).trainable.count(False) for epoch in _ASKED]
    found = keyed(prediction, *_ASKED)
    for epoch, count in zip(_ASKED, found, strict=True):
        if not isinstance(count, (int, float)):
            raise Wrong(
                f"In `current_epoch` {epoch} you say {short_repr(count)}. Asked for is a number: how many "
                "splits are frozen."
            )
    if found == right:
        return f"Frozen are {right[0]}, then {right[1]}, and in the last epoch {right[2]} splits."
    if found == [plan.n_splits - count for count in right]:
        raise Wrong(
            "You count the splits that train. Asked for is what is frozen.",
            "`freeze_to=-1` freezes all splits *up to* the last one.",
        )
    if found == [plan.phase_at(epoch - 1).trainable.count(False) for epoch in _ASKED]:
        raise Wrong(
            "You look up `current_epoch` among the keys. The dictionary counts epochs from 1, "
            "Lightning counts them from 0.",
            "`current_epoch` 2 is the third epoch, and the third epoch has the key 3.",
            "Add 1 to `current_epoch`, then look for the milestone that lasts until then.",
        )
    if found == [plan.phase_at(epoch).freeze_to for epoch in _ASKED]:
        raise Wrong(
            "You give `freeze_to` itself: the first split that trains, here counted from the end.",
            "With six splits -1 is split 5. How many lie before it?",
        )
    epoch = next(e for e, f, r in zip(_ASKED, found, right, strict=True) if f != r)
    raise Wrong(
        f"In `current_epoch` {epoch} that is not so.",
        f"It is epoch {epoch + 1} of the dictionary. Which milestone has begun, and not ended?",
        "`freeze_to=n` trains split n and all after it; with six splits, -3 is split 3.",
    )


@lesson.exercise("5.2", "A milestone too late", stub="58019a73d1e0")
def check_in_force(in_force: Any) -> str:
    """Ask ``in_force(milestones, current_epoch)`` for every epoch of three dictionaries."""
    backwards = dict(reversed(SCHEDULE.items()))
    for milestones in (MILESTONES_2020, SCHEDULE, backwards):
        first = {e: m for e, m in sorted(milestones.items()) for e in range(e, e + m["duration"])}
        right = [milestone for _, milestone in sorted(first.items())]
        found = [tried(in_force, milestones, epoch) for epoch in range(len(right))]
        if found == right:
            continue
        if found == [None, *right[:-1]]:
            raise Wrong(
                "Every milestone comes one epoch late: in `current_epoch` 0 there is none, and the last one "
                "ends before its time. You compare an epoch that counts from 0 with keys that count from 1.",
                "Which key should hold in `current_epoch` 0?",
                "Compare the keys with `current_epoch + 1`.",
            )
        if all(f in (None, r) for f, r in zip(found, right, strict=True)) and found[0] == right[0]:
            epoch = found.index(None)
            raise Wrong(
                f"In `current_epoch` {epoch} no milestone is found. You find it only in the epoch "
                "with which it begins, or lose it too early.",
                "A milestone holds for `duration` epochs.",
                "It holds while `first <= epoch < first + duration`.",
            )
        if milestones is backwards:
            raise Wrong(
                "You trust the order in which the dictionary was written. A dictionary may be "
                "written in any order.",
                "Go through `sorted(milestones)`, or test both ends of each milestone.",
            )
        epoch = next(e for e, (f, r) in enumerate(zip(found, right, strict=True)) if f != r)
        if not isinstance(found[epoch], (Mapping, type(None))):
            raise Wrong(
                f"In `current_epoch` {epoch} your function returns {short_repr(found[epoch])}. Asked for is "
                "the milestone, the inner dictionary as a whole.",
                "`return milestone`",
            )
        if found == [None, None, *right[:-2]] or found == [*right[1:], None]:
            raise Wrong(
                "Every milestone comes two epochs late: the epoch was moved the wrong way."
                if found[0] is None
                else "Every milestone comes one epoch early: the epoch was moved too far.",
                "In `current_epoch` 0 the key 1 should hold: add 1 to the epoch, or take 1 from the key.",
            )
        if epoch and found[epoch] == right[epoch - 1]:
            raise Wrong(
                f"In `current_epoch` {epoch} you return the milestone that ended with the epoch before: "
                "it holds for an epoch too many.",
                "Compare both ends with the same number, and let the end itself be out.",
                "It holds while `first <= epoch < first + duration`, with `epoch = current_epoch + 1`.",
            )
        raise Wrong(
            f"In `current_epoch` {epoch} your function returns {short_repr(found[epoch])}.",
            f"Expected was {short_repr(right[epoch])}.",
            "Return the milestone itself, not its key.",
        )
    return "Every epoch of three dictionaries finds its milestone, the first and the last too."


@lesson.exercise("5.3", "A plan in two phases")
def check_phases(phases: Any) -> str:
    """Look at what ``phases`` trains in each of six epochs, and how fast."""
    plan = _plan(phases)
    if plan.n_splits != 6:
        raise Wrong(
            f"There are {plan.n_splits} learning rates per phase; the network has 6 splits."
        )
    first, second = plan.phases[0], plan.phase_at(2)
    if first.trained != (5,):
        raise Wrong(
            "The first phase does not train the head alone.",
            "`freeze_to=-1` leaves the last split.",
        )
    if plan.epochs != 6:
        raise Wrong(
            f"The plan lasts {plan.epochs} epochs, asked for are 2 + 4.",
            "`epochs` is the length of a phase, not the epoch in which it ends.",
        )
    if second is first or (first.epochs != 2 and all(second.trainable)):
        raise Wrong(
            f"The head alone has {first.epochs} epoch(s), asked for are 2, and then 4 for everything.",
            "`Phase(freeze_to=-1, epochs=2, …)`",
        )
    if not all(second.trainable):
        raise Wrong(
            "In the third epoch something is still frozen, where everything should train.",
            "`freeze_to` is the index of the first split that trains.",
            "`freeze_to=0` trains all; -1 would be the head again.",
        )
    if len(plan.phases) != 2:
        raise Wrong(f"The plan has {len(plan.phases)} phases, asked for are 2.")
    near = partial(math.isclose, rel_tol=0.01)
    if not near(first.lrs[-1], 1e-2):
        raise Wrong(f"The head alone learns at {first.lrs[-1]:.2g}, it should at 1e-2.")
    rates = second.lrs
    if near(rates[0], 1e-3) and near(rates[-1], 1e-5):
        raise Wrong(
            "Your learning rates fall with depth. The list runs from the stem to the head.",
            "The first number is the stem's: 1e-5.",
        )
    if not (near(rates[0], 1e-5) and near(rates[-1], 1e-3)):
        raise Wrong(
            f"The second phase runs from {rates[0]:.2g} to {rates[-1]:.2g}, asked for is 1e-5 to 1e-3.",
            "The last phase has one learning rate for each of the six splits.",
        )
    ratios = [late / early for early, late in pairwise(rates)]
    if max(ratios) > 1.02 * min(ratios):
        raise Wrong(
            "The steps between neighbours are not all the same factor.",
            "From 1e-5 to 1e-3 in five equal factors: each is 100 ** (1 / 5).",
            "`difflr.expand_lrs(slice(1e-5, 1e-3), 6)`",
        )
    return "Two epochs for the head, then four for all, each split 2.5 times as fast as the one before."


@lesson.exercise("5.4", "Gradual unfreezing on a budget")
def check_budget(design: Any) -> str:
    """Count what the plan ``design`` costs on a StrokeNet, and look at the order of unfreezing."""
    plan = _plan(design)
    splits = split_model(StrokeNet(10))
    if plan.n_splits != len(splits):
        raise Wrong(f"The plan is for {plan.n_splits} splits; the network has {len(splits)}.")
    if plan.epochs > _BUDGET:
        raise Wrong(
            f"The plan lasts {plan.epochs} epochs; you can afford {_BUDGET}.",
            "Change the `epochs` of a phase.",
        )
    if plan.phases[0].trained != (len(splits) - 1,):
        raise Wrong("The first phase does not train the head alone.", "Begin with `freeze_to=-1`.")
    for number, (before, after) in enumerate(pairwise(plan.phases), 2):
        if not {*before.trained} <= {*after.trained}:
            raise Wrong(
                f"Phase {number} freezes again what has trained before.",
                "In gradual unfreezing `freeze_to` goes from the head towards the stem.",
            )
    for number, phase in enumerate(plan.phases, 1):
        if phase.trained != tuple(range(phase.trained[0], len(splits))):
            raise Wrong(
                f"In phase {number} the split `{splits.names[phase.trained[0]]}` trains with frozen ones "
                "behind it. Backward then goes through them for its sake.",
                "Unfreeze from the head towards the stem, one after the other: `freeze_to` does that, "
                "`frozen` need not be said.",
            )
    stages = len({phase.trained for phase in plan.phases})
    if not all(plan.phases[-1].trainable):
        raise Wrong(
            "Something stays frozen to the end. In the last phase all splits should train.",
            "`freeze_to=0`",
        )
    if stages < 3:
        raise Wrong(
            f"There are {stages} stages of unfreezing, asked for are three or more.",
            "Put a phase between the head alone and everything.",
        )
    for number, phase in enumerate(plan.phases, 1):
        rates = [phase.lrs[i] for i in phase.trained]
        if rates != sorted(rates):
            raise Wrong(
                f"In phase {number} a split learns faster than the one after it.",
                "The list runs from the stem to the head: let it rise.",
            )
    costs = count_costs(splits, (3, 32, 32))
    share = sum(phase.epochs * costs.share(phase.trained) for phase in plan.phases) / _BUDGET
    if share > _COST:
        raise Wrong(
            f"This plan costs {share:.0%} of training everything for {_BUDGET} epochs; {_COST:.0%} "
            "are allowed. You unfreeze the expensive splits too early.",
            "An epoch costs what it trains: keep the phases that train all short, and give the epochs "
            "to the head and the last layers.",
            "Four epochs for the head, two or three for the last two or three splits, one for all.",
        )
    return (
        f"{stages} stages in {plan.epochs} epochs for {share:.0%} of the cost of training everything "
        f"for {_BUDGET} epochs."
    )


def _plan(answer: Any) -> Plan:
    """Return a plan, whether it came as one, as a list of phases or as a dictionary."""
    if isinstance(answer, Plan):
        return answer
    if isinstance(answer, Phase):
        answer = [answer]
    try:
        if isinstance(answer, Mapping):
            return from_milestones(answer)
        if isinstance(answer, Sequence) and all(isinstance(each, Phase) for each in answer):
            return Plan(answer)
    except DifflrError as error:
        raise Wrong(error.problem, error.remedy) from None
    hint = "Pass `difflr.Plan([...])`, a list of `difflr.Phase`, or a milestones dictionary."
    raise unexpected(answer, "a plan", hint)
