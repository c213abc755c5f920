"""Lesson 2, Freezing: the checks of its exercises, its self-test and its pictures."""

from typing import Any

import torch

from difflr.errors import as_index, as_int
from difflr.experiments.flops import count_costs
from difflr.experiments.strokenet import StrokeNet
from difflr.lessons.checking import Lesson, Wrong, tried
from difflr.lessons.freezing.frozen import as_asked, two_epochs
from difflr.lessons.plain import keyed
from difflr.lessons.quiz import Quiz
from difflr.lessons.trials import Passes, copied, moved, tensors, train_step
from difflr.splits import split_model

__all__ = ["check_freeze", "check_prediction", "check_schedule", "check_training", "lesson", "quiz"]

lesson = Lesson("Lesson 2")
quiz = Quiz.read(__file__)

_WHY = {
    "fc.weight": (
        "The head is the one part that was not frozen: it gets a gradient, and the optimizer uses it.",
        "Which parameters does the text leave trainable?",
    ),
    "conv1.weight": (
        "You expect weight decay to reach a frozen weight. An optimizer passes over a parameter whose "
        "gradient is `None`, and this one never had another.",
        "The cell above shows what `conv1.weight.grad` is.",
    ),
    "bn1.weight": (
        "You treat BatchNorm's `weight` otherwise than other weights. It is a parameter like them: "
        "without a gradient it stays.",
        "Just one of the four tensors is not a parameter.",
    ),
    "bn1.running_mean": (
        "You expect `requires_grad` to hold everything. `running_mean` is a *buffer*: no optimizer "
        "moves it, `forward` does, in train mode.",
        "Compare `bn1.named_parameters()` with `bn1.named_buffers()`.",
    ),
}


@lesson.exercise("2.1", "What moves?")
def check_prediction(prediction: Any) -> str:
    """Train a network with a frozen body for one step; compare what moved with the prediction."""
    said = keyed(prediction, *_WHY)
    if not all(isinstance(moves, (bool, int)) and moves in (0, 1) for moves in said):
        raise Wrong("Each entry should be True (it moves) or False (it stays).")
    network = StrokeNet(10)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name.startswith("fc."))
    before = copied(network)
    train_step(network, torch.optim.AdamW(network.parameters(), lr=0.1, weight_decay=0.1))
    truth = moved(before, copied(network), list(_WHY))
    for moves, (name, (misconception, hint)) in zip(said, _WHY.items(), strict=True):
        if moves != (name in truth):
            raise Wrong(misconception, hint)
    return (
        "The head moves, as it should, and so do BatchNorm's statistics, without any gradient. The "
        "next cells show what that does."
    )


@lesson.exercise("2.2", "Freeze by hand")
def check_freeze(freeze: Any) -> str:
    """Try ``freeze(splits, first)``: what is frozen keeps every bit, the rest trains, all can thaw."""
    network = StrokeNet(10)
    splits = split_model(network)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01, weight_decay=0.1)
    train_step(network, optimizer)  # leaves gradients and momentum behind
    tried(freeze, splits, 3)
    as_asked(splits, 3)
    before = copied(network)
    for _ in range(2):
        train_step(network, optimizer, set_to_none=False)
    frozen = [name for split in splits[:3] for name in tensors(network, split)]
    if strayed := moved(before, copied(network), frozen):
        raise Wrong(
            f"`{strayed[0]}` is frozen, and the next step moved it all the same. `requires_grad` "
            "stops new gradients; the old one is still there, and with it momentum and weight decay.",
            "An optimizer passes over a parameter only if its gradient is `None`.",
            "Set `parameter.grad = None` for what you freeze.",
        )
    network.train()
    tried(freeze, splits, 0)
    as_asked(splits, 0)
    return (
        "For two steps the frozen splits kept every bit while the others trained; all could thaw."
    )


@lesson.exercise("2.3", "Mend the training loop", stub="7a72dac15371")
def check_training(train_top: Any) -> str:
    """Run ``train_top(network, batches)`` and look at the network after each of its two epochs."""
    network = StrokeNet(10).eval()
    splits = split_model(network)
    batches, start = Passes(network), copied(network)
    with batches.watched():
        tried(train_top, network, batches)
    steps = len(batches.states)
    if batches.any_backward and not steps:
        raise Wrong("Gradients are computed, and no optimizer takes a step.", "`optimizer.step()`")
    if steps != 2 * len(batches):
        raise Wrong(
            f"Your function takes {steps} training steps; two epochs of {len(batches)} batches are "
            f"{2 * len(batches)}.",
            "Two epochs are asked for: the head alone, then `layer4` and the head.",
        )
    two_epochs(splits, batches, start, copied(network))
    if batches.piled_up:
        raise Wrong(
            "A step also uses the gradients of earlier batches: `backward` adds to what is there.",
            "Clear them for each batch: `optimizer.zero_grad()`.",
        )
    return "Epoch 1 moved the head alone, epoch 2 `layer4` and the head; all else kept every bit."


@lesson.exercise("2.4", "Design a freeze plan for a budget")
def check_schedule(schedule: Any) -> str:
    """Count what ``[(freeze_to, epochs), …]`` costs on a StrokeNet, and for how long each split trains."""
    if not isinstance(schedule, (list, tuple)) or not all(
        isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in schedule
    ):
        raise Wrong("Expected a list of pairs.", "For example `[(-1, 5), (0, 3)]`.")
    schedule = [tuple(map(_whole, pair)) for pair in schedule]
    splits = split_model(StrokeNet(10))
    costs, n = count_costs(splits, (3, 32, 32)), len(splits)
    first = [
        splits.names.index(f) if f in splits.names else as_index("freeze_to", f, n) % n
        for f, _ in schedule
    ]
    epochs = [as_int("epochs", count, 1) for _, count in schedule]
    if sum(epochs) != 8:
        raise Wrong(f"Your plan lasts {sum(epochs)} epochs; asked for are 8.")
    if first != sorted(first, reverse=True):
        raise Wrong(
            "Your plan freezes again what it has thawed. Then the pre-trained layers move while the "
            "head is new and sends them the worst gradients, and rest when it has learned.",
            "Let `freeze_to` go from the head towards the stem.",
        )
    trained = [sum(e for f, e in zip(first, epochs, strict=True) if f <= i) for i in range(n)]
    share = sum(e * costs.share(range(f, n)) for f, e in zip(first, epochs, strict=True)) / 8
    facts = f"The plan costs {share:.0%} of eight full epochs."
    if trained[0] < 2:
        raise Wrong(
            f"{facts} But the stem trains for {trained[0]} epochs; asked for are 2.",
            "`freeze_to=0` trains all splits.",
        )
    if trained[4] < 4:
        raise Wrong(
            f"{facts} But `layer4` trains for {trained[4]} epochs; asked for are 4.",
            "Those in which everything trains count too: how many are missing?",
        )
    if share > 0.6:
        raise Wrong(
            f"{facts} At most 60% is allowed. What counts is how far back backward must go, not how "
            "many splits or parameters train.",
            "Two epochs of everything cost 2.00. The table says what is left for the other six.",
            "Thaw the early splits all at once, and late.",
        )
    return f"{facts} `layer4` trains for {trained[4]} epochs, the stem for {trained[0]}."


def _whole(value: Any) -> Any:
    """Return 4.0 as 4: an array of pairs may hold its whole numbers so."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
