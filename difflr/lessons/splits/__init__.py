"""Lesson 1, Splits: the checks of its exercises, its self-test and its pictures."""

from typing import Any

import torch
from torch import nn

from difflr.experiments.flops import count_costs
from difflr.experiments.strokenet import StrokeNet
from difflr.lessons.checking import Lesson, Wrong, called
from difflr.lessons.plain import chosen, keyed
from difflr.lessons.quiz import Quiz
from difflr.lessons.splits.coverage import covering_or_wrong
from difflr.lessons.splits.cuts import cut_or_wrong
from difflr.lessons.splits.networks import PatchNet, WordNet
from difflr.lessons.trials import copied, moved
from difflr.splits import split_model

__all__ = ["check_budget", "check_cut", "check_groups", "check_prediction", "lesson", "quiz"]

lesson = Lesson("Lesson 1")
quiz = Quiz.read(__file__)
_PICTURE = (3, 32, 32)


@lesson.exercise("1.1", "Where do parameters and operations lie?")
def check_prediction(prediction: Any) -> str:
    """Compare a prediction ``{"parameters": split, "operations": split}`` with what is counted."""
    splits = split_model(StrokeNet(10))
    sizes, costs = [split.numel for split in splits], count_costs(splits, _PICTURE).forward
    names = ", ".join(f"`{name}`" for name in splits.names)
    said = keyed(prediction, "parameters", "operations")
    most, dearest = (splits.names[x.index(max(x))] for x in (sizes, costs))
    most_said, dearest_said = (chosen(answer, splits.names) for answer in said)
    if most_said is None or dearest_said is None:
        raise Wrong("This is not the name of a split.", f"The splits are {names}.")
    if most_said != most:
        raise Wrong(
            "The head has few rows: one for each class, and `layer4` has far more."
            if most_said == splits.names[-1]
            else f"In `{most_said}` the pictures are large. A convolution's parameters do not depend "
            "on the size of its pictures."
            if most_said in splits.names[:2]
            else f"`{most_said}` has many parameters, and not the most.",
            "A 3 × 3 convolution from a to b channels has 9ab parameters. Where are a and b largest?",
            "Every layer has twice the channels of the one before it, and so four times the parameters.",
        )
    if dearest_said != dearest:
        raise Wrong(
            "You take many parameters for much work. A convolution uses each of its parameters once "
            "for every place in the picture."
            if dearest_said == most
            else "The head is used once for a picture, and not once for every place in it."
            if dearest_said == splits.names[-1]
            else "The stem sees the largest pictures, and has few parameters for each place."
            if dearest_said == splits.names[0]
            else f"`{dearest_said}` takes {costs[splits.names.index(dearest_said)] / sum(costs):.0%} "
            "of the operations: much, and not the most.",
            "Operations = parameters × places. In `layer1` a picture has 32 × 32 places, in `layer4` 4 × 4.",
            "`layer2` to `layer4` begin by halving the picture; one of the other splits never does.",
        )
    return (
        f"{max(sizes) / sum(sizes):.0%} of the parameters are in `{most}`, but `{dearest}` takes the most "
        f"operations ({max(costs) / sum(costs):.0%})."
    )


@lesson.exercise("1.2", "Cut a network of your own")
def check_cut(cut: Any) -> str:
    """Try ``cut(network)`` on a new PatchNet: coverage, order, the head by itself, 3 to 6 splits."""
    network = PatchNet()
    before, values = _identities(network), copied(network)
    how = called(cut, network)
    if _identities(network) != before or moved(values, copied(network), [*values]):
        raise Wrong(
            "Your function changes the network. A cut only says which parameter belongs where.",
            "Assign nothing to `network`: return names, patterns or lists of its modules.",
        )
    splits = cut_or_wrong(network, how, _patchnet_depth, 3, 6)
    if {*splits[-1].parameters} != {"fc.weight", "fc.bias"}:
        raise Wrong(
            "The head shares its split with something pre-trained. A new head knows nothing and must "
            "learn fast; what is pre-trained must not.",
            "Let the last split hold `fc` and nothing else.",
        )
    return f"{len(splits)} splits, shallow to deep, and each parameter in exactly one of them."


@lesson.exercise("1.3", "Mend the parameter groups", stub="2305cb59cd5a")
def check_groups(groups: Any) -> str:
    """Train a new WordNet with ``groups(network)`` for a step: each parameter moves, exactly once."""
    network = WordNet()
    parameters = dict(network.named_parameters())
    try:
        answer = called(groups, network)
    except RuntimeError as error:
        if not any(words in str(error) for words in ("Boolean value of Tensor", "size of tensor")):
            raise
        raise Wrong(
            "You ask a list whether a tensor is in it. `in` compares with `==`, and tensors are "
            "compared element by element: that is no yes or no.",
            "Ask for identity: keep a set of `id(parameter)`.",
        ) from None
    if getattr(network, "readout", None) is None:
        raise Wrong(
            "Your function takes `readout` out of the network, which then can no longer write words.",
            "Leave the second name out of the groups, and the network as it is.",
        )
    if network.readout.weight is not network.embed.weight:
        raise Wrong(
            "Your function unties the weight: `readout.weight` and `embed.weight` are two tensors now, and "
            "what is read no longer learns from what is written. That is another network.",
            "Assign nothing to `network`. Leave the second name out of the groups instead.",
        )
    found = covering_or_wrong(parameters, answer)
    optimizer = torch.optim.SGD([{"params": group} for group in found], lr=0.1)
    before = {name: p.detach().clone() for name, p in parameters.items()}
    words = torch.arange(20).view(2, 10)
    logits = network(words[:, :-1]).flatten(0, 1)
    nn.functional.cross_entropy(logits, words[:, 1:].flatten()).backward()
    optimizer.step()
    if still := [name for name, p in parameters.items() if torch.equal(p, before[name])]:
        raise Wrong(f"`{still[0]}` does not learn.", "Is its `requires_grad` still True?")
    return f"One step of SGD with your {len(found)} groups moved all {len(before)} parameters."


@lesson.exercise("1.4", "Design a cut for a budget")
def check_budget(design: Any) -> str:
    """Count what a StrokeNet costs while only the last two splits of ``design`` train."""
    network = StrokeNet(10)
    how = called(design, network) if callable(design) else design
    splits = cut_or_wrong(network, how, _strokenet_depth, 4, 6)
    two = (len(splits) - 2, len(splits) - 1)
    share = sum(splits[i].numel for i in two) / sum(split.numel for split in splits)
    cost = count_costs(splits, _PICTURE).share(two)
    facts = f"The last two splits train {share:.0%} of the parameters for {cost:.0%} of the cost."
    if share < 0.9:
        raise Wrong(
            f"{facts} At least 90% of the parameters should train. You count splits, where the "
            "parameters count.",
            "The table above says how many parameters each layer has. `layer4` alone is too little.",
            "`layer3` and `layer4` together hold more than 90%.",
        )
    if cost > 0.65:
        raise Wrong(
            f"{facts} At most 65% of the cost is allowed. You unfreeze too early in the network: "
            "backward must then go back that far.",
            "Each layer from which you take the training away saves about 15% of the full step.",
            "Let `layer3` be the first that trains.",
        )
    return facts


def _identities(network: nn.Module) -> dict[str, tuple[int, bool]]:
    """Return which tensor each name stands for, and whether it learns."""
    return {name: (id(p), p.requires_grad) for name, p in network.named_parameters()}


def _patchnet_depth(name: str) -> int:
    first, _, rest = name.partition(".")
    if first == "blocks":
        return 1 + int(rest.partition(".")[0])
    return {"patches": 0, "position": 0, "norm": 5, "fc": 6}[first]


def _strokenet_depth(name: str) -> int:
    children = ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc")
    return children.index(name.partition(".")[0])
