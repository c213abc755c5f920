"""Lesson 3: right answers of every kind are taken, and wrong ones get the hint that they need."""

import copy
from typing import ClassVar

import numpy as np
import pytest
import torch
from answers import Answers
from torch import nn

import difflr
from difflr import Ratio, Ulmfit, param_groups, split_model
from difflr.lessons import groups as lesson_3

SLICE, RATIO, ULMFIT = "slice(1e-2)", "Ratio(1e-2, 1000)", "Ulmfit(1e-2)"
RIGHT = {
    SLICE: [1e-3, 1e-3, 1e-3, 1e-2],
    RATIO: [1e-5, 1e-4, 1e-3, 1e-2],
    ULMFIT: [0.00057, 0.00148, 0.00385, 0.01],
}


RATES = {
    "rounded": RIGHT,
    "tuples": {key: tuple(lrs) for key, lrs in RIGHT.items()},
    "expanded": {
        SLICE: difflr.expand_lrs(slice(1e-2), 4),
        RATIO: difflr.expand_lrs(slice(1e-5, 1e-2), 4),
        ULMFIT: [1e-2 / 2.6**i for i in (3, 2, 1, 0)],
    },
    "arrays": {
        SLICE: np.array(RIGHT[SLICE]),
        RATIO: np.geomspace(1e-5, 1e-2, 4),
        ULMFIT: torch.tensor(RIGHT[ULMFIT]),
    },
    "scalars": {
        SLICE: [*torch.tensor([1e-3, 1e-3, 1e-3]), 1e-2],
        RATIO: [*np.float32([1e-5, 1e-4, 1e-3, 1e-2])],
        ULMFIT: (1e-2 / 2.6**i for i in (3, 2, 1, 0)),
    },
    "torch.logspace": {**RIGHT, RATIO: torch.logspace(-5, -2, 4)},
    "two digits": {**RIGHT, ULMFIT: [0.0006, 0.0015, 0.0038, 0.01]},
}
WRONG_RATES = {
    "geometric slice": ({**RIGHT, SLICE: [1e-3, 2.15e-3, 4.64e-3, 1e-2]}, "You spread"),
    "uniform slice": ({**RIGHT, SLICE: [1e-2] * 4}, "not `hi` alone"),
    "evenly spaced": ({**RIGHT, RATIO: [1e-5, 3.34e-3, 6.67e-3, 1e-2]}, "space the rates evenly"),
    "ratio per split": ({**RIGHT, RATIO: [1e-11, 1e-8, 1e-5, 1e-2]}, "once per split"),
    "2.6 in all": ({**RIGHT, ULMFIT: [1e-2 / 2.6, 0.0053, 0.00727, 1e-2]}, "for the ratio in all"),
    "2.6 once": ({**RIGHT, ULMFIT: [1e-2 / 2.6] * 3 + [1e-2]}, "divide by 2.6 once"),
    "backwards": ({**RIGHT, RATIO: [1e-2, 1e-3, 1e-4, 1e-5]}, "from deep to shallow"),
    "three": ({**RIGHT, RATIO: [1e-4, 1e-3, 1e-2]}, "has 3 learning rates"),
    "one": ({**RIGHT, SLICE: 1e-2}, "expected a list"),
    "words": ({**RIGHT, SLICE: ["1e-3"] * 4}, "expected a list"),
    "all but one at rest": ({**RIGHT, SLICE: [0, 0, 0, 1e-2]}, "freezes nothing"),
    "a third": ({**RIGHT, SLICE: [1e-2 / 3] * 3 + [1e-2]}, "tenth"),
    "slice itself": ({**RIGHT, SLICE: slice(1e-2)}, "expected a list"),
    "steep slice": ({**RIGHT, SLICE: [1e-5, 1e-4, 1e-3, 1e-2]}, "You let the rates rise"),
    "something": ({**RIGHT, SLICE: [1, 2, 3, 4]}, "something else"),
}


def grouped(small, *, name="{split}/{kind}", frozen=True, lr=None, pair=True):
    """Return a builder of groups; ``small(name, parameter)`` says what does not decay."""

    def groups(splits, lrs, weight_decay):
        found = []
        for index, split in enumerate(splits):
            rate = lr(index, lrs) if lr else lrs[index]
            kinds = {"weights": [], "vectors": []}
            for key, parameter in split.parameters.items():
                if frozen or parameter.requires_grad:
                    kinds["vectors" if small(key, parameter) else "weights"].append(parameter)
            for kind, params in kinds.items():
                label = name.format(split=split.name, kind=kind)
                decay = weight_decay if kind == "weights" else 0
                found.append({"params": params, "name": label, "lr": rate, "weight_decay": decay})
        return found

    return groups


def vector(name, parameter):
    """Tell vectors by their dimensions."""
    return parameter.ndim <= 1


def by_class(splits, lrs, weight_decay):
    """Tell norms by their class and biases by their name; leave empty groups out."""
    norms = (nn.BatchNorm2d, nn.GroupNorm)
    found = []
    for split, lr in zip(splits, lrs, strict=True):
        scales = {id(p) for m in split.modules if isinstance(m, norms) for p in m.parameters()}
        for decays in (True, False):
            params = [
                p
                for name, p in split.parameters.items()
                if (id(p) not in scales and not name.endswith("bias")) == decays
            ]
            if params:
                rest = {"lr": lr, "weight_decay": weight_decay * decays}
                found.append({"params": params, "name": split.name + "-nd" * (not decays), **rest})
    return found


def one_each(splits, lrs, weight_decay):
    """Give every parameter a group to itself."""
    return [
        {
            "params": [p],
            "name": f"{split.name}: {name}",
            "lr": lr,
            "weight_decay": weight_decay if p.ndim > 1 else 0.0,
        }
        for split, lr in zip(splits, lrs, strict=True)
        for name, p in split.parameters.items()
    ]


def lazily(kind):
    """Return a builder whose ``params`` are what ``kind`` makes of a list."""

    def groups(splits, lrs, weight_decay):
        return [
            {**group, "params": kind(group["params"])}
            for group in param_groups(splits, lrs, weight_decay=weight_decay)
        ]

    return groups


def one_tensor_each(splits, lrs, weight_decay):
    """Give a bare tensor where torch takes one."""
    return [
        {**group, "params": group["params"][0]} for group in one_each(splits, lrs, weight_decay)
    ]


def numpy_rates(splits, lrs, weight_decay):
    """Rates and decay as scalars of numpy and torch."""
    return [
        {**group, "lr": np.float32(group["lr"]), "weight_decay": np.float64(group["weight_decay"])}
        for group in param_groups(splits, lrs, weight_decay=weight_decay)
    ]


GROUPS = {
    "generators": lazily(lambda params: (p for p in params)),
    "filters": lazily(lambda params: filter(lambda p: p is not None, params)),
    "tuples": lazily(tuple),
    "single tensors": one_tensor_each,
    "a generator of groups": lambda s, lrs, wd: (g for g in one_each(s, lrs, wd)),
    "scalars": numpy_rates,
    "dimensions": grouped(vector),
    "size of a vector": grouped(lambda n, p: len(p) == p.numel()),
    "class": by_class,
    "one group per parameter": one_each,
    "difflr": lambda s, lrs, wd: param_groups(s, lrs, weight_decay=wd),
}


WRONG_GROUPS = {
    "biases only": (grouped(lambda n, p: n.endswith("bias")), "scale of a normalisation layer"),
    "norms by name": (
        grouped(lambda n, p: "bn" in n or "norm" in n or n.endswith("bias")),
        "scale of a normalisation layer",
    ),
    "norms only": (
        grouped(lambda n, p: p.ndim <= 1 and not n.endswith("bias")), "Biases should not"),
    "the other way round": (grouped(lambda n, p: p.ndim > 1), "does not decay"),
    "no decay": (lambda s, r, wd: param_groups(s, r, weight_decay=0.0), "does not decay"),
    "all decays": (lambda s, r, wd: param_groups(s, r, weight_decay=wd, decay_norm_bias=True),
                   "decays."),
    "frozen left out": (grouped(vector, frozen=False), "leave out what is frozen"),
    "head left out": (lambda s, r, wd: param_groups(s, r, weight_decay=wd)[:-1], "is in no group"),
    "backwards": (grouped(vector, lr=lambda i, lrs: lrs[::-1][i]), "from deep to shallow"),
    "one rate": (grouped(vector, lr=lambda i, lrs: lrs[-1]), "same learning rate"),
    "one name": (grouped(vector, name="{split}"), "Two groups are called"),
    "nameless split": (
        lambda s, r, wd: [{**g, "name": f"group {i}"}
                          for i, g in enumerate(param_groups(s, r, weight_decay=wd))],
        "is called",
    ),
    "no name": (lambda s, r, wd: [{"params": list(s.model.parameters()), "lr": 1, "weight_decay": wd}],
                "has no `name`"),
    "no rate": (lambda s, r, wd: [{"params": list(s.model.parameters()), "name": "all"}],
                "has no `lr`"),
    "twice": (lambda s, r, wd: [*param_groups(s, r, weight_decay=wd),
                                {"params": list(s.model.parameters()), "name": "all", "lr": 1,
                                 "weight_decay": 0}],
              "in two groups"),
    "changes the rates": (
        lambda s, r, wd: [r.reverse(), *param_groups(s, r[::-1], weight_decay=wd)][1:],
        "changes what it was given",
    ),
    "lists of parameters": (lambda s, r, wd: [list(x.parameters.values()) for x in s], "as a group"),
    "decay of the vectors' rate": (
        lambda s, r, wd: [{**g, "lr": g["lr"] * (2 if g["weight_decay"] else 1)}
                          for g in param_groups(s, r, weight_decay=wd)],
        "several learning rates",
    ),
}  # fmt: skip


RISING, FALLING = Ratio(1e-2, 100), Ratio(1e-4, 0.01)


def configured(lrs=RISING, *, keep=lambda group: True, make=torch.optim.AdamW, **how):
    """Return a function that makes an optimizer, with a part of it replaced."""

    def configure(network):
        groups = param_groups(split_model(network), lrs, **how)
        return make([group for group in groups if keep(group)])

    return configure


def dealt(rates, keep=lambda group: True):
    """Return a function that deals out rates to the groups in their order."""

    def configure(network):
        optimizer = torch.optim.AdamW(filter(keep, param_groups(split_model(network))))
        for group, lr in zip(optimizer.param_groups, rates, strict=False):
            group["lr"] = lr
        return optimizer

    return configure


def each_by_itself(network):
    """Give every tensor a group of its own."""
    return torch.optim.AdamW(
        {"params": tensor, "lr": lr}
        for split, lr in zip(split_model(network), SIX, strict=True)
        for tensor in split.parameters.values()
    )


def by_the_split_of_the_group(network):
    """Ask each group which split it belongs to; freeze, as the stub does."""
    splits = split_model(network)
    difflr.freeze_to(splits, "layer4")
    optimizer = torch.optim.AdamW(param_groups(splits), lr=1e-3)
    for group in optimizer.param_groups:
        group["lr"] = SIX[group["split"]]
    return optimizer


def by_name(network):
    """Look the rates up by the splits' names."""
    splits = split_model(network)
    by_split = dict(zip(splits.names, SIX, strict=True))
    groups = [{"params": split.parameters.values(), "lr": by_split[split.name]} for split in splits]
    return torch.optim.RMSprop(groups)


def of_another_network(network):
    """Make the optimizer from a network that nobody trains."""
    return torch.optim.AdamW(param_groups(split_model(copy.deepcopy(network)), Ratio(1e-2, 100)))


SIX = difflr.expand_lrs(Ratio(1e-2, 100), 6)
CONFIGURED = {
    "shorthand": configured(),
    "one group per split": configured(decay_norm_bias=True),
    "one group per split, dealt out": dealt([lr for lr in SIX for _ in range(2)]),
    "a ratio": configured(RISING),
    "SGD": configured(make=lambda groups: torch.optim.SGD(groups, momentum=0.9)),
    "each tensor by itself": each_by_itself,
    "by the split of the group": by_the_split_of_the_group,
    "by name": by_name,
}


def is_late(group):
    """Keep what trains at the start only."""
    return group["split"] >= 4


WRONG_CONFIGURED = {
    "as planted": (dealt(SIX, is_late), "leave out what is frozen"),
    "only the rates mended": (configured(keep=is_late), "in no group"),
    "only the groups mended": (dealt(SIX), "first six *groups* have the rates of the six"),
    "one rate": (configured(1e-2), "same learning rate"),
    "backwards": (configured(SIX[::-1]), "from deep to shallow"),
    "another ratio": (configured(Ratio(1e-2, 10)), "expected 0.0001"),
    "rate 0": (configured([0, *SIX[1:]]), "learning rate of 0, expected 0.0001"),
    "of another network": (of_another_network, "in no group"),
    "groups": (lambda n: param_groups(split_model(n), Ratio(1e-2, 100)), "expected an optimizer"),
    "with a scheduler": (
        lambda n: (o := configured()(n), torch.optim.lr_scheduler.ConstantLR(o)),
        "expected an optimizer",
    ),
    "two arguments": (lambda n, steps: configured()(n), "cannot be tried out"),
}


def design(new, bad):
    """Return an answer to the last exercise."""
    return {"new drawings": new, "bad camera": bad}


DESIGNS = {
    "ratios": design(RISING, FALLING),
    "ULMFiT": design(Ulmfit(1e-2), slice(1e-2, 1e-4)),
    "a fiftieth": design(Ratio(1e-2, 50), Ratio(1e-2 / 50, 1 / 50)),
    "slices": design(slice(1e-2 / 400, 1e-2), slice(1e-2, 1e-2 / 400)),
    "lists": design([0, 1e-4, 1e-3, 3e-3, 5e-3, 1e-2], [1e-2, 5e-3, 1e-3, 1e-4, 1e-4, 0]),
    "ULMFiT turned round": design(RISING, Ulmfit(1e-2 / 2.6**5, 1 / 2.6)),
    "arrays": design(np.geomspace(1e-4, 1e-2, 6), torch.logspace(-2, -4, 6)),
    "float32": design(np.geomspace(1e-4, 1e-2, 6, dtype=np.float32), FALLING),
    "scalars": design([*torch.logspace(-4, -2, 6)], [*np.geomspace(1e-2, 1e-4, 6)]),
    "generator": design((1e-4 * 100 ** (i / 5) for i in range(6)), FALLING),
    "a list turned round": design(RISING, difflr.expand_lrs(RISING, 6)[::-1]),
}
UP_AND_DOWN = [1e-4, 1e-3, 1e-4, 1e-3, 5e-3, 1e-2]
WRONG_DESIGNS = {
    "both falling": (design(FALLING, FALLING), "wrong way round"),
    "both rising": (design(RISING, RISING), "wrong way round"),
    "ratio of the slowest": (design(RISING, Ratio(1e-2, 0.01)), "rate of the *fastest*"),
    "too slow": (design(Ratio(1e-3, 100), FALLING), "should learn at 1e-2"),
    "one rate": (design(1e-2, FALLING), "at most at a fiftieth"),
    "a tenth": (design(slice(1e-2), FALLING), "at most at a fiftieth"),
    "a ratio of ten": (design(Ratio(1e-2, 10), FALLING), "at most at a fiftieth"),
    "steep": (design(Ratio(1e-2, 1000), FALLING), "too steeply"),
    "steep the other way": (design(RISING, slice(1e-2, 1e-5)), "too steeply"),
    "up and down": (design(UP_AND_DOWN, FALLING), "up and down"),
    "three rates": (design([1e-4, 1e-3, 1e-2], FALLING), "cannot be tried out"),
}


class TestAnswers(Answers):
    """Rates rounded or expanded; groups by dimensions or by class; any scheduler that keeps them."""

    lesson = lesson_3
    number = 3
    right: ClassVar = {
        "rates": RATES,
        "groups": GROUPS,
        "configure": CONFIGURED,
        "design": DESIGNS,
    }
    wrong: ClassVar = {
        "rates": WRONG_RATES,
        "groups": WRONG_GROUPS,
        "configure": WRONG_CONFIGURED,
        "design": WRONG_DESIGNS,
    }


def test_a_late_group_fits_no_fresh_optimizer_as_the_lesson_says():
    """A checkpoint with one group more cannot be loaded."""
    head, body = nn.Linear(2, 2), nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(head.parameters())
    optimizer.add_param_group({"params": list(body.parameters())})
    with pytest.raises(ValueError, match="different number of parameter groups"):
        torch.optim.AdamW(head.parameters()).load_state_dict(optimizer.state_dict())
