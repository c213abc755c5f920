"""Lesson 2: right answers of every kind are taken, and wrong ones get the hint that they need."""

import itertools
from typing import ClassVar

import numpy as np
import pytest
import torch
from answers import Answers
from torch import nn
from torch.nn import functional as F

import difflr
from difflr.lessons import freezing as lesson_2

TRUTH = {"conv1.weight": False, "bn1.weight": False, "bn1.running_mean": True, "fc.weight": True}

WRONG_PREDICTIONS = {
    "conv1.weight": ({**TRUTH, "conv1.weight": True}, "weight decay"),
    "bn1.weight": ({**TRUTH, "bn1.weight": True}, "otherwise"),
    "bn1.running_mean": ({**TRUTH, "bn1.running_mean": False}, "buffer"),
    "fc.weight": ({**TRUTH, "fc.weight": False}, "not frozen"),
    "one entry": ({"fc.weight": True}, "the keys `fc.weight`, "),
    "a word": ({**TRUTH, "fc.weight": "moves"}, "True"),
}


def by_condition(splits, first):
    """Each of the three things follows from one condition."""
    for index, split in enumerate(splits):
        trains = index >= first
        for parameter in split.parameters.values():
            parameter.requires_grad_(trains)
            if not trains:
                parameter.grad = None
        for module in split.modules:
            if isinstance(module, nn.BatchNorm2d):
                module.train(trains)


def in_two_halves(splits, first):
    """Thaw all, then freeze; all gradients are cleared."""
    splits.model.requires_grad_(True)
    splits.model.zero_grad()
    splits.model.train()
    for split in splits[:first]:
        for parameter in split.parameters.values():
            parameter.requires_grad = False
        for module in split.modules:
            if type(module).__name__.startswith("BatchNorm"):
                module.eval()


def all_modules_asleep(splits, first):
    """Put every module of frozen splits into eval mode; what trains is woken afterwards."""
    for index, split in enumerate(splits):
        for module in split.modules:
            module.train(index >= first)
        for parameter in split.parameters.values():
            parameter.requires_grad_(index >= first)
            parameter.grad = None


FREEZES = {
    "by condition": by_condition,
    "in two halves": in_two_halves,
    "all modules": all_modules_asleep,
    "difflr": difflr.freeze_to,
    "indices": lambda s, n: difflr.set_trainable(s, range(n, len(s))),
}


def frozen_by(
    *,
    switch=True,
    clear=True,
    norms=True,
    thaw=True,
    shift=0,
    whole=False,
    module=False,
    asleep=False,
):
    """Return a way to freeze that has some of its parts wrong."""

    def freeze(splits, first):
        for index, split in enumerate(splits):
            trains = index >= first + shift
            for parameter in split.parameters.values():
                if switch and (thaw or not trains):
                    parameter.requires_grad_(trains)
                if clear and not trains:
                    parameter.grad = None
            for each in split.modules:
                if module:
                    each.requires_grad = trains
                if norms and isinstance(each, nn.BatchNorm2d):
                    each.train(trains)
            for each in split.modules:
                if asleep and isinstance(each, nn.BatchNorm2d):
                    each.eval()
        if whole:
            splits.model.eval()

    return freeze


WRONG_FREEZES = {
    "switch on modules": (frozen_by(switch=False, module=True), "on a module"),
    "no switch": (frozen_by(switch=False), "split 0 should be frozen"),
    "one too few": (frozen_by(shift=-1), "split 2 should be frozen"),
    "one too many": (frozen_by(shift=1), "split 3 should train"),
    "no norms": (frozen_by(norms=False), "BatchNorm trap"),
    "whole network asleep": (frozen_by(whole=True), "which trains, are in eval mode"),
    "stale gradients": (frozen_by(clear=False), "moved it all the same"),
    "never thaws": (frozen_by(thaw=False), "able to thaw"),
    "never woken": (frozen_by(asleep=True), "which trains, are in eval mode"),
    "only the switch": (lambda s, n: [p.requires_grad_(i >= n) for i, split in enumerate(s)
                                      for p in split.parameters.values()], "BatchNorm trap"),
}  # fmt: skip


def trained(prepare, begin, epochs=2):
    """Return a training loop: ``prepare`` makes the optimizer, ``begin`` opens each epoch."""

    def train_top(network, batches):
        splits = difflr.split_model(network)
        optimizer = prepare(network, splits)
        for epoch in range(epochs):
            optimizer = begin(network, splits, epoch, optimizer) or optimizer
            for images, labels in batches:
                optimizer.zero_grad()
                F.cross_entropy(network(images), labels).backward()
                optimizer.step()

    return train_top


def of_all(network, splits):
    """Give the optimizer everything."""
    return torch.optim.AdamW(network.parameters(), lr=1e-2)


def of_head(network, splits):
    """Give the optimizer what trains now: the head."""
    difflr.freeze_to(splits, "head")
    return torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=1e-2)


def in_order(network, splits, epoch, optimizer):
    """Train mode first, then freeze."""
    network.train()
    difflr.freeze_to(splits, -1 - epoch)


def by_hand(network, splits, epoch, optimizer):
    """Everything asleep but what trains."""
    network.eval().requires_grad_(False)
    for part in (network.fc, network.layer4)[: epoch + 1]:
        part.train().requires_grad_(True)


def new_optimizer(network, splits, epoch, optimizer):
    """Make the optimizer anew for what trains."""
    in_order(network, splits, epoch, optimizer)
    return torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)


def add_group(network, splits, epoch, optimizer):
    """Give the optimizer what has been thawed."""
    in_order(network, splits, epoch, optimizer)
    if epoch == 1:
        optimizer.add_param_group({"params": list(network.layer4.parameters())})


def by_hand_loop(*, once=False, zero="before", step=True, lr=1e-2, reach=iter):
    """Return a loop of a learner's own making, all parameters in one optimizer."""

    def train_top(network, batches):
        splits = difflr.split_model(network)
        optimizer = torch.optim.SGD(network.parameters(), lr=lr, momentum=0.9)
        seen = list(batches) if once else None
        for epoch in range(2):
            network.train()
            difflr.freeze_to(splits, -1 - epoch)
            for images, labels in reach(seen or batches):
                if zero == "before":
                    optimizer.zero_grad()
                loss = F.cross_entropy(network(images), labels)
                if zero == "none of it":
                    network.zero_grad(set_to_none=False)
                loss.backward()
                if step:
                    optimizer.step()
                if zero == "after":
                    optimizer.zero_grad()

    return train_top


def by_next(batches):
    """Fetch a batch at a time."""
    each = iter(batches)
    while (batch := next(each, None)) is not None:
        yield batch


def counts_right(network, batches):
    """Look at the accuracy after each epoch, too."""
    splits = difflr.split_model(network)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    for epoch in range(2):
        network.train()
        difflr.freeze_to(splits, -1 - epoch)
        for images, labels in batches:
            optimizer.zero_grad()
            F.cross_entropy(network(images), labels).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 0.1)
            optimizer.step()
        network.eval()
        with torch.no_grad():
            for images, _ in batches:
                network(images)


LOOPS = {
    "a list of the batches": by_hand_loop(reach=list),
    "one list for both epochs": by_hand_loop(once=True),
    "next": by_hand_loop(reach=by_next),
    "range": by_hand_loop(once=True, reach=lambda seen: (seen[i] for i in range(len(seen)))),
    "cleared after the step": by_hand_loop(zero="after"),
    "the network's gradients": by_hand_loop(zero="none of it"),
    "enumerate": by_hand_loop(reach=lambda batches: (b for _, b in enumerate(batches))),
    "evaluates, clips": counts_right,
    "all parameters": trained(of_all, in_order),
    "by hand": trained(of_all, by_hand),
    "new optimizer": trained(of_head, new_optimizer),
    "added group": trained(of_head, add_group),
    "groups of difflr": trained(
        lambda n, s: torch.optim.AdamW(difflr.param_groups(s, 1e-2)), in_order
    ),
}


def planted(network, splits, epoch, optimizer):
    """Freeze, then wake everything: the mistake of the exercise."""
    difflr.freeze_to(splits, -1 - epoch)
    network.train()


def never_awake(network, splits, epoch, optimizer):
    """Forget train mode altogether."""
    difflr.freeze_to(splits, -1 - epoch)


def too_soon(network, splits, epoch, optimizer):
    """Train layer4 from the first epoch on."""
    network.train()
    difflr.freeze_to(splits, -2)


WRONG_LOOPS = {
    "as planted": (trained(of_head, planted), "woke a frozen BatchNorm"),
    "only train() mended": (trained(of_head, in_order), "its parameters do not move"),
    "only the optimizer mended": (trained(of_all, planted), "woke a frozen BatchNorm"),
    "train() left out": (trained(of_all, never_awake), "are in eval mode"),
    "thawed too soon": (trained(of_all, too_soon), "should be frozen in epoch 1"),
    "one epoch": (trained(of_all, in_order, epochs=1), "3 training steps"),
    "three epochs": (trained(of_all, in_order, epochs=3), "9 training steps"),
    "gradients never cleared": (by_hand_loop(zero="never"), "gradients of earlier batches"),
    "a rate of 0": (by_hand_loop(lr=0.0), "learning rate of 0"),
    "no step": (by_hand_loop(step=False), "no optimizer takes a step"),
    "no epoch": (trained(of_all, in_order, epochs=0), "0 training steps"),
}


SCHEDULES = {
    "three phases": [(-1, 4), (-2, 2), (0, 2)],
    "the second longer": [(-1, 3), (-2, 3), (0, 2)],
    "indices from the front": ((5, 4), (4, 2), (0, 2)),
    "names": [["head", 4], ["layer4", 2], ["stem", 2]],
    "the head twice": [(-1, 2), (-1, 2), (-2, 2), (-6, 2)],
    "an array": np.array([(-1, 4), (-2, 2), (0, 2)]),
    "a tensor": torch.tensor([(-1, 4), (-2, 2), (0, 2)]),
    "zip": zip((-1, -2, 0), (4, 2, 2), strict=True),
    "whole numbers as floats": np.array([(-1, 4), (-2, 2), (0, 2)], float),
    "a list of arrays": [np.array([-1, 4]), np.array([-2, 2]), np.array([0, 2])],
    "items": {-1: 4, -2: 2, 0: 2}.items(),
    "four phases": [(-1, 4), (-2, 1), (-3, 1), (0, 2)],
}
WRONG_SCHEDULES = {
    "split by split": ([(-1, 1), (-2, 1), (-3, 1), (-4, 1), (-5, 1), (0, 3)], "At most 60%"),
    "two epochs each": ([(-1, 2), (-2, 2), (-3, 2), (0, 2)], "At most 60%"),
    "everything": ([(0, 8)], "At most 60%"),
    "the head alone": ([(-1, 8)], "the stem trains for 0"),
    "the stem once": ([(-1, 5), (-2, 2), (0, 1)], "the stem trains for 1"),
    "layer4 too short": ([(-1, 5), (0, 3)], "`layer4` trains for 3"),
    "backwards": ([(0, 2), (-2, 2), (-1, 4)], "freezes again"),
    "six epochs": ([(-1, 4), (0, 2)], "lasts 6 epochs"),
    "nine epochs": ([(-1, 4), (-2, 2), (0, 3)], "lasts 9 epochs"),
    "half an epoch": ([(-1, 4.5), (-2, 1.5), (0, 2)], "cannot be tried out"),
    "no pairs": ([(-1, 4), 2, (0, 2)], "list of pairs"),
    "no such split": ([(-7, 4), (0, 4)], "cannot be tried out"),
}


class TestAnswers(Answers):
    """Freezing by hand in any order or with difflr; any optimizer that holds what trains."""

    lesson = lesson_2
    number = 2
    right: ClassVar = {
        "prediction": {
            "all four": TRUTH,
            "numpy": {name: np.bool_(moves) for name, moves in TRUTH.items()},
            "torch": {name: torch.tensor(moves) for name, moves in TRUTH.items()},
            "0 and 1": {name: int(moves) for name, moves in TRUTH.items()},
            "an array": dict(zip(TRUTH, np.array([*TRUTH.values()]), strict=True)),
        },
        "freeze": FREEZES,
        "training": LOOPS,
        "schedule": SCHEDULES,
    }
    wrong: ClassVar = {
        "prediction": WRONG_PREDICTIONS,
        "freeze": WRONG_FREEZES,
        "training": WRONG_LOOPS,
        "schedule": WRONG_SCHEDULES,
    }
    junk = (lambda splits, first: splits.names,)


def test_the_budget_leaves_a_choice_and_no_loophole():
    """Of all plans of three phases, those taken cost at most 60% and train each split as asked."""
    taken = 0
    for a, b in itertools.product(range(1, 7), repeat=2):
        if a + b < 8 and lesson_2.check_schedule([(-1, a), (-2, b), (0, 8 - a - b)]).done:
            taken += 1
            assert 8 - a - b == 2
            assert b >= 2
    assert taken >= 3


def test_what_the_quiz_says_of_weight_decay_is_so():
    """A gradient of zero, lr=0.1, weight_decay=0.1: one per cent less; with None, or lr=0, nothing."""
    for gradient, lr, left in (
        (torch.zeros(1), 0.1, 0.99),
        (None, 0.1, 1.0),
        (torch.ones(1), 0, 1),
    ):
        weight = nn.Parameter(torch.ones(1))
        weight.grad = gradient
        torch.optim.AdamW([weight], lr=lr, weight_decay=0.1).step()
        assert weight.item() == pytest.approx(left, abs=1e-6)
