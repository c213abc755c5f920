"""Lesson 7, When the recipe is wrong: the checks of its exercises, its self-test and its pictures."""

import copy
import math
from functools import lru_cache
from typing import Any

import torch
from torch import nn

from difflr.evidence.outcomes import five_recipes
from difflr.evidence.summaries import (
    describe_difference,
    difference,
    estimate,
    format_estimate,
    grouped,
)
from difflr.experiments.backbones import load_backbone
from difflr.experiments.data import Images
from difflr.experiments.strokes import target_task
from difflr.experiments.training import Classifier, fit
from difflr.lessons.checking import Lesson, Wrong, called
from difflr.lessons.plain import chosen, keyed, unexpected
from difflr.lessons.quiz import Quiz
from difflr.lessons.trials import copied, moved, tensors
from difflr.plan import Plan
from difflr.splits import Splits, split_model
from difflr.studies.measures import displacement
from difflr.studies.recordings import Run, load_recording

__all__ = [
    "INPUT_SHIFTS",
    "check_adapt",
    "check_choice",
    "check_prediction",
    "check_surgical",
    "lesson",
    "quiz",
    "regret",
    "reported",
]

lesson = Lesson("Lesson 7")
quiz = Quiz.read(__file__)
INPUT_SHIFTS = ("noise", "blur", "contrast", "colour")
_ENOUGH = 0.01  # a point of accuracy
_TOO_FAR = 3.0  # times a split's own size


@lru_cache(maxsize=2)
def _groups(measured_on: str = "test") -> dict[tuple[Any, ...], list[Run]]:
    runs = five_recipes(load_recording("which_splits")).where(measured_on=measured_on)
    return grouped(runs, "recipe", "shift")


def reported(recipe: str, shift: str) -> list[Run]:
    """Return the recorded runs of a recipe at its best LR, on the test pictures of a shift."""
    return _groups()[recipe, shift]


@lru_cache(maxsize=32)
def _validated(recipe: str, shift: str) -> float:
    """Return a recipe's best mean accuracy on validation pictures over the base LRs tried."""
    rates = grouped(_groups("validation")[recipe, shift], "base_lr").values()
    return max(estimate(runs).mean for runs in rates)


def regret(recipe: str, shift: str) -> float:
    """Return how far a recipe lies below the best one for this shift, on validation pictures."""
    recipes = {str(own) for own, kind in _groups("validation") if kind == shift}
    return max(_validated(own, shift) for own in recipes) - _validated(recipe, shift)


@lesson.exercise("7.1", "Predict which end should learn")
def check_prediction(prediction: Any) -> str:
    """Compare ``{"new labels": end, "noise": end}`` with the recorded runs."""
    kinds = {"new labels": "none", "noise": "noise"}
    answers = _dictionary(prediction, tuple(kinds), ("first", "last"))
    if answers["new labels"] == "first":
        raise Wrong(
            "With new labels the head is new, and its weights are random. If only the first split "
            "learns, the head stays random.",
            "Which part of the network does not know anything yet?",
        )
    if answers["noise"] == "last":
        raise Wrong(
            "The labels are the old ones, and so is the head: it knows them all. You look at the end "
            "of the network because that is where one usually looks.",
            "What has changed is what the network *sees*. Which part sees it first?",
            "A first split that averages over neighbours could take much of the noise away.",
        )
    parts = []
    for name, shift in kinds.items():
        gap = difference(reported("first_splits", shift), reported("head_only", shift))
        parts.append(f"{name}: {describe_difference(gap)}")
    return f"The first split against the head, recorded. {'; '.join(parts)}."


@lesson.exercise("7.2", "A plan for the first splits")
def check_surgical(surgical: Any) -> str:
    """Train a small network by ``surgical(epochs, lr)``: two splits move, all others stay as they are."""
    for epochs, lr in ((1, 1e-2), (2, 3e-3)):
        plan = called(surgical, epochs, lr)
        if not isinstance(plan, Plan):
            raise unexpected(plan, "a plan", "Return `difflr.Plan([…])`.")
        plan.check(6)
        if plan.epochs != epochs:
            raise Wrong(f"Asked for {epochs} epochs, the plan has {plan.epochs}.")
        network = load_backbone("strokenet").build(10)
        before = split_model(copy.deepcopy(network))
        changed = _changed(before, split_model(_trained(network, plan)))
        if changed == [0, 1]:
            for index in changed:
                peak = max(phase.lrs[index] for phase in plan.phases)
                if not math.isclose(peak, lr, rel_tol=1e-3):
                    raise Wrong(
                        f"`{before.names[index]}` peaks at {peak:.2g} where `lr` is {lr:.2g}. Both splits "
                        "should learn at `lr`.",
                        "`lrs=[lr, lr, 0, 0, 0, 0]`",
                    )
            continue
        if changed == [2, 3, 4, 5]:
            raise Wrong(
                "You froze the first two splits and trained the others. `freeze_to=2` means: frozen "
                "*up to* split 2.",
                "`freeze_to` can only freeze the front. For the back there is `frozen`.",
                "`Phase(0, epochs, lrs, frozen=(2, 3, 4, 5))`",
            )
        if changed == [4, 5]:
            raise Wrong(
                "This trains the last two splits. A negative `freeze_to` counts from the end.",
                "Leave `freeze_to` at 0 and list what stays in `frozen`.",
            )
        raise _strayed(before, split_model(network), changed)
    return "`stem` and `layer1` moved; all others are bit-identical, BatchNorm's statistics too."


@lesson.exercise("7.3", "Mend an adaptation", stub="0e4093791a9e")
def check_adapt(adapt: Any) -> str:
    """Let ``adapt(network, images)`` train on a few pictures: the first two splits learn, the head stays."""
    network = load_backbone("strokenet").build(10)
    images = Images(*map(torch.from_numpy, target_task("train", 40, input_shift=1.0)))
    before, pictures = split_model(copy.deepcopy(network)), images.pixels.clone()
    result = called(adapt, network, images)
    if isinstance(result, Classifier):
        raise Wrong(
            "You return the model around the network. It normalises pictures, and so does the next one that "
            "is built around it: they would be normalised twice.",
            "`return model.network`",
        )
    if not isinstance(result, nn.Module):
        raise unexpected(result, "a network", "Return the adapted network.")
    if not torch.equal(images.pixels, pictures):
        raise Wrong(
            "Your function changes the pictures that it was given.", "Work on a copy: `.clone()`."
        )
    after = split_model(result)
    changed = _changed(before, after)
    if 5 in changed and _another_head(before, after):
        raise Wrong(
            "The head that comes out is not the head that went in. The labels are the same as "
            "before: the old head knows them, a new one would have to learn them from the start.",
            "Under which kind of shift is `replace_head` needed?",
            "Leave `replace_head` out: the network has the head that it needs.",
        )
    if not changed:
        raise Wrong(
            "Nothing has learned.", "Is what you return the network that was trained, or its copy?"
        )
    if changed != [0, 1]:
        raise _strayed(before, after, changed)
    if _changed(before, split_model(network)):
        raise Wrong(
            "Your function trains the network that it was given. Whoever compares before and after "
            "then compares the adapted network with itself.",
            "Train a copy: `copy.deepcopy(network)`.",
        )
    far = displacement(before, after)[:2]
    if max(far) < 1e-4:
        raise Wrong(
            "The first two splits have hardly moved: by less than a ten-thousandth of their own size.",
            "Which learning rate has the plan? Under AdamW, 1e-3 to 3e-2 is a good range here.",
        )
    if max(far) > _TOO_FAR:
        raise Wrong(
            f"The first two splits have moved by {max(far):.0f} times their own size: nothing is left of "
            "what they knew.",
            "Which learning rate has the plan? Under AdamW, 1e-3 to 3e-2 is a good range here.",
        )
    return "The first two splits adapted, and the head is the one that knows the labels."


@lesson.exercise("7.4", "Choose a recipe from the evidence")
def check_choice(choice: Any) -> str:
    """Hold ``{"new labels": recipe, "unknown camera": recipe}`` against the recorded test accuracies.

    Chosen is by regret on validation pictures. Right is what the test pictures do not show to lie
    more than a point below the choice of least regret, whatever the shift.
    """
    recipes = tuple(dict.fromkeys(str(recipe) for recipe, _ in _groups()))
    answers = _dictionary(choice, ("new labels", "unknown camera"), recipes)
    for name, shifts in (("new labels", ("none",)), ("unknown camera", INPUT_SHIFTS)):
        worst = {recipe: max(regret(recipe, shift) for shift in shifts) for recipe in recipes}
        best = min(recipes, key=lambda recipe: worst[recipe])
        own = answers[name]
        gaps = {kind: difference(reported(own, kind), reported(best, kind)) for kind in shifts}
        where = min(shifts, key=lambda kind: gaps[kind].mean)
        if gaps[where].mean + gaps[where].half < -_ENOUGH:
            hints = [
                f"`regret(recipe, {shifts[0]!r})` says how far a recipe lies below the best one.",
                f"The smallest regret is {100 * worst[best]:.1f} points.",
            ]
            if len(shifts) > 1:
                hints.insert(
                    1, "A camera may do any of four things. Take the largest of four regrets."
                )
            raise Wrong(
                f"{name}: on the test pictures {own} lies {-100 * gaps[where].mean:.1f} points below "
                f"a recipe of less regret ({where if where != 'none' else 'new labels'}: "
                f"{describe_difference(gaps[where])}).",
                *hints,
            )
    # What the loop ends with is the unknown camera.
    results = [f"{kind} {format_estimate(estimate(reported(own, kind)))}" for kind in shifts]
    less = (
        f" By regret on validation pictures {best} risks least, {100 * worst[best]:.1f} points at most; "
        f"{own} risks {100 * worst[own]:.1f}, and the test pictures do not show it to lie a point below."
    )
    shown = f"On the test pictures, {own}: {', '.join(results)}."
    return shown + (less if worst[own] > worst[best] else "")


def _trained(network: nn.Module, plan: Plan) -> nn.Module:
    images = Images(*map(torch.from_numpy, target_task("train", 40)))
    backbone = load_backbone("strokenet")
    model = Classifier(network, plan, mean=backbone.mean, std=backbone.std)
    fit(model, images, seed=0, batch_size=10)
    return network


def _another_head(before: Splits, after: Splits) -> bool:
    """Whether the head was replaced, and not only trained: then its weights are not alike at all."""
    old, new = (next(iter(splits[-1].parameters.values())).detach() for splits in (before, after))
    if old.shape != new.shape:
        return True
    return bool(torch.cosine_similarity(old.flatten(), new.cpu().flatten(), dim=0) < 0.2)


def _strayed(before: Splits, after: Splits, changed: list[int]) -> Wrong:
    """Say which splits moved that should not, or did not that should: weights or statistics."""
    weights = [i for i, way in enumerate(displacement(before, after)) if way > 0]
    if weights == [0, 1]:
        names = ", ".join(f"`{before.names[i]}`" for i in changed if i not in weights)
        return Wrong(
            f"The right weights moved, but BatchNorm's running statistics of frozen splits did too: {names}.",
            "A plan lets them follow with `train_bn=True`, a loop of your own where their BatchNorm layers "
            "are in train mode: `train()` of a module wakes all that lies below it.",
        )
    names = ", ".join(before.names[i] for i in changed)
    return Wrong(
        f"These splits moved: {names}. Asked for are the first two, `stem` and `layer1`.",
        "`frozen` lists the indices of splits that stay: which are not among the first two?",
    )


def _changed(before: Splits, after: Splits) -> list[int]:
    """Return the indices of the splits of which anything changed, buffers included."""
    old, new = copied(before.model), copied(after.model)
    return [i for i, split in enumerate(before) if moved(old, new, tensors(before.model, split))]


def _dictionary(answer: Any, keys: tuple[str, ...], values: tuple[str, ...]) -> dict[str, str]:
    found = [chosen(said, values) for said in keyed(answer, *keys)]
    if None in found:
        raise Wrong("An answer is none of those to choose from.", f"They are {', '.join(values)}.")
    return dict(zip(keys, filter(None, found), strict=True))
