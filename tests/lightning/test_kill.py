"""``kill -9`` at random moments: a run that goes on in a new process is the run without a kill."""

import itertools
import json
import multiprocessing
import random
import signal
from pathlib import Path

import pytest
import torch
from kill_run import train
from lightning_nets import PLAN, Tiny, Validated, expected, fit, same_weights
from which_lightning import pl

STEPS = 5  # per epoch; the plan's phases end after steps 5, 15 and 20

pytestmark = [
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9 here"),
    pytest.mark.filterwarnings("ignore:.*callbacks used to create the checkpoint.*"),
    pytest.mark.filterwarnings("ignore:.*your dataloader is not resumable.*"),
]

# Each run is forked from a server that has imported Lightning and nothing else.
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload([pl.__name__])


def lines(diary: Path) -> list:
    """The whole lines of a run's diary: pairs of a step and what was seen in it."""
    text = diary.read_text() if diary.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def run(folder: Path, diary: Path, every=None, checkpoint=None, kill_at=None) -> None:
    """Train in a new process, which is killed once it has come to step ``kill_at``."""
    process = processes.Process(target=train, args=(folder, diary, every, checkpoint, kill_at))
    process.start()
    process.join(200)
    assert process.exitcode == (0 if kill_at is None else -signal.SIGKILL)


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint; the kill may have left an unfinished file under another name."""
    return max(folder.glob("step=*.ckpt"), key=lambda path: path.stat().st_mtime_ns, default=None)


def killed_and_resumed(folder: Path, every: int | None, kills: list[int]) -> list[int]:
    """Train with these kills, check every process's diary, and return where each began."""
    starts = []
    for number, kill_at in enumerate([*kills, None]):
        diary, checkpoint = folder / f"{number}.jsonl", last_checkpoint(folder)
        first = 0
        if checkpoint:
            first = torch.load(checkpoint, weights_only=True)["global_step"]
        run(folder, diary, every, checkpoint, kill_at)
        seen = lines(diary)
        assert [step for step, _ in seen] == list(range(first, first + len(seen)))
        wanted = json.loads(json.dumps(expected(PLAN, STEPS, first, first + len(seen))))
        assert [what for _, what in seen] == wanted, f"kills={kills}, run {number}"
        starts.append(first)
    assert starts[-1] + len(seen) == PLAN.epochs * STEPS
    return starts


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The final weights of the run that nobody killed."""
    folder = tmp_path_factory.mktemp("whole")
    run(folder, folder / "0.jsonl")
    assert len(lines(folder / "0.jsonl")) == PLAN.epochs * STEPS
    return torch.load(folder / "final.pt", weights_only=True)


def test_killed_at_random_steps_the_trace_goes_on_as_if_nothing_had_happened(tmp_path):
    """In every phase, LR, momentum, frozen splits and BN modes of each step are the plan's."""
    kills = [random.randint(*within) for within in ((2, 4), (5, 9), (10, 14), (15, 16))]
    starts = killed_and_resumed(tmp_path, every=2, kills=kills)
    assert all(now >= before for before, now in itertools.pairwise(starts))
    assert starts[-1] >= kills[-1] - 2  # it went on from the last checkpoint, not from the start


def test_killed_and_resumed_from_an_epochs_end_the_final_weights_are_bit_identical(tmp_path, whole):
    """With Lightning's usual checkpoints; a kill costs the epoch that it came in, and no bit."""
    kills = [random.randint(*within) for within in ((1, 8), (7, 13), (14, 16))]
    starts = killed_and_resumed(tmp_path, every=None, kills=kills)
    assert all(start % STEPS == 0 for start in starts)
    assert same_weights(torch.load(tmp_path / "final.pt", weights_only=True), whole)


@pytest.mark.parametrize("kind", [Tiny, Validated])
def test_a_run_resumed_at_an_epochs_last_batch_can_be_resumed_again(tmp_path, kind):
    """Lightning forgets to count the epoch that it begins there, and would train it twice."""
    keep = {"every_n_train_steps": 1, "save_top_k": -1}
    fit(kind(), pl.callbacks.ModelCheckpoint(tmp_path / "first", "{step}", **keep), max_steps=11)
    first = tmp_path / "first" / "step=10.ckpt"
    fit(
        kind(), pl.callbacks.ModelCheckpoint(tmp_path / "second", "{step}", **keep), ckpt_path=first
    )
    for step in (11, 14, 16):
        watch = fit(kind(), ckpt_path=tmp_path / "second" / f"step={step}.ckpt")
        assert watch.trace == expected(PLAN, STEPS, first=step)
