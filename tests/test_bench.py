"""The benchmarks compare what they say they compare."""

import json
import sys
from pathlib import Path

import pytest
import torch

from difflr import make_plan, training
from difflr.backbones import load_backbone
from difflr.data import Images
from difflr.training import Classifier, fit

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def benchmarks(monkeypatch):
    """Let the scripts of the benchmarks be imported, as they import each other."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield
    for name in ("accuracy", "rivals", "timing"):
        sys.modules.pop(name, None)


def test_rivals_train_on_the_batches_that_difflr_trains_on(benchmarks, monkeypatch):
    """Pictures, order, shifts, flips and normalisation are equal bit by bit, epoch after epoch."""
    import rivals

    torch.manual_seed(0)
    images = Images(torch.randint(0, 256, (20, 3, 32, 32)).to(torch.uint8), torch.arange(20) % 2)
    backbone, seen = load_backbone("strokenet"), []
    network = backbone.build(2)
    network.register_forward_pre_hook(lambda module, args: seen.append(args[0].clone()))
    model = Classifier(
        network, make_plan("uniform", 6, 2), mean=backbone.mean, std=backbone.std, flip=True, seed=3
    )
    fit(model, images, seed=3, batch_size=8)
    batches = rivals.Batches(images, backbone, seed=3, size=8, flip=True)
    fed = [pixels for _ in range(2) for pixels, _ in batches]
    assert len(fed) == len(seen) == 2 * len(batches)
    assert all(torch.equal(one, other) for one, other in zip(fed, seen, strict=True))
    assert training.augment is rivals.augment


def test_rivals_rates_are_chosen_on_validation_pictures(benchmarks, tmp_path):
    """The rate with the best mean on validation pictures is taken, whatever it gives on the test's."""
    import accuracy

    lines = [
        {"recipe": "a.b", "options": {"lr": lr}, "epochs": 6, "measured_on": on, "accuracy": value}
        for lr, on, value in (
            (1e-3, "validation", 0.6),
            (1e-3, "validation", 0.7),
            (1e-2, "validation", 0.6),
            (1e-2, "validation", 0.8),
            (1e-3, "test", 0.9),
            (3e-3, "test", 1.0),
        )
    ]
    path = tmp_path / "runs.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    ((candidate, rates),) = accuracy.read(path).items()
    assert candidate == ("a.b", 6)
    assert accuracy.chosen(rates) == 1e-2


def test_candidates_take_turns(benchmarks):
    """Each runs once to warm up and then as often as the others, not always in the same order."""
    import timing

    calls = []
    jobs = {name: lambda name=name: calls.append(name) for name in "ab"}
    seconds = timing.alternate(jobs, rounds=2)
    assert calls == ["a", "b", "b", "a", "a", "b"]
    assert {name: len(values) for name, values in seconds.items()} == {"a": 2, "b": 2}
