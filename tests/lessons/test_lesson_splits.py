"""Lesson 1: right answers of every kind are taken, and wrong ones get the hint that they need."""

from typing import ClassVar

import pytest
import torch
from answers import Answers
from torch import nn

import difflr
from difflr.lessons.splits import checks as lesson_1

PREDICTION = {"parameters": "layer4", "operations": "layer1"}
WRONG_PREDICTIONS = {
    "head": ({**PREDICTION, "parameters": "head"}, "not depend on the size"),
    "parameters for work": ({**PREDICTION, "operations": "layer4"}, "much work"),
    "no such split": ({**PREDICTION, "parameters": "layer5"}, "name of a split"),
    "half of it": ({"parameters": "layer4"}, "the keys"),
}


def by_module(network):
    """Cut by the modules themselves."""
    body = list(network.blocks)
    stem = [network.patches, network.position]
    return [stem, body[0], body[1], body[2], [body[3], network.norm], network.fc]


def by_parameter(network):
    """Cut by the parameters' names."""
    found = {"patches": [], "rest": [], "fc": []}
    for name, parameter in network.named_parameters():
        first = name.split(".")[0]
        kind = "patches" if first == "position" else first if first in found else "rest"
        found[kind].append(parameter)
    return list(found.values())


CUTS = {
    "modules": by_module,
    "parameters": by_parameter,
    "patterns": lambda n: {"a": ["pos*", "patches"], "b": ["blocks", "norm"], "c": "fc"},
    "position alone": lambda n: {
        "p": "position",
        "a": "patches",
        "b": ["blocks", "norm"],
        "c": "fc",
    },
    "norm alone": lambda n: {"a": ["position", "patches"], "b": "blocks", "n": "norm", "c": "fc"},
    "splits": lambda n: difflr.split_model(n, by_module(n)),
    "inside a block": lambda n: {
        "a": ["patches", "position", "blocks.0.self_attn"],
        "b": ["blocks.0.[!s]*", "blocks.[123]", "norm"],
        "c": "fc",
    },
}


def drops_position(network):
    """Get rid of the parameter that was forgotten."""
    del network._parameters["position"]
    return {"a": "patches", "b": ["blocks", "norm"], "c": "fc"}


def copies(network):
    """Hand over copies."""
    return [[nn.Parameter(p.clone()) for p in part.parameters()] for part in network.children()]


WRONG_CUTS = {
    "children": (lambda n: list(n.children()), "belongs to no layer"),
    "no norm": (
        lambda n: {"a": ["patches", "position"], "b": "blocks", "c": "fc"},
        "are in no split",
    ),
    "twice": (
        lambda n: {"a": ["patches", "position"], "b": "blocks", "d": ["blocks.3", "norm"], "c": "fc"},
        "in two splits",
    ),
    "order of __init__": (
        lambda n: {"h": "fc", "n": "norm", "b": "blocks", "s": ["patches", "position"]},
        "shallow to deep",
    ),
    "blocks swapped": (
        lambda n: {"a": ["patches", "position"], "b": "blocks.[23]", "e": ["blocks.[01]", "norm"],
                   "c": "fc"},
        "shallow to deep",
    ),
    "two": (
        lambda n: {"body": ["patches", "position", "blocks", "norm"], "c": "fc"},
        "There are 2 splits",
    ),
    "one per layer": (
        lambda n: [n.position, n.patches, *n.blocks, n.norm, n.fc],
        "There are 8 splits",
    ),
    "head not alone": (
        lambda n: {"a": ["patches", "position"], "b": "blocks", "c": ["norm", "fc"]},
        "head shares its split",
    ),
    "misspelt": (lambda n: {"a": "patchs", "b": "blocks", "c": "fc"}, "does not have"),
    "names in a list": (lambda n: ["patches", "blocks", "fc"], "does not have"),
    "changes the network": (drops_position, "changes the network"),
    "copies": (copies, "does not have"),
    "returns nothing": (lambda n: n.zero_grad(), "gives nothing back"),
}  # fmt: skip


def with_a_set(network):
    """Keep track of what was taken."""
    seen, found = set(), []
    for part in [network.embed, network.body, network.readout]:
        new = [p for p in part.parameters() if id(p) not in seen]
        seen |= {id(p) for p in new}
        if new:
            found.append(new)
    found[-1].append(network.temperature)
    return found


GROUPS = {
    "a set": with_a_set,
    "by hand": lambda n: [[n.embed.weight], list(n.body.parameters()), [n.temperature]],
    "tied weight last": lambda n: [list(n.body.parameters()), [n.readout.weight, n.temperature]],
    "dictionaries": lambda n: [
        {"params": [n.embed.weight], "lr": 1e-4},
        {"params": [*n.body.parameters(), n.temperature]},
    ],
    "generators": lambda n: [n.embed.parameters(), n.body.parameters(), n.temperature],
    "one by one": lambda n: [
        [p] for p in (n.embed.weight, n.body.weight, n.body.bias, n.temperature)
    ],
    "param_groups": lambda n: [
        group["params"]
        for group in difflr.param_groups(
            difflr.split_model(n, {"e": "embed", "b": "body", "h": "temperature"})
        )
    ],
}


def unties(network):
    """Give the readout a weight of its own before grouping."""
    network.readout.weight = nn.Parameter(network.embed.weight.detach().clone())
    return [[network.embed.weight], list(network.body.parameters()),
            [network.readout.weight, network.temperature]]  # fmt: skip


def freezes(network):
    """Group rightly, but freeze one."""
    network.temperature.requires_grad_(False)
    return with_a_set(network)


WRONG_GROUPS = {
    "the planted bug": (lambda n: [list(c.parameters()) for c in n.children()], "two names"),
    "children without the last": (
        lambda n: [list(n.embed.parameters()), list(n.body.parameters())],
        "all there is",
    ),
    "all in one": (lambda n: [list(n.parameters())], "at least two groups"),
    "an empty one": (
        lambda n: [[n.embed.weight], list(n.body.parameters()), [], [n.temperature]],
        "none empty",
    ),
    "copies": (lambda n: [[p.clone() for p in n.parameters()], [n.temperature]], "not parameters"),
    "temperature first": (
        lambda n: [[n.embed.weight], [n.temperature], list(n.body.parameters())],
        "shallow to deep",
    ),
    "another network": (unties, "not parameters"),
    "frozen": (freezes, "does not learn"),
}


FRONT = {"stem": ["conv1", "bn1"], "early": ["layer1", "layer2"]}
DESIGNS = {
    "before the head": {**FRONT, "late": ["layer3", "layer4"], "head": "fc"},
    "head with layer4": {**FRONT, "middle": "layer3", "late": ["layer4", "fc"]},
    "six": {"a": "conv1", "b": "bn1", "c": "layer1", "d": "layer2", "e": "layer3", "f": ["layer4", "fc"]},
    "inside layer3": {
        **FRONT,
        "c": "layer3.0.downsample",
        "d": ["layer3.0.conv[12]", "layer3.0.bn[12]", "layer4"],
        "head": "fc",
    },
    "modules": lambda n: [[n.conv1, n.bn1], [n.layer1, n.layer2], n.layer3, [n.layer4, n.fc]],
}  # fmt: skip


WRONG_DESIGNS = {
    "too little trains": (
        {**FRONT, "c": "layer3", "d": "layer4", "head": "fc"}, "You count splits"),
    "too dear": (
        {"a": "conv1", "b": "bn1", "c": "layer1", "d": ["layer2", "layer3", "layer4"], "h": "fc"},
        "too early",
    ),
    "bn1 forgotten": (
        {"stem": "conv1", "b": ["layer1", "layer2"], "c": ["layer3", "layer4"], "h": "fc"},
        "in no split",
    ),
    "backwards": (
        {"h": "fc", "c": "layer4", "b": ["layer3", "layer2"], "a": ["layer1", "conv1", "bn1"]},
        "shallow to deep",
    ),
    "three": (
        {"a": ["conv1", "bn1", "layer1", "layer2"], "b": ["layer3", "layer4"], "h": "fc"},
        "There are 3 splits",
    ),
}  # fmt: skip


class TestAnswers(Answers):
    """Cuts by names, patterns, modules, parameters or Splits; groups by hand or with difflr."""

    lesson = lesson_1
    number = 1
    right: ClassVar = {
        "prediction": {"both": PREDICTION},
        "cut": CUTS,
        "groups": GROUPS,
        "budget": DESIGNS,
    }
    wrong: ClassVar = {
        "prediction": WRONG_PREDICTIONS,
        "cut": WRONG_CUTS,
        "groups": WRONG_GROUPS,
        "budget": WRONG_DESIGNS,
    }


def test_the_wrong_cuts_do_harm_in_truth():
    """What lesson and hints say: a forgotten parameter stays, a doubled one is refused by torch."""
    network = lesson_1.WordNet()
    groups = [{"params": list(child.parameters())} for child in network.children()]
    with pytest.raises(ValueError, match="more than one parameter group"):
        torch.optim.SGD(groups, lr=0.1)
    optimizer = torch.optim.SGD(groups[:2], lr=0.1)
    network(torch.arange(6).view(1, 6)).square().sum().backward()
    optimizer.step()
    assert network.temperature.item() == 1.0
    assert network.temperature.grad.abs() > 0
