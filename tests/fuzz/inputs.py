"""The generated inputs of ``attack.py``: one function per part of difflr that reads what others wrote."""

import contextlib
import copy
import gzip
import io
import json
import math
import os
import pickle
import random
import shutil
import sys
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save

from difflr import (
    DifflrError,
    LayerDecay,
    Phase,
    Plan,
    Ratio,
    expand_lrs,
    from_milestones,
    make_plan,
    to_milestones,
)
from difflr.cli.command import main
from difflr.experiments.data import load_data
from difflr.experiments.results import Results
from difflr.experiments.statedict import as_float, read_state
from difflr.recipes import RECIPES
from difflr.studies.recordings import load_recording

SHIPPED = Path(__file__).parents[2] / "difflr" / "studies" / "recordings" / "plateau.json.gz"
PLAIN = (0, 1, 2, 3, 6, -1, -2, 1e-3, 1e-2, 0.3, 25.0, None, True, False, "cos", "linear", "", "x")
ODD: tuple[Callable[[], Any], ...] = (
    lambda: 10**400,
    lambda: -(10**400),
    lambda: 10**5000,
    lambda: 2**63,
    lambda: 2**31,
    lambda: math.nan,
    lambda: math.inf,
    lambda: -0.0,
    lambda: 5e-324,
    lambda: 1e308,
    lambda: 1j,
    lambda: Fraction(1, 3),
    lambda: Decimal("0.1"),
    lambda: b"\xff",
    lambda: "\ud800",
    lambda: "\0",
    lambda: object(),
    lambda: np.float32(0.1),
    lambda: np.int64(3),
    lambda: np.bool_(True),
    lambda: np.array(3),
    lambda: np.array([1e-3, 1e-2]),
    lambda: np.zeros((2, 3)),
    lambda: np.array(["a"], dtype=object),
    lambda: np.array([]),
    lambda: torch.tensor(3),
    lambda: torch.tensor([1e-3, 1e-2, 1e-2]),
    lambda: torch.zeros(2, 3),
    lambda: torch.empty(3, device="meta"),
    lambda: torch.zeros(3).to_sparse(),
    lambda: torch.tensor(0.1, requires_grad=True),
    lambda: range(3),
    lambda: iter([1e-3, 1e-2]),
    lambda: {1, 2},
    lambda: slice(1e-4, 1e-2),
    lambda: slice(None, "x"),
    lambda: Ratio(1e-2, 10),
    lambda: LayerDecay(1e-2, 0.5),
    lambda: Path("x"),
    lambda: int,
    lambda: Phase(-1, 1, [0, 1e-3]),
)
WORDS = (
    *("", "-", "--", "0", "1", "-1", "3", "1e400", "nan", "inf", "1_0", "٣", "0x1", "9" * 5000),
    *(
        "\0",
        "\ud800",
        "\n",
        "{}",
        "%s",
        "@file",
        "~nobody",
        "nowhere",
        ".",
        "/dev/null",
        "/dev/zero",
    ),
    *("uniform", "differential:lr=3e-3:ratio=10", "gradual:lr=", "head-only", "uniform:epochs=3"),
    *(
        "uniform:splits=3",
        "lp_ft:freeze_epochs=1",
        "milestones_2020",
        ":::",
        "lr=1",
        "a=b=c",
        "...",
    ),
    *("strokes", "strokes:input_shift=nan", "strokes:speed=1", "strokenet", "resnet19", "none"),
    *(
        "imagenet",
        "embedded",
        "stages",
        "blocks",
        str(2**63),
        str(10**6),
        str(10**12),
        "32-true",
        "8",
    ),
)
OPTIONS = {
    "compare": (
        *("--recipes", "--seeds", "--epochs", "--train-size", "--image-size", "--batch-size"),
        *("--weight-decay", "--backbone", "--weights", "--data", "--splits", "--precision"),
        *("--validate", "--no-progress", "--data-dir"),
    ),
    "plan": ("--recipe", "--milestones", "--epochs", "--steps-per-epoch", "--splits"),
    "curves": ("--title",),
    "study": (
        *("--jobs", "--threads", "--image-size", "--test-size", "--only", "--quick", "--weights"),
        *("--data", "--backbone", "--source", "--precision", "--go-on-from"),
    ),
}


class Ready(BaseException):
    """The command line was fine, up to the point where training would begin."""


def value(rng: random.Random, depth: int = 0) -> Any:
    """A value of any kind, nested up to three deep."""
    kind = rng.random()
    if kind < 0.5 or depth > 2:
        return rng.choice(PLAIN)
    if kind < 0.7:
        return rng.choice(ODD)()
    several = [value(rng, depth + 1) for _ in range(rng.randrange(5))]
    if kind < 0.9:
        return rng.choice((list, tuple))(several)
    return dict(zip(rng.sample(PLAIN[:6], min(len(several), 6)), several, strict=False))


def near(rng: random.Random, old: Any) -> Any:
    """What a person or another program may write for a value: of another size, sign or type."""
    if isinstance(old, bool) or not isinstance(old, int | float):
        return rng.choice((old, str(old), [old], None))
    number = old * rng.choice((0.1, 0.5, 1, 2, 10)) + rng.choice((0, 0, 1e-3, 1))
    changes = (float, int, round, np.float32, np.int64, torch.tensor, Fraction, str, lambda n: -n)
    return rng.choice(changes)(number)


def spoilt(rng: random.Random, content: Any) -> Any:
    """A copy of a dictionary or list: one place is a little other, or up to three are anything else."""
    content = copy.deepcopy(content)
    mild = rng.random() < 0.5
    for _ in range(1 if mild else rng.randrange(1, 4)):
        node = content
        while node:
            key = rng.choice(list(node if isinstance(node, dict) else range(len(node))))
            if isinstance(node[key], dict | list) and node[key] and rng.random() < 0.8:
                node = node[key]
                continue
            change = rng.random()
            if change < 0.1 and not mild:
                del node[key]
            elif change < 0.2 and not mild and isinstance(node, dict):
                node[rng.choice(WORDS)] = node.pop(key)
            else:
                node[key] = near(rng, node[key]) if mild else value(rng)
            break
    return content


def spoilt_bytes(rng: random.Random, content: bytes) -> bytes:
    """Bytes cut, changed or doubled in places."""
    found = bytearray(content)
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(found) + 1)
        kind = rng.randrange(4)
        if kind == 0:
            del found[at : at + rng.randrange(1, 40)]
        elif kind == 1:
            found[at:at] = rng.randbytes(rng.randrange(1, 9))
        elif kind == 2 and at < len(found):
            found[at] = rng.randrange(256)
        elif kind == 3 and rng.random() < 0.2:
            del found[at:]
    return bytes(found)


def as_text(rng: random.Random, content: Any) -> bytes:
    """JSON of what a person or another program may have made of it."""
    most = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)  # another program may write numbers of any length
    try:
        text = json.dumps(content, default=repr)
    finally:
        sys.set_int_max_str_digits(most)
    encoded = text.encode(rng.choice(("utf-8",) * 8 + ("utf-16", "utf-32")), "surrogatepass")
    return spoilt_bytes(rng, encoded) if rng.random() < 0.3 else encoded


def plans(rng: random.Random, _: Path) -> None:
    """A plan of any values, from its dictionary, its constructor or a recipe."""
    kind = rng.randrange(4)
    if kind == 0:
        made = Plan.from_dict(value(rng))
    elif kind == 1:
        made = Plan.from_dict(spoilt(rng, PLAN))
    elif kind == 2:
        names = rng.sample(PHASE_NAMES, rng.randrange(4))
        options = {"freeze_to": 0, "epochs": 1, "lrs": [1e-3], **{n: value(rng) for n in names}}
        extra = rng.sample(PLAN_NAMES, rng.randrange(3))
        made = Plan([Phase(**options)], **{name: value(rng) for name in extra})
    else:
        names = rng.sample(("lr", "ratio", "factor", "count", "freeze_epochs"), rng.randrange(3))
        chosen = rng.choice(list(RECIPES))
        made = make_plan(
            chosen,
            rng.choice((6, value(rng))),
            rng.choice((6, value(rng))),
            **{n: value(rng) for n in names},
        )
    assert Plan.from_dict(made.to_dict()) == made
    made.at(rng.randrange(100), rng.choice((1, 7)))
    str(made)


PLAN = Plan([Phase(-1, 1, [0, 0, 1e-2]), Phase(0, 2, [1e-3, 2e-3, 4e-3], shape="cosine")]).to_dict()
PHASE_NAMES = (
    *("freeze_to", "epochs", "lrs", "pct_start", "div_factor", "final_div_factor", "frozen"),
    *("shape", "continues"),
)
PLAN_NAMES = ("anneal", "base_momentum", "max_momentum", "cycle_momentum", "train_bn")
MILESTONES = {
    1: {"freeze_to": -1, "duration": 1, "pct_start": 0.3, "lrs": [0, 0, 1e-2]},
    2: {"freeze_to": 0, "duration": 2, "div_factor": 10.0, "lrs": [1e-3, 1e-3, 1e-2]},
}


def milestones(rng: random.Random, _: Path) -> None:
    """A milestones dictionary; one that is taken goes there and back."""
    plan = from_milestones(spoilt(rng, MILESTONES) if rng.random() < 0.8 else value(rng))
    assert from_milestones(to_milestones(plan)).phases == plan.phases


def rates(rng: random.Random, _: Path) -> None:
    """Learning rates in any form."""
    form = rng.choice(
        (value, lambda r: Ratio(value(r), value(r)), lambda r: slice(value(r), value(r)))
    )
    assert len(expand_lrs(form(rng), 3)) == 3


RUN = {"recipe": "uniform", "seed": 0, "accuracy": 0.5, "loss": 1.0, "seconds": 1.0, "plan": PLAN}
ABOUT = {"data": {"name": "x"}, "weights": {}, "settings": {"epochs": 3}}
RUNS = [{**RUN, "trainable_share": 1.0, "seed": seed, "session": 0} for seed in range(2)]


def results(rng: random.Random, folder: Path) -> None:
    """The journal of a comparison that something has changed, in its bytes or in what they say."""
    path, journal = folder / "results.json", folder / "results.jsonl"
    journal.unlink(missing_ok=True)
    path.unlink(missing_ok=True)
    Results(path, ABOUT, {}).add(RUNS[0])
    if rng.random() < 0.5:
        journal.write_bytes(spoilt_bytes(rng, journal.read_bytes()))
    else:
        head, *lines = journal.read_bytes().splitlines(keepends=True)
        lines = [as_text(rng, spoilt(rng, json.loads(line))) + b"\n" for line in lines]
        journal.write_bytes(b"".join([head, *lines]))
    Results(path, ABOUT, {}).add(RUN)


def shipped() -> dict[str, Any]:
    """The first runs of a recording that difflr ships."""
    content = json.loads(gzip.decompress(SHIPPED.read_bytes()))
    content["runs"] = content["runs"][:2]
    used = {run["plan"] for run in content["runs"]}
    content["plans"] = {name: plan for name, plan in content["plans"].items() if name in used}
    return content


RECORDING = shipped()


def recordings(rng: random.Random, folder: Path) -> None:
    """A recording with something else in some places; packed, or not."""
    path = folder / "recording.json.gz"
    content = as_text(rng, spoilt(rng, RECORDING))
    packed = gzip.compress(content, 1) if rng.random() < 0.8 else content
    path.write_bytes(spoilt_bytes(rng, packed) if rng.random() < 0.2 else packed)
    load_recording(path)


def hostile_state(rng: random.Random) -> Any:
    """A state dict, or what somebody took for one."""
    tensors: tuple[Callable[[], Any], ...] = (
        *ODD,
        lambda: torch.randn(2, 3),
        lambda: torch.zeros(1).expand(10**9),
        lambda: torch.full((3,), math.nan),
        lambda: torch.zeros(3, dtype=torch.int8),
        lambda: torch.zeros(2, 3).to_sparse_csr(),
        lambda: torch.quantize_per_tensor(torch.zeros(3), 0.1, 0, torch.qint8),
        lambda: torch.zeros(3, dtype=torch.complex64),
        lambda: torch.zeros(0),
        lambda: torch.nn.Linear(2, 2),
    )
    state = {rng.choice(("a", "b.weight", "", 3)): rng.choice(tensors)() for _ in range(3)}
    return rng.choice(
        (state, state, state, {"state_dict": state}, list(state.values()), value(rng))
    )


def weights(rng: random.Random, folder: Path) -> None:
    """A file of weights: hostile content, or bytes that are not as they were."""
    buffer = io.BytesIO()
    suffix = rng.choice((".pt", ".safetensors"))
    good = {"a": torch.randn(2, 3), "b": torch.zeros(2)}
    if rng.random() < 0.5:
        content = save(good)
        if suffix == ".pt":
            torch.save(good, buffer, _use_new_zipfile_serialization=rng.random() < 0.7)
            content = buffer.getvalue()
        content = spoilt_bytes(rng, content)
    else:
        with contextlib.suppress(Exception):  # some of it cannot be written at all
            torch.save(
                hostile_state(rng), buffer, _use_new_zipfile_serialization=rng.random() < 0.7
            )
        content = buffer.getvalue() or pickle.dumps(good)
    path = folder / f"weights{suffix}"
    path.write_bytes(content)
    as_float(path, read_state(path))


def folders(rng: random.Random, folder: Path) -> None:
    """A folder of pictures with anything among them."""
    root = folder / "pictures"
    shutil.rmtree(root, ignore_errors=True)
    names = (
        "cat",
        "dog",
        "train/cat",
        "test/cat",
        "val/x",
        ".hidden",
        "__MACOSX",
        "a/b/c",
        "\udcff",
    )
    if rng.random() < 0.7:  # pictures that could be read, were they alone
        for number in range(16):
            place = root / names[number % 2]
            place.mkdir(parents=True, exist_ok=True)
            Image.effect_noise((8, 8), number + 1).save(place / f"good{number}.png")
    for place in rng.sample(names, rng.randrange(5)):
        (root / place).mkdir(parents=True, exist_ok=True)
        for number in range(rng.randrange(4)):
            file = (
                root / place / f"{number}{rng.choice(('.png', '.jpg', '.tif', '.gif', '.txt', ''))}"
            )
            kind = rng.randrange(7)
            if kind < 4:
                buffer = io.BytesIO()
                side = rng.choice((1, 8, 8, 8))
                form = rng.choice(("PNG", "TIFF", "GIF", "BMP"))
                Image.new(rng.choice(("L", "RGB", "P")), (side, 8)).save(buffer, form)
                content = buffer.getvalue()
                file.write_bytes(spoilt_bytes(rng, content) if kind == 3 else content)
            elif kind == 4:
                file.write_bytes(rng.randbytes(rng.randrange(30)))
            elif kind == 5:
                os.symlink(rng.choice(("nowhere", "/dev/zero", "..", str(file))), file)
            else:
                os.mkfifo(file)
    load_data(str(root), image_size=rng.choice((None, 8, 16)))


def words(rng: random.Random, option: str) -> list[str]:
    """What follows an option."""
    if option in ("--validate", "--no-progress", "--quick"):
        return []
    if option in ("--recipes", "--recipe") and rng.random() < 0.6:
        keys = rng.sample(
            ("lr", "ratio", "count", "freeze_epochs", "factor", "shape", ""), rng.randrange(3)
        )
        return [
            ":".join([rng.choice(list(RECIPES)), *(f"{key}={rng.choice(WORDS)}" for key in keys)])
        ]
    many = option in ("--recipes", "--seeds", "--splits", "--only")
    return [rng.choice(WORDS) for _ in range(rng.randrange(3) if many else 1)]


def lines(rng: random.Random, folder: Path) -> None:
    """A command with options that suit it, half suit it or do not."""
    command = rng.choice(list(OPTIONS))
    line = [command, "--out", str(folder / rng.choice(("out", "out", "out.png", "\udcff")))]
    for option in rng.sample(OPTIONS[command], min(rng.randrange(5), len(OPTIONS[command]))):
        line += [option, *words(rng, option)]
    if command == "plan":
        line += ["--backbone", rng.choice(("strokenet", rng.choice(WORDS)))]
    elif command == "study":
        line.insert(1, rng.choice(("plateau", "causes", rng.choice(WORDS))))
    if rng.random() < 0.2 or command == "curves":
        line.insert(rng.randrange(1, len(line) + 1), rng.choice(WORDS))
    said = io.StringIO()
    shutil.rmtree(folder / "out", ignore_errors=True)
    with (
        contextlib.redirect_stderr(said),
        contextlib.redirect_stdout(io.StringIO()),
        mock.patch("difflr.experiments.compare.train", side_effect=Ready),
        mock.patch("difflr.studies.running.run_study", side_effect=Ready),
        mock.patch("difflr.cli.command._save"),
        mock.patch("difflr.experiments.strokes.target_task", blank),
    ):
        try:
            status = main(line)
        except SystemExit as end:
            status = end.code
        except Ready:
            return
    if status == 2:
        raise DifflrError("refused", "")
    if status:
        raise RuntimeError(f"{line!r} ended with {status}: {said.getvalue()[-200:]}")


def blank(split: str, size: int, **_: Any) -> tuple[np.ndarray, np.ndarray]:
    """Stands for the drawings, which take a second."""
    return np.zeros((size, 3, 8, 8), np.uint8), np.arange(size) % 10


class Part(NamedTuple):
    """What is attacked, how many of the inputs it gets in proportion, and what gives it one."""

    name: str
    share: int
    give: Callable[[random.Random, Path], None]


PARTS = (
    Part("plans", 30, plans),
    Part("milestones", 15, milestones),
    Part("rates", 10, rates),
    Part("results", 12, results),
    Part("recordings", 10, recordings),
    Part("weights", 12, weights),
    Part("folders", 6, folders),
    Part("command lines", 5, lines),
)


def answer(part: Part, rng: random.Random, folder: Path) -> str:
    """Give one input and return whether it was taken or refused; any other exception is passed on."""
    try:
        part.give(rng, folder)
    except DifflrError:
        return "refused"
    return "taken"
