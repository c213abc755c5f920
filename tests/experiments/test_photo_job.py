"""The main job on photographs: crops, own cuts, sizes that fit, early errors."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import VisionTransformer

from difflr.cli.command import main
from difflr.errors import DifflrError
from difflr.experiments import needs
from difflr.experiments.augmentation import CROP_AREA, augment, random_resized_crop
from difflr.experiments.backbones import load_backbone
from difflr.experiments.compare import _check_size
from difflr.experiments.data import load_data
from difflr.experiments.settings import Settings
from difflr.experiments.training import Classifier
from difflr.figures.logged import read_logged
from difflr.recipes import make_plan


def write_tree(root, sides=(120, 96), counts=(4, 2)):
    """A folder with two classes of pictures that are not square."""
    for part, count in zip(("train", "test"), counts, strict=True):
        for label, name in enumerate(("dark", "light")):
            home = root / part / name
            home.mkdir(parents=True)
            for i in range(count):
                Image.new("RGB", sides, (60 + 120 * label + i,) * 3).save(home / f"{i}.png")
    return root


def ramps(n, side=64):
    """Pictures whose red grows to the right, green downwards; blue says which one it is."""
    line = torch.linspace(0, 255, side)
    red, green = line.expand(side, side), line[:, None].expand(side, side)
    pictures = torch.stack([red, green, torch.zeros(side, side)]).repeat(n, 1, 1, 1)
    pictures[:, 2] = torch.arange(n)[:, None, None]
    return pictures.round().to(torch.uint8)


def test_crops_hold_a_third_of_the_picture_at_least_and_lie_inside():
    """Width and height are read off the ramps: area, aspect ratio and place are what was promised."""
    seen = random_resized_crop(ramps(400), torch.Generator().manual_seed(0), flip=False).float()
    assert seen.shape == (400, 3, 64, 64)
    across = (seen[:, 0, 32, -1] - seen[:, 0, 32, 0]) / 255 * 64 / 63
    down = (seen[:, 1, -1, 32] - seen[:, 1, 0, 32]) / 255 * 64 / 63
    area = across * down
    assert area.min() > CROP_AREA - 0.05
    assert area.max() > 0.9
    assert area.mean() < 0.8
    assert (across / down).min() > 3 / 4 - 0.05
    assert (across / down).max() < 4 / 3 + 0.05
    assert len(torch.unique(seen[:, 0, 32, 0])) > 50  # places of their own
    assert torch.equal(seen[:, 2, 0, 0], ramps(400)[:, 2, 0, 0].float())  # in order


def test_half_of_the_crops_are_mirrored_and_only_where_allowed():
    """Red falls to the right in a mirrored picture; a seed gives the same crops again."""
    seen = {
        flip: random_resized_crop(ramps(400), torch.Generator().manual_seed(1), flip=flip).int()
        for flip in (True, False)
    }
    mirrored = seen[True][:, 0, 32, 0] > seen[True][:, 0, 32, -1]
    assert 160 < int(mirrored.sum()) < 240
    assert not (seen[False][:, 0, 32, 0] > seen[False][:, 0, 32, -1]).any()
    assert (seen[True][mirrored].flip(3) - seen[False][mirrored]).abs().max() <= 1
    again = random_resized_crop(ramps(400), torch.Generator().manual_seed(1), flip=True)
    assert torch.equal(again.int(), seen[True])


def test_small_pictures_are_moved_as_before_and_large_ones_of_folders_are_cropped(tmp_path):
    """Below 96 pixels a side, and for strokes, a step of training sees what it always saw."""
    root = write_tree(tmp_path)
    assert not load_data(str(root), image_size=64).crop
    assert load_data(str(root), image_size=96).crop
    assert not load_data("strokes").crop
    backbone = load_backbone("strokenet")
    plan = make_plan("uniform", 6, 1)
    pixels = ramps(8)
    for crop in (False, True):
        model = Classifier(
            backbone.build(2), plan, mean=backbone.mean, std=backbone.std, flip=True, crop=crop
        )
        seen = model.augmented(pixels, torch.Generator().manual_seed(3))
        how = random_resized_crop if crop else augment
        assert torch.equal(seen, how(pixels, torch.Generator().manual_seed(3), flip=True))


def test_a_comparison_trains_by_the_users_own_cut(tmp_path, capsys):
    """The splits that are previewed are those that are trained, logged and written down."""
    root = write_tree(tmp_path / "data", sides=(32, 32), counts=(10, 4))
    cut = ["front=conv1,bn1", "middle=...", "head=fc"]
    command = ["compare", "--data", str(root), "--backbone", "strokenet", "--epochs", "1", "--seeds", "1",
               "--recipes", "differential", "--no-progress", "--out", str(tmp_path / "out")]  # fmt: skip
    assert main([*command, "--splits", *cut]) == 0
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["settings"]["splits"] == {
        "front": ["conv1", "bn1"],
        "middle": ["..."],
        "head": ["fc"],
    }
    assert results["settings"]["train_size"] == 20
    assert results["settings"]["batch_size"] == 8
    assert len(results["runs"][0]["plan"]["phases"][0]["lrs"]) == 3
    logged = read_logged(tmp_path / "out" / "tensorboard" / "differential-0")
    assert {"lr/front", "lr/middle", "lr/head"} <= {*logged}
    plan = ["plan", "--backbone", "strokenet", "--out", str(tmp_path / "plan.png")]
    assert main([*plan, "--splits", *cut]) == 0
    assert "middle" in capsys.readouterr().out
    assert main(command) == 2  # the same folder holds no runs of another cut
    assert "splits" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("pictures", "given", "fitting"),
    [
        (42, {}, (42, 8)),
        (200, {}, (200, 16)),
        (640, {}, (640, 64)),
        (33, {}, (33, 7)),
        (57, {}, (57, 6)),
        (1, {}, (1, 1)),
        (5000, {}, (1000, 64)),
        (42, {"train_size": 9, "batch_size": 64}, (9, 64)),
    ],
)
def test_training_and_batch_size_fit_a_small_folder(tmp_path, pictures, given, fitting):
    """All pictures up to a thousand, at least ten batches an epoch; what is given stays."""
    settings = Settings.fitting(str(tmp_path), weights="none", **given).for_pictures(pictures)
    assert (settings.train_size, settings.batch_size) == fitting


EARLY = {
    "weights": ("--weights", "nowhere.pt"),
    "folder": ("--weights", "none", "--data", "nowhere"),
    "recipe": ("--weights", "none", "--recipes", "unifrom"),
    "option": ("--weights", "none", "--recipes", "uniform:lr=fast"),
    "cut": ("--weights", "none", "--splits", "a=conv1"),
    "epochs": ("--weights", "none", "--epochs", "0"),
}


@pytest.mark.parametrize("options", EARLY.values(), ids=EARLY)
def test_a_mistake_that_needs_no_torch_is_reported_before_torch_is_loaded(tmp_path, options):
    """A missing file of weights took half a minute to be reported."""
    code = (
        "import sys; from difflr.cli import main; print(main(sys.argv[1:]), 'torch' in sys.modules)"
    )
    command = ["compare", "--data", str(tmp_path), *options]
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True)
    assert done.stdout.split() == ["2", "False"], done.stderr


def test_a_size_that_the_network_does_not_take_is_named():
    """A ViT has one size; a convolutional network takes any that its strides leave something of."""
    network = VisionTransformer(32, 8, 1, 2, 16, 16, num_classes=2)
    _check_size("vit", network, 32)
    with pytest.raises(DifflrError, match=r"vit takes no pictures of 40 pixels.*--image-size"):
        _check_size("vit", network, 40)


def test_a_missing_timm_is_one_line(monkeypatch, tmp_path):
    """timm is optional: its absence is named with the remedy, by the settings and by the loader."""
    monkeypatch.setattr(needs, "find_spec", lambda name: None)
    for use in (
        lambda: Settings.fitting(str(tmp_path), backbone="timm:resnet10t", weights="none"),
        lambda: load_backbone("timm:resnet10t", "none"),
    ):
        with pytest.raises(DifflrError, match="pip install timm"):
            use()


def test_a_folder_of_tall_and_wide_pictures_is_compared_without_squashing(tmp_path):
    """A disc stays a disc: its width and its height are the same after fitting."""
    y, x = np.mgrid[:200, :300]
    disc = np.where((x - 150) ** 2 + (y - 100) ** 2 < 60**2, 250, 5).astype(np.uint8)
    root = write_tree(tmp_path)
    for pixels, name in ((disc, "wide"), (disc.T, "tall")):
        Image.fromarray(pixels).save(root / "train" / "dark" / f"{name}.png")
    data = load_data(str(root), image_size=50)
    for picture in data.train.pixels[4:6, 0] > 128:
        assert abs(int(picture.any(0).sum()) - 30) <= 1
        assert abs(int(picture.any(1).sum()) - 30) <= 1
