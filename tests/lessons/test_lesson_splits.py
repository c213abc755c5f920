"""Lesson 1: right answers of every kind are taken, and wrong ones get the hint that they need."""

import itertools
from typing import ClassVar

import numpy as np
import pytest
import torch
from answers import Answers
from torch import nn

import difflr
from difflr.lessons import splits as lesson_1

PREDICTION = {"parameters": "layer4", "operations": "layer1"}
WRONG_PREDICTIONS = {
    "parameters for work": ({**PREDICTION, "operations": "layer4"}, "much work"),
    "stem for parameters": ({**PREDICTION, "parameters": "stem"}, "pictures are large"),
    "head for parameters": ({**PREDICTION, "parameters": "head"}, "few rows"),
    "stem for work": ({**PREDICTION, "operations": "stem"}, "few parameters for each place"),
    "head for work": ({**PREDICTION, "operations": "head"}, "once for a picture"),
    "layer2 for work": ({**PREDICTION, "operations": "layer2"}, "not the most"),
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
    "iterators": lambda n: iter(
        [
            itertools.chain(n.patches.parameters(), [n.position]),
            n.blocks.parameters(),
            filter(None, [n.norm]),
            n.fc.parameters(),
        ]
    ),
    "names from generators": lambda n: {
        "a": (name for name in ("patches", "position")),
        "b": map(str, ("blocks", "norm")),
        "c": iter(["fc"]),
    },
    "nested modules": lambda n: [
        [[n.patches], [n.position]],
        [n.blocks[:2]],
        [n.blocks[2:], n.norm],
        n.fc,
    ],
    "full names": lambda n: {
        "a": [name for name, _ in n.named_parameters() if name.startswith("p")],
        "b": [name for name, _ in n.named_parameters() if name.startswith(("b", "norm"))],
        "c": ["fc.weight", "fc.bias"],
    },
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


def zeroes(network):
    """Cut well, and spoil a weight."""
    torch.nn.init.zeros_(network.fc.weight)
    return by_module(network)


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
    "names in a list": (lambda n: ["patches", "blocks", "fc"], "Names belong into a dictionary"),
    "names in lists": (
        lambda n: [["patches", "position"], ["blocks", "norm"], ["fc"]],
        "Names belong into a dictionary",
    ),
    "names within lists": (
        lambda n: [["patches", ["position"]], ["blocks", "norm"], ["fc"]],
        "Names belong into a dictionary",
    ),
    "modules in a dictionary": (
        lambda n: {"a": [n.patches, n.position], "b": [n.blocks, n.norm], "c": n.fc},
        "A dictionary holds names",
    ),
    "a dictionary in a dictionary": (
        lambda n: {"a": ["patches", "position"], "b": {"blocks": "norm"}, "c": "fc"},
        "A dictionary holds names",
    ),
    "a list in a list": (
        lambda n: {"a": ["patches", ["position"]], "b": ["blocks", "norm"], "c": "fc"},
        "In split 'a' a list lies within a list",
    ),
    "zeroes a weight": (zeroes, "changes the network"),
    "freezes": (lambda n: by_module(n.requires_grad_(False)), "changes the network"),
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


def with_a_list(network):
    """Ask a list whether a tensor is in it."""
    seen = []
    for child in network.children():
        seen += [p for p in child.parameters() if p not in seen]
    return [seen, [network.temperature]]


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
    "an empty one": lambda n: [[n.embed.weight], list(n.body.parameters()), [], [n.temperature]],
    "filters": lambda n: iter(
        [filter(None.__ne__, n.embed.parameters()), n.body.parameters(), iter([n.temperature])]
    ),
    "generators in dictionaries": lambda n: (
        {"params": params}
        for params in (n.embed.weight, (p for p in n.body.parameters()), n.temperature)
    ),
    "tuples": lambda n: ((n.embed.weight,), tuple(n.body.parameters()), (n.temperature,)),
    "ParameterList": lambda n: [
        nn.ParameterList([n.embed.weight]),
        nn.ParameterList([*n.body.parameters(), n.temperature]),
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
    "only empty ones beside": (lambda n: [[], list(n.parameters())], "at least two groups"),
    "a dictionary": (
        lambda n: {"a": [n.embed.weight], "b": [*n.body.parameters(), n.temperature]},
        "is a dictionary",
    ),
    "Splits": (
        lambda n: difflr.split_model(n, {"e": "embed", "b": "body", "h": "temperature"}),
        "holds splits",
    ),
    "in a list of tensors": (with_a_list, "element by element"),
    "names": (lambda n: [["embed.weight"], ["body.weight"]], "is no parameter"),
    "copies": (lambda n: [[p.clone() for p in n.parameters()], [n.temperature]], "no parameter"),
    "temperature first": (
        lambda n: [[n.embed.weight], [n.temperature], list(n.body.parameters())],
        "shallow to deep",
    ),
    "another network": (unties, "unties"),
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
    "full names": lambda n: {
        "a": (name for name, _ in n.named_parameters() if name.startswith(("conv1", "bn1"))),
        "b": ["layer1.0", "layer2.0"], "c": "layer3.0", "d": ["layer4.0", "fc"]},
}  # fmt: skip


WRONG_DESIGNS = {
    "names in lists": (
        [["conv1", "bn1"], ["layer1", "layer2"], "layer3", ["layer4", "fc"]],
        "Names belong into a dictionary",
    ),
    "a dictionary inside": (
        {**FRONT, "late": {"a": "layer3"}, "head": ["layer4", "fc"]}, "A dictionary holds names"),

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
        "prediction": {
            "both": PREDICTION,
            "numpy": dict(zip(PREDICTION, np.array([*PREDICTION.values()]), strict=True)),
            "in capitals": {"parameters": "Layer4", "operations": " layer1"},
        },
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
