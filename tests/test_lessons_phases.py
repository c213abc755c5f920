"""Lesson 5: right answers of every kind are taken, and wrong ones get the hint that they need."""

import pytest
from lightning_nets import trainer_for
from nets import TinyNet, loader
from torch.nn import functional as F

from difflr import (
    MILESTONES_2020,
    ParametersSplitsModule,
    Phase,
    Plan,
    expand_lrs,
    from_milestones,
    make_plan,
    to_milestones,
)
from difflr.lessons import phases as lesson_5
from difflr.lessons.phases import SCHEDULE
from difflr.lessons.watch import Watch

JUNK = [None, 3, "fc", [], {}, object(), lambda *a: 1, lambda *a: "x", lambda *a: [], int]


@pytest.fixture(autouse=True)
def _new():
    lesson_5.lesson.reset()


@pytest.mark.parametrize("name", ["prediction", "in_force", "phases", "budget"])
@pytest.mark.parametrize("junk", JUNK, ids=range(len(JUNK)))
def test_junk_gets_a_verdict(name, junk):
    """No answer makes a check raise, and none of these is done."""
    verdict = getattr(lesson_5, f"check_{name}")(junk)
    assert verdict.state == "wrong"
    assert repr(verdict).endswith("Lesson 5: 0 of 4 done (5.1 ○ 5.2 ○ 5.3 ○ 5.4 ○)")


class Scheduled(ParametersSplitsModule):
    """Trains TinyNet by the lesson's dictionary."""

    milestones = SCHEDULE

    def __init__(self, milestones=SCHEDULE):
        super().__init__()
        self.model = TinyNet()
        self.milestones = milestones

    def training_step(self, batch, batch_idx):
        return F.cross_entropy(self.model(batch[0]), batch[1])

    def train_dataloader(self):
        return loader(2)


@pytest.fixture(scope="module")
def watched():
    """What a real fit by the lesson's dictionary does."""
    watch = Watch()
    trainer_for(watch, epochs=6).fit(Scheduled())
    return watch


def test_the_right_prediction_is_what_a_fit_does(watched):
    """Frozen in an epoch is what does not move in it."""
    frozen = {epoch: watched.moved[epoch].count(False) for epoch in (1, 2, 5)}
    assert lesson_5.check_prediction(frozen).done
    assert frozen == {1: 5, 2: 3, 5: 0}


@pytest.mark.parametrize(
    ("prediction", "words"),
    [
        ({1: 1, 2: 3, 5: 6}, "splits that train"),
        ({1: 5, 2: 5, 5: 3}, "among the keys"),
        ({1: 5, 2: 4, 5: 0}, "In `current_epoch` 2"),
        ({1: 5, 2: 3, 5: ["stem"]}, "In `current_epoch` 5"),
        ({1: 5, 2: 3}, "the keys 1, 2, 5"),
    ],
)
def test_wrong_predictions_are_named(prediction, words):
    """Trainable for frozen, 0 for 1, or simply another number."""
    assert words in lesson_5.check_prediction(prediction).message


def test_a_watch_sees_learning_rates_freezing_and_moves(watched):
    """What it notes of a fit by a plan is the plan."""
    plan = from_milestones(SCHEDULE)
    assert watched.lrs == [plan.lrs(step, 2) for step in range(12)]
    assert watched.trains == [plan.phase_at(step // 2).trainable for step in range(12)]
    assert watched.moved == [plan.phase_at(epoch).trainable for epoch in range(6)]
    first, *lines = watched.table().splitlines()
    assert first.split() == ["epoch", *watched.names]
    assert [line.split()[1:] for line in lines] == [
        ["moved" if each else "-" for each in moved] for moved in watched.moved
    ]


def shifted(milestones, current_epoch):
    """The solution."""
    for first, milestone in milestones.items():
        if first <= current_epoch + 1 < first + milestone["duration"]:
            return milestone
    return None


def other_side(milestones, current_epoch):
    """Move the keys instead."""
    found = [
        m for first, m in milestones.items() if 0 <= current_epoch - (first - 1) < m["duration"]
    ]
    return found[0]


def latest(milestones, current_epoch):
    """The last key that has come."""
    return milestones[max(first for first in milestones if first <= current_epoch + 1)]


def counted(milestones, current_epoch):
    """Durations, added up; the keys are not needed."""
    for _, milestone in sorted(milestones.items()):
        current_epoch -= milestone["duration"]
        if current_epoch < 0:
            return dict(milestone)
    return {}


def by_plan(milestones, current_epoch):
    """With difflr."""
    plan = from_milestones(milestones)
    return milestones[plan.starts[plan.index_at(current_epoch)] + 1]


@pytest.mark.parametrize("in_force", [shifted, other_side, latest, counted, by_plan])
def test_every_mended_lookup_is_taken(in_force):
    """Keys or epoch moved, by order, by durations, by a plan."""
    verdict = lesson_5.check_in_force(in_force)
    assert verdict.done, verdict


def planted(milestones, current_epoch):
    """The stub."""
    for first, milestone in milestones.items():
        if first <= current_epoch < first + milestone["duration"]:
            return milestone
    return None


def in_order_of_writing(milestones, current_epoch):
    """Trusts the order of the dictionary."""
    for milestone in milestones.values():
        current_epoch -= milestone["duration"]
        if current_epoch < 0:
            return milestone
    return None


WRONG_LOOKUPS = {
    "the planted bug": (planted, "one epoch late"),
    "the recipe's": (lambda m, e: m.get(e), "one epoch late"),
    "only the first epoch": (lambda m, e: m.get(e + 1), "only in the epoch with which it begins"),
    "order of writing": (in_order_of_writing, "You trust the order"),
    "too early": (lambda m, e: shifted(m, e + 1), "In `current_epoch` 0"),
    "the key": (lambda m, e: max(k for k in m if k <= e + 1), "your function returns 1"),
    "raises": (lambda m, e: m[e], "Your code stops"),
}


@pytest.mark.parametrize(("in_force", "misconception"), WRONG_LOOKUPS.values(), ids=WRONG_LOOKUPS)
def test_typical_wrong_lookups_are_named(in_force, misconception):
    """The verdict says in which epoch which milestone was found."""
    verdict = lesson_5.check_in_force(in_force)
    assert verdict.state == "wrong"
    assert misconception in verdict.message


def test_an_empty_lookup_is_unfinished():
    """`...` as a body or as what is returned, in a function that does something else too."""
    assert lesson_5.check_in_force(lambda m, e: ...).state == "unfinished"
    assert lesson_5.check_in_force(lambda m, e: ... if m else None).state == "unfinished"


HEAD = Phase(-1, 2, [0, 0, 0, 0, 0, 1e-2])
RISING = expand_lrs(slice(1e-5, 1e-3), 6)
ALL = Phase(0, 4, RISING)


@pytest.mark.parametrize(
    "phases",
    [
        [HEAD, ALL],
        (Phase(5, 2, HEAD.lrs), Phase(-6, 4, [1e-5 * 100 ** (i / 5) for i in range(6)], 0.5)),
        Plan([HEAD, ALL], anneal="linear"),
        to_milestones(Plan([HEAD, ALL])),
        [HEAD, Phase(0, 4, [1e-5, 2.5e-5, 6.3e-5, 1.58e-4, 3.98e-4, 1e-3])],
    ],
    ids=range(5),
)
def test_every_plan_of_the_asked_phases_is_taken(phases):
    """A list of phases, a plan, a dictionary; learning rates by function or by hand."""
    verdict = lesson_5.check_phases(phases)
    assert verdict.done, verdict


WRONG_PHASES = {
    "length": ([HEAD, Phase(0, 6, RISING)], "lasts 8 epochs"),
    "the head again": ([HEAD, Phase(-1, 4, HEAD.lrs)], "still frozen"),
    "one phase": ([ALL], "head alone"),
    "only one": (ALL, "head alone"),
    "body first": ([Phase(0, 2, [*RISING[:5], 0], frozen=[5]), ALL], "head alone"),
    "falling": ([HEAD, Phase(0, 4, RISING[::-1])], "fall with depth"),
    "one rate": ([HEAD, Phase(0, 4, [1e-3] * 6)], "runs from 0.001 to 0.001"),
    "a line": (
        [HEAD, Phase(0, 4, [1e-5 + i * (1e-3 - 1e-5) / 5 for i in range(6)])],
        "the same factor",
    ),
    "head too slow": ([Phase(-1, 2, [0, 0, 0, 0, 0, 1e-3]), ALL], "head alone learns at 0.001"),
    "three": ([HEAD, Phase(0, 2, RISING), Phase(0, 2, RISING)], "has 3 phases"),
    "five splits": ([Phase(-1, 2, [0] * 4 + [1e-2]), Phase(0, 4, [1e-3] * 5)], "has 6 splits"),
    "rate of a frozen split": ([Phase(-1, 2, RISING), ALL], "Split 0 is frozen"),
    "two lengths": ([HEAD, Phase(0, 4, [1e-3] * 5)], "5 learning rates"),
    "unfinished plan": ([HEAD], "lasts 2 epochs"),
}


@pytest.mark.parametrize(("phases", "misconception"), WRONG_PHASES.values(), ids=WRONG_PHASES)
def test_typical_wrong_phases_are_named(phases, misconception):
    """Lengths, freezing, order and spacing each have their own word."""
    verdict = lesson_5.check_phases(phases)
    assert verdict.state == "wrong"
    assert misconception in verdict.message


def stages(*parts):
    """Return a plan of (freeze_to, epochs) with learning rates that rise."""
    rates = [1e-3, 2e-3, 3e-3, 4e-3, 5e-3, 6e-3]
    return Plan(
        [
            Phase(first, epochs, [rate * (i >= first % 6) for i, rate in enumerate(rates)])
            for first, epochs in parts
        ]
    )


@pytest.mark.parametrize(
    "design",
    [
        stages((-1, 3), (-3, 4), (0, 1)),
        stages((-1, 5), (-2, 2), (0, 1)),
        stages((-1, 3), (-2, 2), (-3, 1), (-5, 1), (0, 1)),
        list(stages((-1, 4), (-1, 1), (-2, 2), (0, 1)).phases),
        to_milestones(stages((-1, 4), (-3, 2), (0, 2))),
    ],
    ids=range(5),
)
def test_every_design_within_the_budget_is_taken(design):
    """Any stages in order that cost little enough, as a plan, phases or a dictionary."""
    verdict = lesson_5.check_budget(design)
    assert verdict.done, verdict


falls = Plan([Phase(-1, 4, [0] * 5 + [1e-2]), Phase(-3, 3, [0, 0, 0, 1e-3, 1e-4, 1e-3]), ALL])
WRONG_DESIGNS = {
    "too dear": (stages((-1, 1), (-3, 1), (0, 6)), "too early"),
    "even": (make_plan("gradual", 6, 8), "too early"),
    "short": (make_plan("gradual", 6, 6), "lasts 6 epochs"),
    "two stages": (stages((-1, 7), (0, 1)), "2 stages"),
    "never the stem": (stages((-1, 4), (-2, 2), (-5, 2)), "stays frozen"),
    "all at once": (
        stages(
            (0, 8),
        ),
        "head alone",
    ),
    "freezes again": (stages((-1, 4), (-3, 2), (-2, 1), (0, 1)), "Phase 3 freezes again"),
    "falling": (
        Plan([*falls.phases[:2], Phase(0, 1, RISING)]),
        "In phase 2 a split learns faster",
    ),
    "other network": (make_plan("gradual", 4, 8), "the network has 6"),
}


@pytest.mark.parametrize(("design", "misconception"), WRONG_DESIGNS.values(), ids=WRONG_DESIGNS)
def test_designs_that_miss_the_budget_are_named(design, misconception):
    """The verdict says which of the conditions is missed."""
    verdict = lesson_5.check_budget(design)
    assert verdict.state == "wrong"
    assert misconception in verdict.message


def test_the_2020_keys_count_from_1_in_truth():
    """What 5.2 rests on: difflr's fit moves in its first epoch what the dictionary has at key 1."""
    watch = Watch()
    trainer_for(watch, epochs=6).fit(Scheduled(MILESTONES_2020))
    for epoch, moved in enumerate(watch.moved):
        found = shifted(MILESTONES_2020, epoch)["freeze_to"] % 6
        assert moved == tuple(index >= found for index in range(6))
