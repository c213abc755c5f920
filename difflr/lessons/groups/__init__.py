"""Lesson 3, Parameter groups: the checks of its exercises, its self-test and its pictures."""

from collections import OrderedDict
from typing import Any

from torch import nn
from torch.optim import Optimizer

from difflr.experiments.strokenet import StrokeNet
from difflr.freezing import freeze_to
from difflr.lessons.checking import Lesson, Wrong, called
from difflr.lessons.groups.grouped import (
    decay_or_wrong,
    every_parameter,
    near,
    optimizer_or_wrong,
    rates_or_wrong,
)
from difflr.lessons.groups.shorthands import SAID, aimed_or_wrong, predicted_or_wrong
from difflr.lessons.plain import keyed, unexpected
from difflr.lessons.quiz import Quiz
from difflr.lessons.trials import copied, moved, train_step
from difflr.rates import Ratio, expand_lrs
from difflr.splits import split_model

__all__ = ["check_configure", "check_design", "check_groups", "check_rates", "lesson", "quiz"]

lesson = Lesson("Lesson 3")
quiz = Quiz.read(__file__)


@lesson.exercise("3.1", "What does the shorthand say?")
def check_rates(prediction: Any) -> str:
    """Compare three predicted lists of learning rates for four splits with ``expand_lrs``, to 10%."""
    for key, lrs in zip(SAID, keyed(prediction, *SAID), strict=True):
        predicted_or_wrong(key, lrs)
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


@lesson.exercise("3.3", "Mend the optimizer", stub="712a3fb1200d")
def check_configure(configure: Any) -> str:
    """Train ten steps with the optimizer of ``configure(network)``; after five, thaw all."""
    network, steps = StrokeNet(10), 10
    splits = split_model(network)
    optimizer = called(configure, network)
    if not isinstance(optimizer, Optimizer):
        hint = "`torch.optim.AdamW(groups)` makes one of groups."
        raise unexpected(optimizer, "an optimizer", hint)
    network.train()
    freeze_to(splits, "layer4")
    group_of = every_parameter(network, optimizer)
    rates = {name: float(group["lr"]) for name, group in group_of.items()}
    lrs = expand_lrs(Ratio(1e-2, 100), len(splits))
    dealt = [float(group["lr"]) for group in optimizer.param_groups][: len(lrs)]
    if len(optimizer.param_groups) > len(lrs) and near(dealt, lrs):
        raise Wrong(
            "The first six *groups* have the rates of the six *splits*, and the other groups the default. "
            "There are more groups than splits.",
            "Each split has two groups, with and without decay. A group knows its split: `group['split']`.",
            "`difflr.param_groups(splits, lrs)` gives every group its rate.",
        )
    rates_or_wrong(splits, rates, lrs)
    for step in range(steps):
        if step == steps // 2:
            network.train()
            freeze_to(splits, 0)
            before = copied(network)
        train_step(network, optimizer)
    if still := {*rates} - {*moved(before, copied(network), [*rates])}:
        raise Wrong(f"`{min(still)}` was thawed, and does not learn.", "What is its learning rate?")
    return "Each split has its own learning rate, and what was thawed in mid-training learned."


@lesson.exercise("3.4", "Design learning rates for two aims")
def check_design(design: Any) -> str:
    """Expand the shorthands for six splits and hold them to the two aims."""
    aims = {"new drawings": False, "bad camera": True}
    for (aim, falls), lrs in zip(aims.items(), keyed(design, *aims), strict=True):
        aimed_or_wrong(aim, expand_lrs(lrs, 6), falls)
    return "Rising with depth for new drawings, falling for a bad camera: each for its own change."
