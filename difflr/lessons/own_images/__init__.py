"""Lesson 8, Your own images: the checks of its exercises, its self-test and its pictures."""

import tempfile
from pathlib import Path
from typing import Any

import torch

from difflr.errors import short_repr
from difflr.experiments.data import Data
from difflr.experiments.strokenet import StrokeNet
from difflr.lessons.checking import Lesson, Wrong, called
from difflr.lessons.own_images.choices import judge_choice, made_runs
from difflr.lessons.own_images.leaks import judge_leaks, place, write_trap
from difflr.lessons.own_images.sheets import judge_sheet, read_sheet
from difflr.lessons.own_images.threeplans import judge_plans
from difflr.lessons.plain import keyed, pair, plain, unexpected
from difflr.lessons.quiz import Quiz
from difflr.plan import Plan
from difflr.splits import Splits, split_model

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
quiz = Quiz.read(__file__)
_EPOCHS = 6


@lesson.exercise("8.1", "Find the pictures that leaked", stub="fe4332df0e20")
def check_leaks(find_leaks: Any) -> str:
    """Try ``find_leaks(folder)`` on a small tree with copies, namesakes and look-alikes."""
    with tempfile.TemporaryDirectory(prefix="difflr-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        write_trap(folder)
        before = _contents(folder)
        files = plain(called(find_leaks, folder))
        if not isinstance(files, (list, tuple, set, frozenset)):
            raise unexpected(files, "the files, in a list")
        found = {place(folder, file) for file in files}
        if _contents(folder) != before:
            raise Wrong("Your function changes the folder. It should only look.")
    judge_leaks(found)
    return (
        "Found: a copy under another name, one in another class, and one saved in another format. "
        "Cropped or scaled copies would need more."
    )


def _contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@lesson.exercise("8.2", "What the new head brings, and what guessing gets")
def check_prediction(prediction: Any, data: Data, splits: Splits) -> str:
    """Compare a prediction with the parameters of a new head and the share of the commonest class.

    Args:
        prediction: ``{"new parameters": number, "guessing": share}``.
        data: that the network is to learn.
        splits: of the network with its old head.
    """
    numbers = keyed(prediction, "new parameters", "guessing")
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


@lesson.exercise("8.3", "Choose, then report", stub="416fc4190d38")
def check_choice(choose: Any) -> str:
    """Try ``choose(runs)`` on three made-up tables of runs with traps for every wrong way."""
    for offset in (0.0, 0.05, -0.1):
        runs = made_runs(offset)
        hint = "Return the learning rate and the accuracy: `return lr, accuracy`."
        judge_choice(runs, *pair(called(choose, runs), "two numbers", hint))
    return "Chosen by the mean over seeds on validation pictures, reported as the mean on test pictures."


@lesson.exercise("8.4", "Three folders, three plans")
def check_plans(plans: Any) -> str:
    """Check the plans' properties: what learns, how fast compared with its neighbours, at what cost."""
    names = ("few", "fog", "plenty")
    splits = split_model(StrokeNet(4))
    for name, plan in zip(names, keyed(plans, *names), strict=True):
        if not isinstance(plan, Plan):
            raise Wrong(
                f"`{name}` is {short_repr(plan)}, expected a plan.",
                '`difflr.make_plan("uniform", 6, epochs=6, lr=1e-3)` makes one for six splits.',
            )
        if plan.n_splits != len(splits) or plan.epochs != _EPOCHS:
            raise Wrong(
                f"`{name}` is a plan for {plan.n_splits} splits and {plan.epochs} epochs.",
                f"Make it for {len(splits)} splits and {_EPOCHS} epochs.",
            )
    share = judge_plans(plans, splits)
    return f"`few` trains for {share:.0%} of the full cost, `fog` lets the front move, `plenty` moves all."


@lesson.exercise("8.5", "Your result sheet")
def check_sheet(path: Any) -> str:
    """Read a result sheet back, recompute it from its own numbers, and hold its words against them."""
    return judge_sheet(read_sheet(path))
