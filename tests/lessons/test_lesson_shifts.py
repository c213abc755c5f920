"""Lesson 7: right answers of every kind are taken, wrong ones named; what it says was recorded is so.

The checks are tried on a made-up recording, so that they hold whatever is recorded.
"""

import copy
from typing import ClassVar

import made_up
import numpy as np
import pytest
import torch
from answers import Answers
from torch import nn

import difflr
from difflr import Phase, Plan
from difflr.evidence.summaries import difference
from difflr.experiments.training import Classifier, fit
from difflr.lessons import shifts as lesson_7
from difflr.studies.cell import Cell
from difflr.studies.recordings import list_recordings, load_recording, save_recording

RECIPES = ("first_splits", "head_only", "differential", "uniform", "falling")
MEANS = {  # in the order of the recipes
    "none": (0.15, 0.55, 0.62, 0.60, 0.50),
    "noise": (0.48, 0.35, 0.53, 0.55, 0.56),
    "blur": (0.50, 0.42, 0.60, 0.63, 0.58),
    "contrast": (0.60, 0.40, 0.62, 0.65, 0.66),
    "colour": (0.62, 0.55, 0.60, 0.63, 0.64),
}


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """A made-up study in which rising suits new labels, falling or uniform the input shifts."""
    folder = tmp_path_factory.mktemp("shifts")
    from difflr.runs.journal import Journal

    with Journal(folder / "j.jsonl", "which_splits", {"splits": made_up.SPLITS}) as journal:
        journal.open_session({})
        for shift, means in MEANS.items():
            for recipe, mean in zip(RECIPES, means, strict=True):
                cell = Cell(recipe, {"lr": 1e-2}, 40, 2, shift)
                for seed in (100, 101, 102):
                    noise = 0.001 * ((seed + len(recipe)) % 3)
                    for part in ("validation", "test"):
                        run = made_up.measured(cell, seed, part)
                        journal.add({**run, "accuracy": mean + noise})
    return save_recording(folder / "j.jsonl", folder / "r.json.gz")


def _forget():
    for each in (lesson_7._groups, lesson_7._validated):
        each.cache_clear()


@pytest.fixture(autouse=True)
def _made_up(recording, monkeypatch):
    monkeypatch.setattr(lesson_7, "load_recording", lambda name: recording)
    _forget()
    lesson_7.lesson.reset()
    yield
    _forget()


PREDICTION = {"new labels": "last", "noise": "first"}
WRONG_PREDICTIONS = {
    "first for labels": ({**PREDICTION, "new labels": "first"}, "stays random"),
    "last for noise": ({**PREDICTION, "noise": "last"}, "knows them all"),
    "a split's name": ({**PREDICTION, "noise": "stem"}, "none of those"),
}


def plan(lrs, frozen=(), freeze_to=0):
    """Return what makes a plan of one phase, the rates as multiples of ``lr``."""
    return lambda epochs, lr: Plan([Phase(freeze_to, epochs, [lr * x for x in lrs], frozen=frozen)])


def in_phases(epochs, lr):
    """Train both splits, one phase for each epoch."""
    phase = Phase(0, 1, [lr, lr, 0, 0, 0, 0], frozen=[-1, -2, -3, -4])
    return Plan([phase] * epochs)


PLANS = {
    "as the solution": plan([1, 1, 0, 0, 0, 0], (2, 3, 4, 5)),
    "any order": plan([1, 1, 0, 0, 0, 0], (5, 4, 3, 2)),
    "one rate at a time": lambda e, lr: Plan(
        [Phase(0, e, [float(np.float32(lr))] * 2 + [0] * 4, frozen=[2, 3, 4, 5])]
    ),
    "without a cycle": lambda e, lr: Plan(
        [Phase(0, e, [lr, lr, 0, 0, 0, 0], div_factor=1, frozen=[2, 3, 4, 5])]
    ),
    "the recipe": lambda e, lr: difflr.make_plan("first_splits", 6, e, lr=lr, count=2),
    "phases": in_phases,
}


WRONG_PLANS = {
    "freeze_to=2": (plan([0, 0, 1, 1, 1, 1], freeze_to=2), "froze the first two"),
    "freeze_to=-2": (plan([0, 0, 0, 0, 1, 1], freeze_to=-2), "last two splits"),
    "stem only": (plan([1, 0, 0, 0, 0, 0], (1, 2, 3, 4, 5)), "splits moved: stem."),
    "head too": (plan([1, 1, 0, 0, 0, 1], (2, 3, 4)), "splits moved: stem, layer1, head."),
    "all": (plan([1, 1, 1, 1, 1, 1]), "splits moved"),
    "rates of 0": (plan([1, 1, 0, 0, 0, 0]), "stops in line"),
    "one epoch": (lambda e, lr: PLANS["as the solution"](1, lr), "Asked for 2 epochs"),
    "rising": (plan([0.1, 1, 0, 0, 0, 0], (5, 4, 3, 2)), "`stem` peaks at"),
    "stem at a hundredth": (plan([0.01, 1, 0, 0, 0, 0], (5, 4, 3, 2)), "`stem` peaks at"),
    "falling": (plan([1, 0.1, 0, 0, 0, 0], (5, 4, 3, 2)), "`layer1` peaks at"),
    "twice the rate": (plan([2, 2, 0, 0, 0, 0], (5, 4, 3, 2)), "`stem` peaks at"),
    "its own rate": (lambda e, lr: PLANS["as the solution"](e, 1e-2), "`stem` peaks at"),
    "five splits": (plan([1, 1, 0, 0, 0], (2, 3, 4)), "cannot be tried out"),
    "a phase": (lambda e, lr: Phase(0, e, [lr]), "expected a plan"),
    "drifting": (
        lambda e, lr: Plan([Phase(0, e, [lr, lr, 0, 0, 0, 0], frozen=(2, 3, 4, 5))], train_bn=True),
        "running statistics of frozen splits did too: `layer2`",
    ),
}


@pytest.mark.parametrize(
    ("what", "words"), [("rates of 0", "learning rate"), ("five splits", "5 learning rates")]
)
def test_plans_that_cannot_be_are_explained(what, words):
    """Where difflr refuses a plan, what it says is the hint."""
    verdict = lesson_7.check_surgical(WRONG_PLANS[what][0])
    assert words in verdict.hints[0]
    if "stops in line" in verdict.message:  # of the learner's code, and of nothing that it calls
        assert "return lambda epochs, lr: Plan([Phase(" in verdict.message


def adapted(
    *, head=False, recipe="first_splits", returned=lambda model, before: model.network,
    copied=copy.deepcopy, lr=1e-2, epochs=6,
):  # fmt: skip
    """Return an adaptation with these habits, right unless told otherwise."""

    def adapt(network, images):
        before = network
        network = copied(network)
        if head:
            difflr.replace_head(network, 10)
        options = {"count": 2} if recipe == "first_splits" else {}
        own = difflr.make_plan(recipe, 6, epochs=epochs, lr=lr, **options)
        backbone = difflr.load_backbone("strokenet")
        model = Classifier(network, own, mean=backbone.mean, std=backbone.std)
        fit(model, images, seed=0, batch_size=20)
        return returned(model, before)

    return adapt


def rebuilt(network):
    """Copy by the weights' dictionary."""
    other = difflr.load_backbone("strokenet").build(10)
    other.load_state_dict(network.state_dict())
    return other


def darkens(network, images):
    """Adapt, and spoil the pictures."""
    images.pixels.copy_(images.pixels // 2)
    return adapted()(network, images)


ADAPTATIONS = {
    "the network": adapted(),
    "a slower rate": adapted(lr=1e-3),
    "a faster rate": adapted(lr=3e-2),
    "one epoch": adapted(epochs=1),
    "new weights in a new network": adapted(copied=rebuilt),
}
WRONG_ADAPTATIONS = {
    "the planted bug": (adapted(head=True), "not the head that went in"),
    "the module around it": (adapted(returned=lambda model, before: model), "normalised twice"),
    "a new head that learns": (adapted(head=True, recipe="uniform"), "not the head that went in"),
    "all splits": (
        adapted(recipe="uniform"),
        "splits moved: stem, layer1, layer2, layer3, layer4, head.",
    ),
    "head only": (adapted(recipe="head_only"), "splits moved: head."),
    "nothing": (adapted(returned=lambda model, before: before), "Nothing has learned"),
    "no copy": (adapted(copied=lambda network: network), "trains the network that it was given"),
    "hardly any rate": (adapted(lr=1e-9), "hardly moved"),
    "far too high a rate": (adapted(lr=10.0), "times their own size"),
    "darkens the pictures": (darkens, "changes the pictures"),
    "no network": (adapted(returned=lambda model, before: 0.9), "expected a network"),
}


class TestAnswers(Answers):
    """Plans by hand, by recipe, in several phases; networks in which two splits learned."""

    lesson = lesson_7
    number = 7
    right: ClassVar = {
        "prediction": {
            "both": PREDICTION,
            "numpy": {name: np.str_(end) for name, end in PREDICTION.items()},
            "in capitals": {name: end.capitalize() for name, end in PREDICTION.items()},
        },
        "surgical": PLANS,
        "adapt": ADAPTATIONS,
    }
    wrong: ClassVar = {
        "prediction": WRONG_PREDICTIONS,
        "surgical": WRONG_PLANS,
        "adapt": WRONG_ADAPTATIONS,
    }
    said: ClassVar = {"prediction": "noise: +13.0 points"}
    junk = ("first", {"new labels": "first"})


def test_a_new_head_that_is_frozen_stays_random():
    """What the planted bug does: the random head comes out as it went in."""
    torch.manual_seed(1)
    network = adapted(head=True)(difflr.load_backbone("strokenet").build(10), made_images(40))
    torch.manual_seed(1)
    difflr.load_backbone("strokenet").build(10)  # draws the head that is thrown away
    fresh = nn.Linear(network.fc.in_features, 10)
    assert torch.equal(network.fc.weight, fresh.weight)


def made_images(size):
    """Return a few strokes."""
    from difflr.experiments.data import Images
    from difflr.experiments.strokes import target_task

    return Images(*map(torch.from_numpy, target_task("train", size)))


def choose(labels, camera):
    """Answer exercise 7.4."""
    return lesson_7.check_choice({"new labels": labels, "unknown camera": camera})


def test_choices_are_held_against_the_recorded_regrets():
    """The smallest largest regret is right; others are told what they risk and where."""
    assert lesson_7.regret("uniform", "noise") == pytest.approx(0.01, abs=0.003)
    verdict = choose("differential", "uniform")
    assert verdict.done, verdict
    assert "noise 55." in verdict.message
    wrong = choose("differential", "falling")
    assert wrong.state == "wrong"
    assert "(blur:" in wrong.message
    assert "new labels: on the test pictures falling" in choose("falling", "uniform").message
    assert "none of those" in choose("rising", "uniform").message


@pytest.mark.skipif("which_splits" not in list_recordings(), reason="the study is not recorded yet")
def test_the_words_of_the_lesson_are_those_of_the_recording(monkeypatch):
    """Which end should learn turns round, but for contrast; falling rates lose with new labels only."""
    monkeypatch.setattr(lesson_7, "load_recording", load_recording)
    _forget()
    reported = lesson_7.reported

    def gap(ours, rival, shift):
        return difference(reported(ours, shift), reported(rival, shift))

    labels = gap("first_splits", "head_only", "none")
    assert labels.mean + labels.half < -0.1
    for shift in ("noise", "blur", "colour"):
        own = gap("first_splits", "head_only", shift)
        assert own.mean - own.half > 0, shift
    own = gap("first_splits", "head_only", "contrast")
    assert own.mean + own.half < 0
    before = gap("falling", "differential", "none")
    assert before.mean + before.half < -0.05
    for shift in lesson_7.INPUT_SHIFTS:
        assert gap("falling", "differential", shift).mean > before.mean + 0.05
        assert lesson_7.regret("uniform", shift) < 0.015
