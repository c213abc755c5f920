"""LoRA by PEFT: what trains, and LoRA+'s other rate for the B matrices."""

import copy

import pytest
import torch
from hf_zoo import ZOO

from difflr import PlanScheduler, make_plan, param_groups, report, split_model

peft = pytest.importorskip("peft", reason="tests/support/peers.sh installs it")
pytest.importorskip("transformers", reason="tests/support/peers.sh installs it")


def adapted(**options):
    """BERT with adapters, and its inputs with a label."""
    torch.manual_seed(0)
    model, inputs = ZOO["BERT"]()
    config = {"target_modules": ["query", "value"], "modules_to_save": ["classifier"], **options}
    model = peft.get_peft_model(model, peft.LoraConfig(**config)).eval()  # no dropout, to compare
    return model, {**inputs, "labels": torch.tensor([1])}


def test_lora_plus_trains_as_pefts_own_optimizer_does():
    """The same groups' rates, and the same weights after every step."""
    from peft.optimizers import create_loraplus_optimizer

    model, inputs = adapted()
    other = copy.deepcopy(model)
    splits = split_model(model)
    groups = param_groups(splits, weight_decay=0.0, lora_plus=16)
    optimizer = torch.optim.AdamW(groups)
    plan = make_plan("uniform", splits, 1, lr=1e-3, shape="constant")
    scheduler = PlanScheduler(optimizer, plan, 4)
    theirs = create_loraplus_optimizer(other, torch.optim.AdamW, lr=1e-3, loraplus_lr_ratio=16)
    for group in theirs.param_groups:  # they let vectors learn at B's rate as well
        group["params"] = [p for p in group["params"] if p.ndim > 1]
    moved = {n: p.detach().clone() for n, p in model.named_parameters()}
    vectors = [p for n, p in (*model.named_parameters(), *other.named_parameters()) if p.ndim == 1]
    for vector in vectors:
        vector.requires_grad_(False)
    for _ in range(4):
        for net, one in ((model, optimizer), (other, theirs)):
            net(**inputs).loss.backward()
            one.step(), one.zero_grad()
        scheduler.step()
        for (name, mine), (_, their) in zip(
            model.named_parameters(), other.named_parameters(), strict=True
        ):
            assert torch.allclose(mine, their, atol=1e-7), name
    moving = {n for n, p in model.named_parameters() if not torch.equal(p, moved[n])}
    assert sum("lora_B" in n for n in moving) == 8
    assert all("lora_" in n or "modules_to_save" in n for n in moving)


@pytest.mark.parametrize(
    ("targets", "stem"),
    [(["query", "value"], False), (["query", "word_embeddings"], True)],
    ids=["layers", "embeddings too"],
)
def test_the_splits_hold_what_trains(targets, stem):
    """A split per layer that has adapters; an embedding has one where it has adapters itself."""
    model, inputs = adapted(target_modules=targets)
    before = {n for n, p in model.named_parameters() if p.requires_grad}
    splits = split_model(model)
    layers = ("layer.0", "layer.1", "layer.2", "layer.3", "head")
    assert splits.names == (("stem", *layers) if stem else layers)
    assert all(any(p.requires_grad for p in split.parameters.values()) for split in splits)
    assert "held by you" in report(splits)
    plan = make_plan("gradual", splits, len(splits), lr=1e-2)
    optimizer = torch.optim.AdamW(param_groups(splits, lora_plus=16))
    scheduler = PlanScheduler(optimizer, plan, 2)
    old = {n: p.detach().clone() for n, p in model.named_parameters()}
    for _ in range(plan.epochs):
        scheduler.freeze(splits)
        for _ in range(2):
            model(**inputs).loss.backward()
            optimizer.step(), scheduler.step(), optimizer.zero_grad()
    assert {n for n, p in model.named_parameters() if not torch.equal(p, old[n])} == before
