"""The 2020 milestones on real photographs, where ``shared`` lies beside the project."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from pytorch_lightning.loggers import TensorBoardLogger

from difflr.experiments.backbones import load_backbone
from difflr.experiments.data import load_data
from difflr.experiments.training import TrainingOptions, train
from difflr.figures.logged import read_logged
from difflr.milestones import MILESTONES_2020, from_milestones

SHARED = Path(__file__).parents[3] / "shared"
PHOTOGRAPHS = SHARED / "cifar10-jpeg"
WEIGHTS = SHARED / "weights" / "resnet18-tinyimagenet32.safetensors"


@pytest.mark.skipif(
    not (PHOTOGRAPHS.is_dir() and WEIGHTS.is_file()), reason="no shared photographs"
)
def test_logged_trace_is_the_previewed_one_and_frozen_splits_do_not_move(tmp_path, monkeypatch):
    """Six epochs of ResNet-18: what TensorBoard holds is the plan, and frozen is bit-identical."""
    from difflr.lightning import callback

    plan = from_milestones(MILESTONES_2020)
    data = load_data(str(PHOTOGRAPHS))
    images = data.train.subset(320, seed=0)
    snapshots = []
    freeze = callback.PlanCallback.on_train_epoch_start

    def snapshot(self, trainer, module):
        freeze(self, trainer, module)
        snapshots.append({k: v.clone() for k, v in module.network.state_dict().items()})

    monkeypatch.setattr(callback.PlanCallback, "on_train_epoch_start", snapshot)
    logger = TensorBoardLogger(tmp_path, name="", version="run")
    _, model = train(
        load_backbone("resnet18", str(WEIGHTS)),
        plan,
        images,
        data.test.subset(100, seed=0),
        TrainingOptions(flip=True),
        n_classes=10,
        seed=0,
        logger=logger,
    )
    snapshots.append(model.network.state_dict())

    logged = read_logged(tmp_path / "run")
    names = model.splits.names
    assert names == ("stem", "layer1", "layer2", "layer3", "layer4", "head")
    for step in range(30):
        point = plan.at(step, steps_per_epoch=5)
        for name, lr in zip(names, point.lrs, strict=True):
            assert logged[f"lr/{name}"][step] == (step, pytest.approx(lr, rel=1e-6))
            assert logged[f"momentum/{name}"][step] == (
                step,
                pytest.approx(point.momentum, rel=1e-6),
            )
    prefixes = ["conv1.|bn1.", "layer1.", "layer2.", "layer3.", "layer4.", "fc."]
    for epoch, (before, after) in enumerate(pairwise(snapshots)):
        for trains, prefix in zip(plan.phase_at(epoch).trainable, prefixes, strict=True):
            keys = [k for k in before if k.startswith(tuple(prefix.split("|")))]
            same = [torch.equal(before[k], after[k]) for k in keys]
            assert (
                all(same)
                if not trains
                else not any(s for s, k in zip(same, keys, strict=True) if k.endswith("weight"))
            ), (epoch, prefix)
