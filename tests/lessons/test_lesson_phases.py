"""Lesson 5: right answers of every kind are taken, and wrong ones get the hint that they need."""

from typing import ClassVar

import numpy as np
import pytest
import torch
from answers import Answers
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
from difflr.lessons.phases.watch import Watch


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


def test_predictions_may_come_from_numpy_or_torch():
    """Counts are counts, in whatever type they come."""
    assert lesson_5.check_prediction({1: np.int64(5), 2: torch.tensor(3), 5: 0.0}).done
    counts = dict(zip(np.array([1, 2, 5]), np.array([5, 3, 0]), strict=True))
    assert lesson_5.check_prediction(counts).done


def test_the_right_prediction_is_what_a_fit_does(watched):
    """Frozen in an epoch is what does not move in it."""
    frozen = {epoch: watched.moved[epoch].count(False) for epoch in (1, 2, 5)}
    assert lesson_5.check_prediction(frozen).done
    assert frozen == {1: 5, 2: 3, 5: 0}


WRONG_PREDICTIONS = {
    "trainable for frozen": ({1: 1, 2: 3, 5: 6}, "splits that train"),
    "0 for 1": ({1: 5, 2: 5, 5: 3}, "among the keys"),
    "freeze_to itself": ({1: -1, 2: -3, 5: 0}, "`freeze_to` itself"),
    "another number": ({1: 5, 2: 4, 5: 0}, "In `current_epoch` 2"),
    "names": ({1: 5, 2: 3, 5: ["stem"]}, "In `current_epoch` 5"),
    "an epoch left out": ({1: 5, 2: 3}, "the keys `1`, `2`, `5`"),
}


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


LOOKUPS = {
    "the epoch moved": shifted,
    "the keys moved": other_side,
    "by order": latest,
    "by durations": counted,
    "by a plan": by_plan,
}


def in_place(milestones, current_epoch):
    """Move the keys of the dictionary that was handed over."""
    for first in sorted(milestones):
        milestones[first - 1] = milestones.pop(first)
    return shifted(milestones, current_epoch - 1)


def marks_milestones(milestones, current_epoch):
    """Leave a note in the milestone that was found."""
    found = shifted(milestones, current_epoch)
    found["duration"] = int(found["duration"]) + 0
    found["seen"] = True
    return found


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
    "as it came": (planted, "one epoch late"),
    "the recipe's": (lambda m, e: m.get(e), "one epoch late"),
    "only the first epoch": (lambda m, e: m.get(e + 1), "only in the epoch with which it begins"),
    "order of writing": (in_order_of_writing, "You trust the order"),
    "too early": (lambda m, e: shifted(m, e + 1), "one epoch early"),
    "the key": (lambda m, e: max(k for k in m if k <= e + 1), "your function returns 1"),
    "moves keys in place": (in_place, "changes what it was given"),
    "leaves a note": (marks_milestones, "changes what it was given"),
    "raises": (lambda m, e: m[e], "Your code stops"),
}


def test_an_empty_lookup_is_unfinished():
    """`...` as a body or as what is returned, in a function that does something else too."""
    assert lesson_5.check_in_force(lambda m, e: ...).state == "unfinished"
    assert lesson_5.check_in_force(lambda m, e: ... if m else None).state == "unfinished"


HEAD = Phase(-1, 2, [0, 0, 0, 0, 0, 1e-2])
RISING = expand_lrs(slice(1e-5, 1e-3), 6)
ALL = Phase(0, 4, RISING)


PHASES = {
    "the solution": [HEAD, ALL],
    "by hand": (
        Phase(5, 2, HEAD.lrs),
        Phase(-6, 4, [1e-5 * 100 ** (i / 5) for i in range(6)], 0.5),
    ),
    "a plan": Plan([HEAD, ALL], anneal="linear"),
    "a dictionary": to_milestones(Plan([HEAD, ALL])),
    "arrays": [HEAD, Phase(0, 4, list(np.geomspace(1e-5, 1e-3, 6)))],
    "a tensor's numbers": [HEAD, Phase(0, 4, torch.logspace(-5, -3, 6).tolist())],
    "a generator": (phase for phase in (HEAD, ALL)),
    "values": {1: HEAD, 2: ALL}.values(),
    "rounded": [HEAD, Phase(0, 4, [1e-5, 2.5e-5, 6.3e-5, 1.58e-4, 3.98e-4, 1e-3])],
}
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


def stages(*parts):
    """Return a plan of (freeze_to, epochs) with learning rates that rise."""
    rates = [1e-3, 2e-3, 3e-3, 4e-3, 5e-3, 6e-3]
    return Plan(
        [
            Phase(first, epochs, [rate * (i >= first % 6) for i, rate in enumerate(rates)])
            for first, epochs in parts
        ]
    )


DESIGNS = {
    "three stages": stages((-1, 3), (-3, 4), (0, 1)),
    "two splits": stages((-1, 5), (-2, 2), (0, 1)),
    "five stages": stages((-1, 3), (-2, 2), (-3, 1), (-5, 1), (0, 1)),
    "phases": list(stages((-1, 4), (-1, 1), (-2, 2), (0, 1)).phases),
    "a dictionary": to_milestones(stages((-1, 4), (-3, 2), (0, 2))),
    "fewer epochs": make_plan("gradual", 6, 6),
}
falls = Plan([Phase(-1, 4, [0] * 5 + [1e-2]), Phase(-3, 3, [0, 0, 0, 1e-3, 1e-4, 1e-3]), ALL])
WRONG_DESIGNS = {
    "too dear": (stages((-1, 1), (-3, 1), (0, 6)), "too early"),
    "even": (make_plan("gradual", 6, 8), "too early"),
    "long": (stages((-1, 5), (-3, 4), (0, 1)), "lasts 10 epochs; you can afford 8"),
    "two stages": (stages((-1, 7), (0, 1)), "2 stages"),
    "never the stem": (stages((-1, 4), (-2, 2), (-5, 2)), "stays frozen"),
    "all at once": (
        stages(
            (0, 8),
        ),
        "head alone",
    ),
    "freezes again": (stages((-1, 4), (-3, 2), (-2, 1), (0, 1)), "Phase 3 freezes again"),
    "both ends first": (
        Plan(
            [
                Phase(-1, 5, [0, 0, 0, 0, 0, 1e-2]),
                Phase(0, 2, [1e-3, 0, 0, 0, 0, 1e-2], frozen=[1, 2, 3, 4]),
                Phase(0, 1, RISING),
            ]
        ),
        "with frozen ones behind",
    ),
    "falling": (
        Plan([*falls.phases[:2], Phase(0, 1, RISING)]),
        "In phase 2 a split learns faster",
    ),
    "other network": (make_plan("gradual", 4, 8), "the network has 6"),
}


class TestAnswers(Answers):
    """Lookups with keys or epoch moved, by order, by durations; phases as lists, plans, dictionaries."""

    lesson = lesson_5
    number = 5
    right: ClassVar = {
        "in_force": LOOKUPS,
        "phases": PHASES,
        "budget": DESIGNS,
    }
    wrong: ClassVar = {
        "prediction": WRONG_PREDICTIONS,
        "in_force": WRONG_LOOKUPS,
        "phases": WRONG_PHASES,
        "budget": WRONG_DESIGNS,
    }
    junk = (lambda *a: 1,)


def test_the_2020_keys_count_from_1_in_truth():
    """What 5.2 rests on: difflr's fit moves in its first epoch what the dictionary has at key 1."""
    watch = Watch()
    trainer_for(watch, epochs=6).fit(Scheduled(MILESTONES_2020))
    for epoch, moved in enumerate(watch.moved):
        found = shifted(MILESTONES_2020, epoch)["freeze_to"] % 6
        assert moved == tuple(index >= found for index in range(6))
