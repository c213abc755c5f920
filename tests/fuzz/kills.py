"""``kill -9`` at random moments for ``attack.py``: comparisons and studies, with several writers."""

import contextlib
import json
import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

LINES = {
    "compare": (
        *("compare", "--train-size", "16", "--epochs", "2", "--seeds", "3", "--no-progress"),
        *("--backbone", "strokenet", "--weights", "embedded", "--recipes", "uniform", "head_only"),
        *("--data", "tree"),
    ),
    "study": (
        *(
            "study",
            "plateau",
            "--quick",
            "--only",
            "base_lr=1e-3",
            "ratio=1,100",
            "--test-size",
            "20",
        ),
        *("--jobs", "1", "--threads", "1", "--no-progress"),
    ),
}
JOURNALS = {"compare": "results.jsonl", "study": "plateau.jsonl"}
MOST_KILLS = 3  # of one folder, before its runs are brought to the end


def make_tree(root: Path) -> None:
    """Noise of two classes, to compare on in no time."""
    for part, several in (("train", 8), ("test", 4)):
        for number in range(2 * several):
            place = root / part / "ab"[number % 2]
            place.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng([several, number]).integers(
                0, 256, (32, 32, 3), np.uint8
            )
            Image.fromarray(pixels).save(place / f"{number}.png")


def command(line: list[str], folder: Path) -> None:
    """Run a command in a folder without a word, in a group of its own, and end with its status."""
    os.setsid()
    os.chdir(folder)
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    import torch

    from difflr.cli.command import main

    torch.set_num_threads(1)
    os._exit(main(line))


def runs(path: Path) -> list[tuple[str, Any]]:
    """What each run in a journal is, and what it found."""
    if not path.exists():
        return []
    text = path.read_bytes()
    read = [json.loads(line) for line in text[: text.rfind(b"\n") + 1].splitlines()]
    found = []
    for run in (line["run"] for line in read if "run" in line):
        key = [run["recipe"], run.get("options"), run["seed"], run.get("measured_on")]
        found.append((json.dumps(key), (run["accuracy"], run["loss"])))
    return found


class Killing:
    """Kills commands, has them repeated to the end, and counts what became of their runs.

    ``lost``: runs that a journal held and holds no more, or that are missing in the end; ``doubled``:
    runs that are there twice; ``mixed``: runs that found something else than without a kill;
    ``failed``: commands that ended with another status than they should.
    """

    def __init__(self, rng: random.Random, folder: Path) -> None:
        self.rng, self.folder = rng, folder
        self.counts: dict[str, Counter[str]] = {}
        self.context = multiprocessing.get_context("forkserver")
        # Each command is forked from a server that has imported what takes seconds.
        self.context.set_forkserver_preload(
            ["difflr.experiments.compare", "difflr.studies.running"]
        )

    def start(self, name: str, out: Path) -> Any:
        """Start a command that writes into a folder."""
        line = [*LINES[name], "--out", str(out)]
        process = self.context.Process(target=command, args=(line, self.folder))
        process.start()
        return process

    def finish(self, name: str, out: Path) -> None:
        """Run a command to its end."""
        process = self.start(name, out)
        process.join()
        self.counts[name]["failed"] += process.exitcode != 0

    def kill(self, number: int) -> None:
        """Kill so many processes, comparisons and studies by turns."""
        make_tree(self.folder / "tree")
        shares = {"compare": number - number // 2, "study": number // 2}
        for name, kills in shares.items():
            count = self.counts[name] = Counter()
            self.finish(
                name, self.folder / f"{name}-warm"
            )  # the server's imports are none of its time
            out = self.folder / f"{name}-whole"
            began = time.monotonic()
            self.finish(name, out)
            seconds = time.monotonic() - began
            whole = dict(runs(out / JOURNALS[name]))
            rounds = 0
            while count["kills"] < kills:
                rounds += 1
                self.round(name, self.folder / f"{name}-{rounds}", whole, seconds, kills)

    def round(
        self, name: str, out: Path, whole: dict[str, Any], seconds: float, kills: int
    ) -> None:
        """Kill in one folder up to ``MOST_KILLS`` times, then go on to the end and compare."""
        count, held = self.counts[name], Counter[tuple[str, Any]]()
        path = out / JOURNALS[name]
        for _ in range(min(MOST_KILLS, kills - count["kills"])):
            writers = [self.start(name, out) for _ in range(self.rng.choice((1, 2)))]
            time.sleep(self.rng.uniform(0, seconds))
            victim = self.rng.choice(writers)
            with contextlib.suppress(
                ProcessLookupError
            ):  # it has ended, or not yet begun its group
                os.killpg(victim.pid, signal.SIGKILL)
            victim.kill()
            count["kills"] += 1
            for writer in writers:
                writer.join()
                refused = 2 if name == "study" and len(writers) > 1 else 0  # a study has one writer
                count["failed"] += writer.exitcode not in (-signal.SIGKILL, 0, refused)
            now = Counter(runs(path))
            count["lost"] += (held - now).total()
            held = now
        self.finish(name, out)
        found = runs(path)
        keys = Counter(key for key, _ in found)
        count["runs"] += len(found)
        count["lost"] += len(whole.keys() - keys.keys())
        count["doubled"] += sum(times - 1 for times in keys.values())
        count["mixed"] += sum(whole.get(key) != what for key, what in found)
