"""Lesson 8, Your own images: the checks of its exercises, and its self-test."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from difflr.data import Data
from difflr.errors import shown
from difflr.lessons.checking import Lesson, Wrong, called
from difflr.lessons.choices import judge_choice, made_runs
from difflr.lessons.leaks import judge_leaks, place, write_trap
from difflr.lessons.quiz import Question, Quiz
from difflr.lessons.sheets import judge_sheet, read_sheet
from difflr.lessons.threeplans import judge_plans
from difflr.plan import Plan
from difflr.splits import Splits, split_model
from difflr.strokenet import StrokeNet

__all__ = [
    "check_choice",
    "check_leaks",
    "check_plans",
    "check_prediction",
    "check_sheet",
    "lesson",
    "quiz",
]

lesson = Lesson("Lesson 8")
_EPOCHS = 6


@lesson.exercise("8.1", "Find the pictures that leaked")
def check_leaks(find_leaks: Any) -> str:
    """Try ``find_leaks(folder)`` on a small tree with copies, namesakes and look-alikes."""
    with tempfile.TemporaryDirectory(prefix="difflr-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        write_trap(folder)
        before = sorted(folder.rglob("*"))
        found = {place(folder, file) for file in called(find_leaks, folder)}
        if sorted(folder.rglob("*")) != before:
            raise Wrong("Your function changes the folder. It should only look.")
    judge_leaks(found)
    return (
        "Found: a copy under another name, one in another class, and one saved in another format. "
        "Cropped or scaled copies would need more."
    )


@lesson.exercise("8.2", "What the new head brings, and what guessing gets")
def check_prediction(prediction: Any, data: Data, splits: Splits) -> str:
    """Compare a prediction with the parameters of a new head and the share of the commonest class.

    Args:
        prediction: ``{"new parameters": number, "guessing": share}``.
        data: that the network is to learn.
        splits: of the network with its old head.
    """
    names = ("new parameters", "guessing")
    if not isinstance(prediction, Mapping) or {*prediction} != {*names}:
        raise Wrong("Expected a dictionary with the keys `new parameters` and `guessing`.")
    numbers = [prediction[name] for name in names]
    if not all(isinstance(n, (int, float)) and not isinstance(n, bool) for n in numbers):
        raise Wrong("Both should be numbers: a count, and a share from 0 to 1.")
    count, share = numbers
    old = list(splits[-1].parameters.values())
    classes = len(data.classes)
    right = sum(p.numel() for p in old) // len(old[-1]) * classes
    if count != right:
        problem = "This is not how many parameters a new head has."
        if count == right - classes:
            problem = "You forget the biases: each class has one besides its weights."
        elif count == splits[-1].numel:
            problem = "You take over the old head. It has an output for each of the *old* classes."
        raise Wrong(
            problem,
            "A head has one row per class. How many parameters does one row of the old head have?",
            f"{splits[-1].numel:,} parameters for {len(old[-1])} old classes: divide, then multiply.",
        )
    common = int(torch.bincount(data.train.labels).argmax())
    guess = float((data.test.labels == common).float().mean())
    if not abs(share - guess) <= 0.006:
        problem = "This is not what guessing gets."
        if abs(share - 1 / classes) < 0.006:
            problem = "You take all classes to be equally common. In this test folder they are not."
        elif share > 1:
            problem = "A share lies between 0 and 1."
        raise Wrong(
            problem,
            "Always name the class that is most common in training. How many of the *test* pictures "
            "are of it?",
            f"`{data.classes[common]}`: look it up in the table, and divide by all test pictures.",
        )
    return (
        f"{right:,} of the parameters are new and know nothing, and {guess:.0%} right is worth "
        "nothing: measure all results from there."
    )


@lesson.exercise("8.3", "Choose, then report")
def check_choice(choose: Any) -> str:
    """Try ``choose(runs)`` on three made-up tables of runs with traps for every wrong way."""
    for offset in (0.0, 0.05, -0.1):
        runs = made_runs(offset)
        answer = called(choose, [dict(run) for run in runs])
        try:
            lr, accuracy = (float(x) for x in answer)
        except (TypeError, ValueError):
            raise Wrong(
                f"Received {shown(answer)}, expected two numbers.",
                "Return the learning rate and the accuracy: `return lr, accuracy`.",
            ) from None
        judge_choice(runs, lr, accuracy)
    return "Chosen by the mean over seeds on validation pictures, reported as the mean on test pictures."


@lesson.exercise("8.4", "Three folders, three plans")
def check_plans(plans: Any) -> str:
    """Check the plans' properties: what learns, how fast compared with its neighbours, at what cost."""
    names = ("few", "fog", "plenty")
    if not isinstance(plans, Mapping) or {*plans} != {*names}:
        raise Wrong(f"Expected a dictionary with the keys {', '.join(names)}.")
    splits = split_model(StrokeNet(4))
    for name in names:
        plan = plans[name]
        if not isinstance(plan, Plan):
            raise Wrong(
                f"`{name}` is {shown(plan)}, expected a plan.",
                '`difflr.make_plan("uniform", 6, epochs=6, lr=1e-3)` makes one for six splits.',
            )
        if plan.n_splits != len(splits) or plan.epochs != _EPOCHS:
            raise Wrong(
                f"`{name}` is a plan for {plan.n_splits} splits and {plan.epochs} epochs.",
                f"Make it for {len(splits)} splits and {_EPOCHS} epochs.",
            )
    share = judge_plans(plans, splits)
    return (
        f"`few` trains for {share:.0%} of the full cost, `fog` moves the front, `plenty` moves all."
    )


@lesson.exercise("8.5", "Your result sheet")
def check_sheet(path: Any) -> str:
    """Read a result sheet back, recompute it from its own numbers, and hold its words against them."""
    return judge_sheet(read_sheet(path))


quiz = Quiz(
    "Self-test: your own images",
    [
        Question(
            "A test picture lies in train/ too, saved again as JPEG. What finds it?",
            (
                "comparing the names of the files",
                "comparing the bytes of the files",
                "comparing pixels exactly",
                "only a comparison that allows small differences",
            ),
            3,
            (
                "A copy may have any name.",
                "Saving again changes the bytes.",
                "JPEG changes the pixels a little, so no two need be equal.",
                "Shrink both pictures and compare with a tolerance, or look: there is no sure way.",
            ),
        ),
        Question(
            "Which pictures may decide the learning rate?",
            (
                "the test pictures, if they are looked at only once per rate",
                "held-out training pictures",
                "the pictures that the network trains on",
                "whichever are most",
            ),
            1,
            (
                "Each look is a try, and the best of many tries looks better than it is.",
                "They cost some training pictures, and leave the test pictures untouched.",
                "There the rate that learns by heart wins.",
                "Many pictures make the choice less noisy, not more honest.",
            ),
        ),
        Question(
            "What does a range test on your pictures tell you?",
            (
                "a base learning rate at which the loss falls fast, from some steps",
                "the best learning rate",
                "which recipe is best",
                "the ratio between the splits' learning rates",
            ),
            0,
            (
                "It says where to begin to look; validation pictures decide.",
                "The loss of a few steps is not the accuracy after a training.",
                "It tests one plan at a time and measures no accuracy.",
                "The ratios are held, so it cannot say anything of them.",
            ),
        ),
        Question(
            "Over three seeds, B is better than A by 1.2 ± 2.0 points. What do you report?",
            (
                "B is better by 1.2 points",
                "A and B are equally good",
                "a tie: this comparison cannot tell them apart",
                "nothing: a tie is no result",
            ),
            2,
            (
                "The interval holds differences below 0 as well.",
                "It also holds a lead of 3 points: not to see a difference is not to see equality.",
                "And the interval says how large a difference could have hidden.",
                "Whoever hides ties shows only lucky draws.",
            ),
        ),
        Question(
            "All runs used the same training pictures, and the interval is narrow. What is not in it?",
            (
                "another order of the batches",
                "another random head",
                "other pictures of the same classes",
                "the augmentation",
            ),
            2,
            (
                "The order follows the seed, so the interval holds it.",
                "The head follows the seed, so the interval holds it.",
                "Had you collected other pictures, all runs would have moved together.",
                "The augmentation follows the seed, so the interval holds it.",
            ),
        ),
    ],
)
