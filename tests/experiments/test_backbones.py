"""Backbones: weights that are read, checked and never guessed; heads that are replaced."""

import math

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision import models

from difflr.errors import DifflrError
from difflr.experiments.backbones import load_backbone
from difflr.models.heads import replace_head


@pytest.fixture(scope="module")
def source():
    """A resnet18 with 7 classes, as somebody may have trained it."""
    torch.manual_seed(0)
    return models.resnet18(num_classes=7)


@pytest.fixture(params=[".safetensors", ".pt"])
def file(request, tmp_path, source):
    """The weights of ``source`` in each format that is read."""
    path = tmp_path / f"weights{request.param}"
    if request.param == ".pt":
        torch.save(source.state_dict(), path)
    else:
        save_file(source.state_dict(), path)
    return path


def test_weights_are_loaded_and_only_the_head_is_new(file, source):
    """All weights but the head's are those of the file; the head fits the new task."""
    network = load_backbone("resnet18", str(file)).build(10)
    assert network.fc.out_features == 10
    own = network.state_dict()
    for key, value in source.state_dict().items():
        if not key.startswith("fc."):
            assert torch.equal(own[key], value), key


def test_old_head_can_be_kept(file, source):
    """new_head=False gives the source network as it was, to measure what it still knows."""
    network = load_backbone("resnet18", str(file)).build(10, new_head=False)
    assert torch.equal(network.fc.weight, source.fc.weight)


def test_weights_of_another_architecture_are_refused(file):
    """Weights that do not fit are refused with an example of what is wrong."""
    with pytest.raises(DifflrError, match="not those of a resnet34"):
        load_backbone("resnet34", str(file))


def test_missing_broken_and_unsafe_weights_are_refused(tmp_path):
    """No file, a file of noise and a pickle with code in it end in one kind of error."""
    with pytest.raises(DifflrError, match="not there"):
        load_backbone("resnet18", str(tmp_path / "no.safetensors"))
    for name in ("noise.safetensors", "noise.pt"):
        (tmp_path / name).write_bytes(b"\x08" * 64)
        with pytest.raises(DifflrError, match="cannot be read"):
            load_backbone("resnet18", str(tmp_path / name))
    torch.save({"fc": Evil(tmp_path / "ran")}, tmp_path / "evil.pt")
    with pytest.raises(DifflrError, match="cannot be read"):
        load_backbone("resnet18", str(tmp_path / "evil.pt"))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_not_finite_are_refused(tmp_path, value):
    """A training that broke leaves weights which would look like a network, and are named."""
    state = load_backbone("strokenet").build(0, new_head=False).state_dict()
    state["fc.bias"] = torch.full_like(state["fc.bias"], value)
    torch.save(state, tmp_path / "broken.pt")
    with pytest.raises(DifflrError, match=r"NaN or infinity in fc\.bias"):
        load_backbone("strokenet", str(tmp_path / "broken.pt"))


def test_whole_numbers_are_no_weights(tmp_path):
    """Weights rounded to int8 would load as zeros."""
    state = load_backbone("strokenet").build(0, new_head=False).state_dict()
    state["fc.weight"] = state["fc.weight"].to(torch.int8)
    torch.save(state, tmp_path / "rounded.pt")
    with pytest.raises(DifflrError, match=r"fc\.weight holds whole numbers"):
        load_backbone("strokenet", str(tmp_path / "rounded.pt"))


class Evil:
    """An object whose unpickling would write a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (type(self.path).touch, (self.path,))


def test_unknown_backbone_is_refused():
    """A name that torchvision does not have is refused."""
    with pytest.raises(DifflrError, match="resnet19"):
        load_backbone("resnet19", "none")


def test_imagenet_weights_that_cannot_be_had_name_the_alternatives(monkeypatch):
    """Without a network there is an error with what to do, and never random weights instead."""
    monkeypatch.setattr(
        torch.hub,
        "download_url_to_file",
        lambda *a, **k: (_ for _ in ()).throw(OSError("no route")),
    )
    monkeypatch.setenv("TORCH_HOME", "/nonexistent-folder-of-a-test")
    with pytest.raises(DifflrError, match="--weights none"):
        load_backbone("resnet18", "imagenet")


@pytest.mark.parametrize(
    "name",
    ["mobilenet_v3_small", "efficientnet_b0", "vgg11", "densenet121", "swin_t", "convnext_tiny"],
)
def test_head_of_each_family_is_replaced(name):
    """The last linear layer gives as many logits as there are classes."""
    network = replace_head(models.get_model(name, weights=None), 3).eval()
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 3)


def test_network_without_linear_layer_is_refused():
    """A network that ends in a convolution says why it cannot be used."""
    with pytest.raises(DifflrError, match="no linear layer"):
        replace_head(nn.Sequential(nn.Conv2d(3, 8, 3)), 3)


def test_random_weights_differ_between_seeds_and_repeat_within():
    """weights='none' starts from what torch's seed says."""
    backbone = load_backbone("resnet18", "none")

    def first(seed):
        torch.manual_seed(seed)
        return backbone.build(10).conv1.weight

    assert torch.equal(first(1), first(1))
    assert not torch.equal(first(1), first(2))
