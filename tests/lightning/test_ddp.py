"""Several devices: two processes under Lightning's DDP with the gloo backend."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

RUN = Path(__file__).parents[1] / "support" / "ddp_run.py"

pytestmark = pytest.mark.skipif(
    not (torch.distributed.is_available() and torch.distributed.is_gloo_available()),
    reason="this torch has no gloo",
)


def run(devices: int, strategy: str, out: Path) -> subprocess.CompletedProcess:
    """Train in processes of their own."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PL_", "LOCAL_RANK"))}
    return subprocess.run(
        [sys.executable, str(RUN), str(devices), strategy, str(out)],
        capture_output=True,
        text=True,
        timeout=180,
        env=environment,
    )


def test_two_processes_train_as_one_does(tmp_path):
    """Ranks are bit-identical after every phase, and equal to one process with the same batches."""
    one, two = tmp_path / "one.pt", tmp_path / "two.pt"
    for devices, strategy, out in ((1, "auto", one), (2, "ddp_find_unused_parameters_true", two)):
        done = run(devices, strategy, out)
        assert done.returncode == 0, done.stderr[-2000:]
    alone, together = (torch.load(path, weights_only=True) for path in (one, two))
    assert alone["steps"] == together["steps"] == 12
    torch.testing.assert_close(together["weights"], alone["weights"], rtol=0, atol=1e-6)
    # Each epoch moved something, splits that were unfrozen later included.
    assert (alone["weights"].diff(dim=0).abs().amax(1) > 1e-4).all()
    assert (alone["weights"][2, :100] != alone["weights"][1, :100]).any()
    assert torch.equal(alone["weights"][1, :100], alone["weights"][0, :100])


def test_plain_ddp_is_refused_before_training_with_the_remedy(tmp_path):
    """A strategy that would lose the gradients of unfrozen splits does not start."""
    done = run(2, "ddp", tmp_path / "never.pt")
    assert done.returncode != 0
    assert "ddp_find_unused_parameters_true" in done.stderr
    assert not (tmp_path / "never.pt").exists()
