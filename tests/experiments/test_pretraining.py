"""A small vision transformer: pre-trained both ways, and taken into a study block by block."""

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from torch.nn import functional as F

from difflr.errors import DifflrError
from difflr.experiments.backbones import load_backbone
from difflr.experiments.pretraining import MaskedAutoencoder, pretrain
from difflr.experiments.smallvit import PATCH, SmallViT
from difflr.splits import split_model
from difflr.studies.declared import declare
from difflr.studies.design import Task
from difflr.studies.trial import run_trial

BLOCKS = ("stem", *(f"encoder_layer_{i}" for i in range(8)), "head")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Two classes that differ in colour and in the direction of their stripes."""
    folder = tmp_path_factory.mktemp("tree")
    numbers = np.random.default_rng(0)
    for part, count in (("train", 40), ("test", 20)):
        for label, name in enumerate(("lying", "standing")):
            home = folder / part / name
            home.mkdir(parents=True)
            for i in range(count):
                pixels = numbers.integers(0, 60, (32, 32, 3), dtype=np.uint8)
                stripes = pixels[::4] if label == 0 else pixels[:, ::4]
                stripes[..., label] += 150
                Image.fromarray(pixels).save(home / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def weights(tree, tmp_path_factory):
    """Weights that were pre-trained on the tree, and their accuracy."""
    path = tmp_path_factory.mktemp("weights") / "vit.safetensors"
    return path, pretrain(str(tree), path, epochs=5, progress=str)


def test_supervised_weights_know_their_source_and_say_how_they_were_made(weights):
    """Stripes are learned; the file loads as a backbone with its old head, and names its accuracy."""
    path, accuracy = weights
    assert accuracy > 0.9
    with safe_open(path, "pt") as file:
        assert file.metadata()["source accuracy"] == f"{accuracy:.4f}"
    start = load_backbone("small_vit", str(path))
    assert start.build(0, new_head=False).heads.head.out_features == 2
    assert start.build(5).heads.head.out_features == 5


def test_masked_weights_fill_in_what_is_hidden(tree, tmp_path):
    """After a few epochs stripes are guessed better than by the mean of each patch."""
    path = tmp_path / "mae.safetensors"
    assert pretrain(str(tree), path, masked=True, epochs=15, progress=str) < 0.97
    load_backbone("small_vit", str(path)).build(3)


def test_nothing_hidden_reaches_the_guess():
    """Of 64 patches the guess depends on 16, other ones in each picture; the error counts the other 48."""
    torch.manual_seed(0)
    learner = MaskedAutoencoder(SmallViT())
    pictures = torch.randn(3, 3, 32, 32, requires_grad=True)
    guesses = []
    learner.pixels.register_forward_hook(lambda module, args, output: guesses.append(output))
    loss = learner(pictures)
    (gradient,) = torch.autograd.grad(guesses[0].square().sum(), pictures, retain_graph=True)
    reached = F.unfold(gradient, PATCH, stride=PATCH).abs().sum(1) > 0  # (pictures, patches)
    assert reached.sum(1).tolist() == [16, 16, 16]
    assert not torch.equal(reached[0], reached[1])
    (gradient,) = torch.autograd.grad(loss, guesses[0])
    counted = gradient.abs().sum(2) > 0
    assert counted.sum(1).tolist() == [48, 48, 48]
    assert not counted[:, :16].any()


def test_a_guess_is_compared_with_the_patch_in_its_place(monkeypatch):
    """A decoder that says where a patch lies, and pixels that do: no error at the right place only."""
    torch.manual_seed(0)
    learner = MaskedAutoencoder(SmallViT())
    pictures = torch.randn(1, 3, 32, 32).expand(2, -1, -1, -1)
    right = F.unfold(pictures, PATCH, stride=PATCH).transpose(1, 2)[0]
    learner.places.data = F.layer_norm(right, right.shape[-1:])[None]  # 48 numbers for each place
    learner.narrow = torch.nn.Linear(96, 48)
    learner.unknown.data = torch.zeros(1, 1, 48)
    learner.decoder = learner.pixels = torch.nn.Identity()
    assert learner(pictures).item() == pytest.approx(0.0, abs=1e-10)
    learner.places.data = learner.places.data.flip(1)
    assert learner(pictures).item() > 1


def test_the_study_decays_from_block_to_block(tree, weights):
    """Ten splits, each at 0.65 times the rate of the next; the source is measured with the old head."""
    task = Task(
        str(tree),
        "small_vit",
        str(weights[0]),
        str(tree / "test"),
        batch_size=10,
        probes=10,
        curve=10,
    )
    study = declare("vit", task, quick=True)
    (cell,) = (c for c in study.cells if c.tags["decay"] == 0.65 and c.tags["base_lr"] == 1e-3)
    assert split_model(load_backbone("small_vit", "none").build(2), study.task.cut).names == BLOCKS
    run = run_trial(study.task, cell, 0, "test")
    (phase,) = run["plan"]["phases"]
    assert phase["lrs"] == pytest.approx([1e-3 * 0.65 ** (9 - i) for i in range(10)])
    assert len(run["displacement"]) == 10
    assert run["source_before"] == weights[1]


def test_what_cannot_be_done_is_said_before_anything_is_trained(tree, tmp_path):
    """No folder to write to, no epochs, no weights of its own."""
    with pytest.raises(DifflrError, match="folder that does not exist"):
        pretrain(str(tree), tmp_path / "no" / "vit.safetensors")
    with pytest.raises(DifflrError, match="epochs"):
        pretrain(str(tree), tmp_path / "vit.safetensors", epochs=0)
    with pytest.raises(DifflrError, match="pretraining"):
        load_backbone("small_vit")
