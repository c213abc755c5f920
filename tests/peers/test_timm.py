"""timm's families: cut in the order of their forward, layer decay as timm's own; its weights in a backbone.

A fifth of them, and all with ``DIFFLR_FAMILIES=all`` (``make families``); on the meta device, where nothing
is computed.
"""

import os
import subprocess
import sys

import pytest
import torch
from forward_order import check_cuts
from safetensors.torch import save_file
from works_with import families, on_meta

from difflr import DifflrError, LayerDecay, load_backbone, param_groups, replace_head, split_model
from difflr.models.matchers import matched_layers
from difflr.models.weight_decay import without_decay

timm = pytest.importorskip("timm", reason="tests/support/peers.sh installs it")
EVERY = 1 if os.environ.get("DIFFLR_FAMILIES") == "all" else 5
FAMILIES = families()


@pytest.fixture(scope="module", params=FAMILIES[::EVERY])
def model(request):
    """One model of the family, without memory for its weights."""
    return on_meta(request.param)


def test_a_family_is_cut_in_the_order_of_its_forward(model):
    """Per stage and per block, none of which holds nearly everything."""
    size = model.default_cfg["input_size"]
    check_cuts(model, lambda: model(torch.empty(1, *size, device="meta")))


def test_the_groups_of_layer_decay_are_timms_own(model):
    """The same parameters at the same share of the rate with the same weight decay, in every group."""
    from timm.optim import param_groups_layer_decay

    if matched_layers(model, coarse=False) is None:
        pytest.skip("timm has no groups by depth for this model, but guesses them")
    # timm asks the model alone; a module inside it may have tokens of its own (EdgeNeXt).
    spared = set(getattr(model, "no_weight_decay", set)()) | without_decay(model)
    theirs = param_groups_layer_decay(model, 0.05, spared, layer_decay=0.75)
    ours = param_groups(split_model(model, "blocks"), LayerDecay(1.0, 0.75), weight_decay=0.05)
    names = {id(p): n for n, p in model.named_parameters()}
    key = {n: (round(g["lr_scale"], 12), g["weight_decay"]) for g in theirs for n in held(g, names)}
    mine = {n: (round(g["lr"], 12), g["weight_decay"]) for g in ours for n in held(g, names)}
    assert {n: rate for n, (rate, _) in mine.items()} == {n: rate for n, (rate, _) in key.items()}
    # Beyond timm, norms and biases of several dimensions are spared as well.
    assert all(wd == 0 for n, (_, wd) in mine.items() if key[n][1] == 0)
    differ = [n for n in mine if mine[n] != key[n]]
    assert all(n.endswith("bias") or "norm" in n or "bn" in n for n in differ)


HUB = """
import os, sys, timm, torch
from pathlib import Path
from safetensors.torch import save_file
from difflr import DifflrError
from difflr.experiments.backbones import load_backbone
model, repo = timm.create_model("test_vit"), timm.get_pretrained_cfg("test_vit").hf_hub_id
folder = Path(os.environ["HF_HUB_CACHE"], "models--" + repo.replace("/", "--"))
(folder / "refs").mkdir(parents=True), (folder / "refs" / "main").write_text("0" * 40)
weights = folder / "snapshots" / ("0" * 40) / "model.safetensors"
weights.parent.mkdir(parents=True), save_file(model.state_dict(), weights)
backbone = load_backbone("timm:test_vit")
own, network = model.state_dict(), backbone.build(3).state_dict()
print(backbone.weights, sorted(n for n in own if not torch.equal(own[n], network[n])))
weights.write_bytes(b"damaged")
try:
    load_backbone("timm:test_vit")
except DifflrError as error:
    print(error)
"""


def test_timms_own_weights_come_from_the_hubs_cache(tmp_path):
    """Read by timm's own code, without a network: all but the new head; a damaged file is one line."""
    environment = {**os.environ, "HF_HUB_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", HUB], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr[-2000:]
    read, damaged = done.stdout.splitlines()
    assert read == "imagenet ['head.bias', 'head.weight']"
    assert "weights of timm:test_vit could not be" in damaged
    assert "--weights none" in damaged


def held(group, names) -> list[str]:
    """The names of a group's parameters."""
    return [names[id(p)] for p in group["params"]]


def test_a_model_resets_its_own_classifier():
    """Its count of classes goes with it."""
    model = replace_head(timm.create_model("test_vit", pretrained=False), 3)
    assert model.get_classifier().out_features == model.num_classes == 3


def test_a_timm_backbone_is_cut_and_starts_from_weights_of_a_file(tmp_path):
    """Its own normalisation; weights with another number of classes; a new head; splits by timm."""
    torch.manual_seed(0)
    source = timm.create_model("vit_tiny_patch16_224", num_classes=7)
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    backbone = load_backbone("timm:vit_tiny_patch16_224", str(tmp_path / "w.safetensors"))
    assert backbone.mean == (0.5, 0.5, 0.5)
    network = backbone.build(3)
    assert torch.equal(network.blocks[0].attn.qkv.weight, source.blocks[0].attn.qkv.weight)
    assert network.head.out_features == 3
    assert split_model(network).names[-1] == "head"
    with pytest.raises(DifflrError, match="not those of a timm:resnet10t"):
        load_backbone("timm:resnet10t", str(tmp_path / "w.safetensors"))
    with pytest.raises(DifflrError, match="timm:vit_tiny_patch16_224"):
        load_backbone("timm:vit_tiny_patch16_22", "none")


def test_timm_weights_that_cannot_be_had_name_the_alternatives(monkeypatch):
    """Without a network there is one line, and never random weights instead."""
    create = timm.create_model

    def offline(name, pretrained=False, **options):
        if pretrained:
            raise OSError("no route")
        return create(name, **options)

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(DifflrError, match="--weights none"):
        load_backbone("timm:resnet10t")
