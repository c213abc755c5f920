"""Lesson 3, Parameter groups: the checks of its exercises, and its self-test."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from torch import nn
from torch.optim import Optimizer

from difflr.errors import shown
from difflr.freezing import freeze_to
from difflr.lessons.checking import Lesson, Wrong, called
from difflr.lessons.grouped import (
    decay_or_wrong,
    every_parameter,
    optimizer_or_wrong,
    rates_or_wrong,
)
from difflr.lessons.quiz import Question, Quiz
from difflr.lessons.shorthands import SAID, aimed_or_wrong, predicted_or_wrong
from difflr.lessons.trials import copied, moved, train_step
from difflr.rates import Ratio, expand_lrs
from difflr.splits import Splits, split_model
from difflr.strokenet import StrokeNet

__all__ = ["check_configure", "check_design", "check_groups", "check_rates", "lesson", "quiz"]

lesson = Lesson("Lesson 3")


@lesson.exercise("3.1", "What does the shorthand say?")
def check_rates(prediction: Any) -> str:
    """Compare three predicted lists of learning rates for four splits with ``expand_lrs``, to 10%."""
    if not isinstance(prediction, Mapping) or {*prediction} != {*SAID}:
        keys = ", ".join(f"`{key}`" for key in SAID)
        raise Wrong("Expected a dictionary with one list for each shorthand.", f"Keys: {keys}.")
    for key in SAID:
        predicted_or_wrong(key, prediction[key])
    return "The ratio in all is 10, 1000 and 2.6³ = 17.6. The next cell draws them for six splits."


@lesson.exercise("3.2", "Groups with and without weight decay")
def check_groups(groups: Any) -> str:
    """Try ``groups(splits, lrs, weight_decay)`` on two networks, one of them mostly frozen."""
    count = 0
    for network, how in (
        (_plain(), {"body": ["first", "second"], "head": "fc"}),
        (StrokeNet(10), None),
    ):
        splits = split_model(network, how)
        freeze_to(splits, -1)
        lrs = expand_lrs(Ratio(1e-2), len(splits))
        optimizer = optimizer_or_wrong(called(groups, splits, list(lrs), 0.05))
        group_of = every_parameter(network, optimizer)
        decay_or_wrong(network, group_of, 0.05)
        rates_or_wrong(splits, {name: group["lr"] for name, group in group_of.items()}, lrs)
        count = len(optimizer.param_groups)
        for split in splits:
            names = {str(group_of[name]["name"]) for name in split.parameters}
            if strange := [name for name in names if not name.startswith(split.name)]:
                raise Wrong(
                    f"A group of split `{split.name}` is called `{strange[0]}`.",
                    "Let the name of a group begin with the name of its split.",
                )
    return (
        f"{count} groups for a StrokeNet: every parameter once, each with its rate and its decay."
    )


def _plain() -> nn.Module:
    """Return a network whose names do not tell what its layers are."""
    layers = {"first": nn.Conv2d(3, 4, 3), "second": nn.GroupNorm(2, 4), "fc": nn.Linear(4, 2)}
    return nn.Sequential(OrderedDict(layers))


@lesson.exercise("3.3", "Mend the optimizer and its scheduler")
def check_configure(configure: Any) -> str:
    """Train ten steps with ``configure(network, steps)``; after five, thaw all."""
    network, steps = StrokeNet(10), 10
    splits = split_model(network)
    pair = called(configure, network, steps)
    if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not isinstance(pair[0], Optimizer):
        raise Wrong(f"Received {shown(pair)}, expected `optimizer, scheduler`.")
    optimizer, scheduler = pair
    network.train()
    freeze_to(splits, "layer4")
    every_parameter(network, optimizer)
    peaks = _peaks(network, splits, optimizer, scheduler, steps)
    rates_or_wrong(splits, peaks, expand_lrs(Ratio(1e-2, 100), len(splits)))
    return "Each split reached its own learning rate, and what was thawed in mid-training learned."


def _peaks(
    network: nn.Module, splits: Splits, optimizer: Optimizer, scheduler: Any, steps: int
) -> dict[str, float]:
    """Return the highest learning rate of each parameter, or say what did not move when it should."""
    names = {id(p): name for name, p in network.named_parameters()}
    peaks = dict.fromkeys(names.values(), 0.0)
    for step in range(steps):
        if step == steps // 2:
            network.train()
            freeze_to(splits, 0)
            before = copied(network)
        for group in optimizer.param_groups:
            for p in group["params"]:
                peaks[names[id(p)]] = max(peaks[names[id(p)]], float(group["lr"]))
        train_step(network, optimizer)
        scheduler.step()
    if still := {*peaks} - {*moved(before, copied(network), [*peaks])}:
        raise Wrong(f"`{min(still)}` was thawed, and does not learn.", "What is its learning rate?")
    return peaks


@lesson.exercise("3.4", "Design learning rates for two aims")
def check_design(design: Any) -> str:
    """Expand the shorthands for six splits and hold them to the two aims."""
    aims = {"new drawings": False, "bad camera": True}
    if not isinstance(design, Mapping) or {*design} != {*aims}:
        raise Wrong("Expected a dictionary with the keys `new drawings` and `bad camera`.")
    for aim, falls in aims.items():
        aimed_or_wrong(aim, expand_lrs(design[aim], 6), falls)
    return "Rising with depth for new drawings, falling for a bad camera: each for its own change."


quiz = Quiz(
    "Self-test: parameter groups",
    [
        Question(
            "Six groups have learning rates from 1e-5 to 1e-3. You add OneCycleLR(optimizer, "
            "max_lr=1e-3). Which rates do they reach?",
            (
                "their own, as they were given",
                "1e-3, all six",
                "their own, each scaled by 1e-3",
                "1e-3 the last, the others none",
            ),
            1,
            (
                "OneCycleLR overwrites them at once and never looks back.",
                "One max_lr is meant for every group. Give it a list, one number per group.",
                "Nothing is multiplied: max_lr replaces what was there.",
                "All groups are scheduled alike.",
            ),
        ),
        Question(
            "You cut a network into twelve splits instead of six. Which first rate stays the same?",
            (
                "that of Ulmfit(1e-3)",
                "that of Ratio(1e-3, 100)",
                "both",
                "neither",
            ),
            1,
            (
                "Ulmfit divides once per split: eleven times now, and not five.",
                "Its ratio is that of the two ends, however many splits lie between them.",
                "Ulmfit divides by 2.6 once per split.",
                "Ratio fixes both ends.",
            ),
        ),
        Question(
            "Why are BatchNorm's scales usually spared weight decay?",
            (
                "they have no gradient",
                "they are too small to matter",
                "their neutral value is 1, and decay pulls them towards 0",
                "torch does not allow it",
            ),
            2,
            (
                "They are parameters with gradients like others.",
                "There are few of them, but each one scales a whole channel.",
                "Decay is meant to keep weights small; a scale of 0 switches its channel off.",
                "torch decays whatever is in a group with weight_decay above 0.",
            ),
        ),
        Question(
            "A script adds a parameter group when it unfreezes the stem. OneCycleLR is running. Then?",
            (
                "the new group follows the same cycle",
                "the new group keeps its rate",
                "the next step of the scheduler fails: entries are missing",
                "the optimizer refuses the group",
            ),
            2,
            (
                "The cycle's ends were written into the groups of the first day only.",
                "So it is with some other schedulers; OneCycleLR looks for entries that are missing.",
                "A KeyError for initial_lr. With all groups there from the start nothing is missing.",
                "Optimizers take new groups at any time.",
            ),
        ),
        Question(
            "for group, lr in zip(optimizer.param_groups, lrs): group['lr'] = lr. There are six "
            "groups and five rates. What happens?",
            (
                "an error at the sixth group",
                "the head, the last group, keeps the rate it had",
                "the stem keeps the rate it had",
                "the last rate is used twice",
            ),
            1,
            (
                "zip ends with the shorter list and says nothing.",
                "zip ends after five. Check the length first, or write zip(…, strict=True).",
                "zip begins at the front: it is the end that is left out.",
                "zip does not repeat anything.",
            ),
        ),
    ],
)
