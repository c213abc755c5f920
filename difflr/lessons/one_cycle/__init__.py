"""Lesson 4, OneCycleLR: the checks of its exercises, its self-test and its pictures."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch.optim.lr_scheduler import OneCycleLR

from difflr.errors import short_repr
from difflr.lessons.checking import Lesson, Wrong, called
from difflr.lessons.curves import BATCHES, EPOCHS, drive, rehearse
from difflr.lessons.one_cycle.cycles import VARIANTS, cycle_lr
from difflr.lessons.plain import keyed, number
from difflr.lessons.quiz import Quiz

__all__ = ["check_configure", "check_curve", "check_cycle", "check_prediction", "lesson", "quiz"]

lesson = Lesson("Lesson 4")
quiz = Quiz.read(__file__)

_NAMES = ("total_steps", "max_lr", "pct_start", "div_factor", "final_div_factor")
_SETTINGS = (  # the peak lies on a step, or between two
    (10, 1.0, 0.3, 25.0, 1e4),
    (40, 0.1, 0.25, 10.0, 100.0),
    (17, 3e-3, 0.4, 5.0, 50.0),
    (23, 2.0, 0.7, 2.0, 3.0),
)


@lesson.exercise("4.1", "The whole curve")
def check_curve(one_cycle: Any) -> str:
    """Compare ``one_cycle(step, total_steps, max_lr, pct_start, div_factor, final_div_factor)``."""
    for setting in _SETTINGS:
        total, high, *_ = setting
        found = [number(called(one_cycle, step, *setting)) for step in range(total)]
        expected = [cycle_lr(step, *setting) for step in range(total)]
        wrong = [step for step in range(total) if not _near(found[step], expected[step], high)]
        if not wrong:
            continue
        for said, slip in VARIANTS:
            slipped = (cycle_lr(step, *setting, **slip) for step in range(total))
            if all(_near(f, s, high) for f, s in zip(found, slipped, strict=True)):
                raise Wrong(*said)
        step = wrong[0]
        cycle = ", ".join(f"{name}={value:g}" for name, value in zip(_NAMES, setting, strict=True))
        raise Wrong(
            "Not the curve of OneCycleLR yet.",
            f"With {cycle}, step {step} has a learning rate of {found[step]:.6g}; it should be "
            f"{expected[step]:.6g}.",
            "Two calls of `between` are all it takes: one on the way up, one on the way down. Only "
            "start, end and share differ.",
            "On the way down the share is `(step - peak) / (total_steps - 1 - peak)`.",
        )
    return f"Equal to OneCycleLR at each step of {len(_SETTINGS)} cycles, peaks between steps included."


@lesson.exercise("4.2", "Four numbers of a cycle")
def check_prediction(prediction: Any) -> str:
    """Compare the four predicted numbers with torch's cycle of 40 steps."""
    said = keyed(prediction, "first", "peak_step", "last", "momentum_at_peak")
    first, peak_step, last, momentum = map(number, said)
    if _near(first, 0.1 / 25):
        raise Wrong(
            "That is the default `div_factor`, 25. This cycle has one of its own.",
            "The first learning rate is `max_lr / div_factor`.",
        )
    if not _near(first, 0.01):
        raise Wrong(
            "`first` is not right. A cycle begins neither at 0 nor at the optimizer's own `lr`.",
            "It begins at `max_lr / div_factor`.",
        )
    if peak_step == 10:
        raise Wrong(
            "You count the steps from 1. The steps are numbered from 0, so the tenth is step 9.",
            "The peak lies at step `pct_start * total_steps - 1`.",
        )
    if peak_step != 9:
        raise Wrong(
            "`peak_step` is not right: the rise takes `pct_start` of all steps.",
            "The rise takes 0.25 of 40 steps. What is the number of its last step, from 0?",
        )
    if _near(last, 0.1 / 100):
        raise Wrong(
            "You divide the peak by `final_div_factor`. It divides the *first* learning rate, which "
            "is smaller than the peak already.",
            "The last learning rate is `max_lr / div_factor / final_div_factor`.",
        )
    if not _near(last, 1e-4):
        raise Wrong(
            "`last` is not right. A cycle does not end at 0.",
            "It ends at `max_lr / div_factor / final_div_factor`.",
        )
    if _near(momentum, 0.95):
        raise Wrong(
            "You let the momentum rise with the learning rate. It moves against it.",
            "Large steps are taken with less memory of those before: at the peak it is lowest.",
        )
    if not _near(momentum, 0.85):
        raise Wrong(
            "`momentum_at_peak` is not right. It is one of OneCycleLR's two defaults.",
            "The momentum moves between `base_momentum=0.85` and `max_momentum=0.95`.",
        )
    return "0.01, up to 0.1 at step 9, down to 0.0001 at step 39, and the momentum against it."


@lesson.exercise("4.3", "A cycle to order")
def check_cycle(cycle: Any) -> str:
    """Try OneCycleLR's options ``cycle`` on three groups (stem, body, head) for 100 steps."""
    if not isinstance(cycle, Mapping) or not {"max_lr"} <= {*cycle}:
        raise Wrong(
            "Expected a dictionary of options for OneCycleLR, with `max_lr`.", short_repr(cycle)
        )
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))]} for _ in range(3)]
    optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9)
    try:
        scheduler = OneCycleLR(optimizer, **{"total_steps": 100, **cycle})
        if scheduler.total_steps != 100:
            raise Wrong(f"The cycle has {scheduler.total_steps} steps, asked for are 100.")
        rates = drive(optimizer, scheduler, 100)
    except (TypeError, ValueError) as error:
        raise Wrong("OneCycleLR does not take these options.", str(error)) from None
    head = [step[2] for step in rates]
    peak = head.index(max(head))
    heights = [max(step[i] for step in rates) for i in range(3)]
    if heights[0] > heights[2] * 1.01:
        raise Wrong(
            "The list runs from deep to shallow. It belongs to the groups in their order, and they "
            "run from the stem to the head.",
            "The first number is the stem's: the smallest.",
        )
    if _near(heights[0], heights[2]):
        raise Wrong(
            "All three splits have the same peak. `max_lr` takes a list with a number per group.",
            "Begin with the head's peak, and divide by ten towards the stem.",
        )
    if not _close(heights[2], 1e-2):
        raise Wrong(f"The head peaks at {heights[2]:.2g}, it should at 1e-2.")
    if not (_close(heights[1], 1e-3) and _close(heights[0], 1e-4)):
        raise Wrong(
            f"Stem and body peak at {heights[0]:.2g} and {heights[1]:.2g}. Each split should have a "
            "tenth of the one after it.",
            "A tenth of the head for the body, a tenth of the body for the stem.",
        )
    if peak not in (39, 40):  # the 40th step, or the first after 40
        raise Wrong(
            f"The peak comes at step {peak}. The rise should take 40 of the 100 steps.",
            "`pct_start` is the share of the steps in which the learning rate rises.",
        )
    if not _close(head[0], 1e-3):
        raise Wrong(
            f"The head begins at {head[0]:.2g}, it should at 1e-3.",
            "It begins at `max_lr / div_factor`.",
        )
    if _close(head[-1], 1e-6):
        raise Wrong(
            "The head ends at 1e-06: you divided the peak by a thousand. `final_div_factor` divides "
            "the *first* learning rate.",
            "The head begins at 1e-3 and should end at 1e-5.",
        )
    if not _close(head[-1], 1e-5):
        raise Wrong(
            f"The head ends at {head[-1]:.2g}, it should at 1e-5.",
            "It ends at `max_lr / div_factor / final_div_factor`.",
        )
    return f"1e-3 → 1e-2 at step {peak} → 1e-5 for the head, and a tenth for each split before it."


@lesson.exercise("4.4", "A cycle that never ends", stub="adfebcaf4b3d")
def check_configure(configure: Any) -> str:
    """Fit with ``configure(module)``: plain, and with accumulated batches."""
    fits: tuple[dict[str, Any], ...] = (
        {},
        {"accumulate_grad_batches": 4},
        {"accumulate_grad_batches": 5},
    )
    for options in fits:
        name = ", ".join(f"{key}={value}" for key, value in options.items()) or "no options"
        made: list[int] = []

        def noted(module: Any, made: list[int] = made) -> Any:
            answer = called(configure, module)
            made += _totals(answer)
            return answer

        try:
            rates = rehearse(noted, **options)
        except ValueError as error:
            if "Tried to step" not in str(error):
                raise
            steps = EPOCHS * math.ceil(BATCHES / options.get("accumulate_grad_batches", 1))
            length = f"was made for {made[0]} steps and " if made else ""
            raise Wrong(
                f"With {name} the cycle {length}ends before the training, which takes {steps} steps: torch "
                "raises an error.",
                "An epoch's last step takes the batches that are left over, so it has "
                "`ceil(batches / accumulate_grad_batches)` steps."
                if options
                else "Without `accumulate_grad_batches` every batch makes a step.",
                "Lightning has counted already: `module.trainer.estimated_stepping_batches`.",
            ) from None
        per_epoch = len(rates) // EPOCHS
        if len({*rates}) == 1:
            raise Wrong(
                f"With {name} the learning rate stays at {rates[0]:.2g}: no scheduler moves it.",
                "Return the optimizer and the scheduler: as two lists, or as a dictionary with the keys "
                "`optimizer` and `lr_scheduler`.",
            )
        epochs = [rates[i : i + per_epoch] for i in range(0, len(rates), per_epoch)]
        if all(len({*epoch}) == 1 for epoch in epochs) and per_epoch > 1:
            raise Wrong(
                f"In all {per_epoch} steps of the first epoch the learning rate is {rates[0]:.2g}. "
                "Lightning steps a scheduler once per *epoch*, unless it is told otherwise.",
                "Return a dictionary in the place of the scheduler: Lightning looks for its `interval`.",
                '`return [optimizer], [{"scheduler": cycle, "interval": "step"}]`',
            )
        if rates[-1] > 0.02 * max(rates):
            said = (
                f"With {name} the last of {len(rates)} steps has a learning rate of {rates[-1]:.2g}"
            )
            if made == [len(rates)]:
                raise Wrong(
                    f"{said}. The cycle was made for as many steps as there are, and is not stepped once in "
                    "each.",
                    'In Lightning\'s dictionary `"interval": "step"` is all it takes; `frequency` is 1.',
                )
            length = f"It was made for {made[0] if made else 'more'} steps."
            if made == [EPOCHS * BATCHES]:
                length = "You count batches; a scheduler counts optimizer steps."
            raise Wrong(
                f"{said}: the training ends before its cycle. {length}",
                f"{EPOCHS} epochs of {BATCHES} batches are {EPOCHS * BATCHES} steps only if every "
                "batch makes a step.",
                "Lightning has counted: `module.trainer.estimated_stepping_batches`.",
            )
        if not 0.09 <= max(rates) <= 0.101:
            raise Wrong(
                f"With {name} the learning rate peaks at {max(rates):.2g}. The peak should be 0.1, "
                "as it was.",
                "Leave `max_lr` as it is: only the counting was wrong.",
            )
        if rates[0] > 0.5 * max(rates):
            raise Wrong(
                f"With {name} the learning rate begins at {rates[0]:.2g} of {max(rates):.2g}. A whole "
                "cycle rises first; yours begins at its peak, or near it.",
                "Leave `div_factor` as it is: only the counting was wrong.",
            )
    return f"One whole cycle in {len(fits)} trainings of different length, whatever makes a step."


def _totals(answer: Any) -> list[int]:
    """Return how many steps the schedulers were made for, where they know."""
    if isinstance(answer, Mapping):
        return _totals(answer.get("scheduler", answer.get("lr_scheduler")))
    if isinstance(answer, (list, tuple)):
        return [total for each in answer for total in _totals(each)]
    total = getattr(answer, "total_steps", None)
    return [total] if isinstance(total, int) else []


def _near(one: float, other: float, peak: float = 1.0) -> bool:
    """Whether two learning rates agree as far as single precision can tell below this peak."""
    return math.isclose(one, other, rel_tol=1e-4, abs_tol=1e-6 * peak)


def _close(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=0.05)
