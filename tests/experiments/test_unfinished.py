"""A comparison that was stopped in the middle of a run goes on from the run's last whole epoch."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tqdm import tqdm

import difflr.experiments.compare as job
from difflr.cli.command import main
from difflr.experiments.settings import Settings
from difflr.experiments.training import Classifier
from difflr.figures.logged import read_logged
from difflr.written.files import holding

STEPS = 3  # per epoch, of four


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Two classes of noise."""
    root, numbers = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for part in ("train", "test"):
        for name in ("a", "b"):
            (root / part / name).mkdir(parents=True)
            for i in range(12):
                pixels = numbers.integers(0, 256, (16, 16, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / part / name / f"{i}.png")
    return root


def compare(
    tree: Path,
    out: Path,
    monkeypatch,
    stop_at: int | None = None,
    seed: int = 0,
    recipe: str = "gradual",
):
    """Run a comparison, interrupted in its batch ``stop_at``; return status, weights and batches."""
    trained, seen, step, train = [], [], Classifier.training_step, job.train

    def training_step(self, batch, batch_idx):
        if len(seen) == stop_at:
            raise KeyboardInterrupt
        seen.append(batch[0].clone())
        return step(self, batch, batch_idx)

    def spy(*args, **options):
        found = train(*args, **options)
        trained.append(found[1].state_dict())
        return found

    with monkeypatch.context() as patch:
        patch.setattr(Classifier, "training_step", training_step)
        patch.setattr(job, "train", spy)
        line = ["compare", "--data", str(tree), "--backbone", "strokenet", "--weights", "embedded"]
        line += ["--train-size", "24", "--epochs", "4", "--batch-size", "8", "--no-progress"]
        line += ["--recipes", recipe, "--seeds", f"{seed},", "--out", str(out)]
        return main(line), trained, seen


@pytest.mark.parametrize(
    ("recipe", "stop_at"),
    [
        *(("gradual", stop_at) for stop_at in (STEPS, STEPS + 2, 2 * STEPS + 1, 4 * STEPS - 1)),
        ("auto_rgn", 2 * STEPS + 1),  # its rates are measured again before it goes on
    ],
)
def test_a_stopped_run_goes_on_bit_for_bit(tree, tmp_path, monkeypatch, recipe, stop_at):
    """Weights, result, batches and curves are those of the run that nobody stopped, and drawn once."""
    _, (whole,), batches = compare(tree, tmp_path / "whole", monkeypatch, recipe=recipe)
    out = tmp_path / "stopped"
    assert compare(tree, out, monkeypatch, stop_at, recipe=recipe)[0] == 130
    kept = out / "tensorboard" / f"{recipe}-0" / "unfinished.ckpt"
    assert kept.exists()
    status, (resumed,), rest = compare(tree, out, monkeypatch, recipe=recipe)
    assert status == 0
    first = stop_at // STEPS * STEPS
    assert len(rest) == 4 * STEPS - first
    assert all(torch.equal(a, b) for a, b in zip(batches[first:], rest, strict=True))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    one, other = (
        json.loads((tmp_path / name / "results.json").read_text())["runs"][0]
        for name in ("whole", "stopped")
    )
    assert (one["accuracy"], one["loss"]) == (other["accuracy"], other["loss"])
    assert one["plan"] == other["plan"]
    one, other = (
        read_logged(tmp_path / name / "tensorboard" / f"{recipe}-0")
        for name in ("whole", "stopped")
    )
    assert one == other
    assert not list(out.rglob("unfinished*"))


@pytest.mark.parametrize("again", [1, STEPS + 1])
def test_a_run_stopped_twice_goes_on_bit_for_bit(tree, tmp_path, monkeypatch, again):
    """Stopped again before its first whole epoch, or after one, it loses nothing and draws nothing twice."""
    _, (whole,), batches = compare(tree, tmp_path / "whole", monkeypatch)
    out = tmp_path / "stopped"
    assert compare(tree, out, monkeypatch, STEPS + 1)[0] == 130
    assert compare(tree, out, monkeypatch, again)[0] == 130
    status, (resumed,), rest = compare(tree, out, monkeypatch)
    assert status == 0
    first = STEPS + again // STEPS * STEPS
    assert len(rest) == 4 * STEPS - first
    assert all(torch.equal(a, b) for a, b in zip(batches[first:], rest, strict=True))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    one, other = (
        read_logged(tmp_path / name / "tensorboard" / "gradual-0") for name in ("whole", "stopped")
    )
    assert one == other


def test_a_stopped_run_is_no_longer_held(tree, tmp_path, monkeypatch):
    """Also while its traceback is kept, as in a notebook: the same call would wait for itself."""

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(job, "train", stop)
    given = {"backbone": "strokenet", "weights": "embedded", "seeds": [0], "train_size": 24}
    with pytest.raises(KeyboardInterrupt) as kept:
        job.compare(Settings(str(tree), recipes=["uniform"], **given), tmp_path, progress=False)
    with holding(tmp_path / "tensorboard" / "uniform-0", wait=False) as ours:
        assert ours
    assert kept.tb is not None


def test_the_bar_counts_the_steps_made_before_the_stop(tree, tmp_path, monkeypatch):
    """A run that goes on fills its bar to the end."""
    bars = []

    class Bar(tqdm):
        def close(self):
            bars.append((self.n, self.total))
            super().close()

    assert compare(tree, tmp_path, monkeypatch, 2 * STEPS + 1)[0] == 130
    with monkeypatch.context() as patch:
        patch.setattr(job, "tqdm", lambda **given: Bar(**{**given, "disable": False}))
        assert compare(tree, tmp_path, monkeypatch)[0] == 0
    assert bars[0] == (4 * STEPS, 4 * STEPS)


@pytest.mark.parametrize("damage", ["torn", "another run"])
def test_what_is_not_this_run_is_begun_anew(tree, tmp_path, monkeypatch, damage):
    """A torn checkpoint, or one of another seed in its place, is deleted and its curves with it."""
    assert compare(tree, tmp_path, monkeypatch, STEPS + 1, seed=1)[0] == 130
    folder = tmp_path / "tensorboard" / "gradual-1"
    kept = folder / "unfinished.ckpt"
    if damage == "torn":
        kept.write_bytes(kept.read_bytes()[:1000])
        status, _, seen = compare(tree, tmp_path, monkeypatch, seed=1)
    else:
        folder.rename(tmp_path / "tensorboard" / "gradual-0")
        status, _, seen = compare(tree, tmp_path, monkeypatch, seed=0)
    assert status == 0
    assert len(seen) == 4 * STEPS
    (own,) = (tmp_path / "tensorboard").iterdir()
    assert len(list(own.glob("events*"))) == 1
    assert not list(own.glob("unfinished*"))
    assert [step for step, _ in read_logged(own)["lr/head"]] == list(range(4 * STEPS))
