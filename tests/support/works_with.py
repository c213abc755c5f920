"""Write docs/works-with.md: which models were cut, trained in two phases and resumed, by trying each.

``python tests/support/works_with.py`` writes the page, ``--check`` only compares it with a new run.
"""

import copy
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from forward_order import check_cuts, out_of_order
from hf_zoo import ZOO
from torch import nn

from difflr import DifflrError, Phase, Plan, PlanScheduler, param_groups, split_model

PAGE = Path(__file__).parents[2] / "docs" / "works-with.md"
TORCHVISION = ("resnet18", "mobilenet_v3_small", "shufflenet_v2_x0_5", "squeezenet1_1", "mnasnet0_5",
               "regnet_y_400mf", "efficientnet_b0")  # fmt: skip
STEPS = 2
HEAD = """# Models that were tried

Small models with random weights; each was tried by `make works-with`, which wrote this page. *Stages*
and *blocks*: the number of splits, in the order in which `forward` reaches them. *Two phases*: in the
first only the last split trained and moved, the others not by a bit; in the second every split did.
*Resumed*: stopped between the two and gone on from its state, the weights are the same to the last bit.
{families}

| model | stages | blocks | two phases | resumed |
|---|---|---|---|---|
"""
Made = tuple[nn.Module, dict[str, Any]]


def models() -> dict[str, Callable[[], Made]]:
    """Every model of the page by its name, with an input, when it is called for."""
    import timm
    import torchvision

    def image(make: Callable[[], nn.Module], name: str, size: int) -> Callable[[], Made]:
        return lambda: (make(), {name: torch.randn(2, 3, size, size)})

    found = {f"{name} (transformers)": make for name, make in ZOO.items()}
    for name in timm.list_models("test_*"):
        size = timm.get_pretrained_cfg(name).input_size[-1]
        found[f"{name} (timm)"] = image(
            lambda name=name: timm.create_model(name, num_classes=3), "x", size
        )
    for name in TORCHVISION:
        make = torchvision.models.get_model_builder(name)
        found[f"{name} (torchvision)"] = image(lambda make=make: make(num_classes=3), "x", 64)
    return found


def families() -> list[str]:
    """The first model of each of timm's families."""
    import timm

    return [timm.list_models(module=module)[0] for module in timm.list_modules()]


def on_meta(name: str) -> nn.Module:
    """A model of timm without memory for its weights."""
    import timm

    with torch.device("meta"):
        return timm.create_model(name, pretrained=False).eval()


def families_cut() -> str:
    """Try to cut a model of each of timm's families, and say how many were cut in order."""
    import timm

    names, wrong = families(), []
    for name in names:
        model = on_meta(name)
        image = torch.empty(1, *model.default_cfg["input_size"], device="meta")
        try:
            check_cuts(model, lambda model=model, image=image: model(image))
        except (AssertionError, DifflrError):
            wrong.append(name)
    cut = len(names) - len(wrong)
    return (
        f"Beyond these, one model of each of the {len(names)} families of timm {timm.__version__}, in full "
        f"size, was cut by the same command:\n{cut} in the order of `forward`, at both levels; "
        f"cut otherwise or refused: {', '.join(wrong) or 'none'}."
    )


def tensors(output: Any) -> Iterator[torch.Tensor]:
    """Every tensor of numbers in what a model returns."""
    if isinstance(output, torch.Tensor):
        if output.is_floating_point():
            yield output
    elif isinstance(output, Mapping | list | tuple):
        for entry in output.values() if isinstance(output, Mapping) else output:
            yield from tensors(entry)


class Run:
    """A model under a plan of two phases."""

    def __init__(self, model: nn.Module, inputs: dict[str, Any]) -> None:
        self.model, self.inputs, self.splits = model, inputs, split_model(model)
        n = len(self.splits)
        self.plan = Plan([Phase(-1, 1, [0] * (n - 1) + [1e-2]), Phase(0, 1, [1e-2] * n)])
        self.optimizer = torch.optim.AdamW(param_groups(self.splits))
        self.scheduler = PlanScheduler(self.optimizer, self.plan, STEPS)

    def phase(self) -> list[bool]:
        """Train one phase and return which splits have moved, where they and no others required gradients."""
        torch.manual_seed(0), np.random.seed(0)
        before = [copy.deepcopy(dict(split.parameters)) for split in self.splits]
        self.scheduler.freeze(self.splits)
        for _ in range(STEPS):
            sum(t.float().square().mean() for t in tensors(self.model(**self.inputs))).backward()
            self.optimizer.step(), self.scheduler.step(), self.optimizer.zero_grad()
        moved = [
            any(not torch.equal(p, old[name]) for name, p in split.parameters.items())
            for split, old in zip(self.splits, before, strict=True)
        ]
        awake = [any(p.requires_grad for p in split.parameters.values()) for split in self.splits]
        return moved if moved == awake else []

    def state(self) -> list[Any]:
        """All that a checkpoint holds."""
        return [one.state_dict() for one in (self.model, self.optimizer, self.scheduler)]


def row(name: str, make: Callable[[], Made]) -> str:
    """Try one model and return its line of the table."""
    torch.manual_seed(0)
    model, inputs = make()
    # Two of each, as BatchNorm needs them, and numbers that tell them apart.
    inputs = {n: torch.cat([value, value]) for n, value in inputs.items()}
    inputs = {n: torch.randn_like(v) if v.is_floating_point() else v for n, v in inputs.items()}
    cells = []
    for level in ("stages", "blocks"):
        splits = split_model(model.eval(), level)
        wrong = out_of_order(splits, lambda: model(**inputs))
        cells.append("out of order" if wrong else str(len(splits)))
    first, resumed = Run(model, inputs), Run(copy.deepcopy(model), inputs)
    alone = first.phase()
    kept = copy.deepcopy(first.state())
    everything = first.phase()
    cells.append(
        "yes" if alone == [*[False] * (len(alone) - 1), True] and all(everything) else "no"
    )
    for one, state in zip((resumed.model, resumed.optimizer, resumed.scheduler), kept, strict=True):
        one.load_state_dict(state)
    resumed.phase()
    ends = [run.model.state_dict() for run in (first, resumed)]
    cells.append("yes" if all(torch.equal(ends[0][n], ends[1][n]) for n in ends[0]) else "no")
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    """Write the page, or compare it."""
    text = HEAD.format(families=families_cut())
    for name, make in models().items():
        text += f"{row(name, make)}\n"
        print(text.splitlines()[-1], flush=True)
    if "--check" not in sys.argv:
        PAGE.write_text(text, "utf-8")
    elif PAGE.read_text("utf-8") != text:
        sys.exit(f"{PAGE} is not what this run found: write it anew with make works-with.")


if __name__ == "__main__":
    main()
