"""A small file never fills the memory: each is read where only a few hundred megabytes may be added."""

import gzip
import json
import subprocess
import sys
import zipfile

import pytest
import torch
from made_up import plateau

from difflr.errors import DifflrError
from difflr.experiments.strokenet import StrokeNet
from difflr.runs.journal import Journal, read_journal
from difflr.studies.recordings import load_recording
from difflr.written.files import MOST_BYTES

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts the pages of a process")

READ = """
import resource, sys
import torch
from pathlib import Path
from difflr.cli.command import _read_milestones
from difflr.errors import DifflrError
from difflr.experiments.backbones import load_backbone
from difflr.runs.journal import read_journal
from difflr.studies.recordings import load_recording
load_backbone("strokenet").build(2)
name, path, most = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
read = {"weights": lambda: load_backbone("strokenet", str(path)),
        "recording": lambda: load_recording(path), "journal": lambda: read_journal(path),
        "milestones": lambda: _read_milestones(path)}[name]
pages = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (pages + most, pages + most))
try:
    read()
except DifflrError as error:
    assert "memory" not in str(error), error
    print(error)
else:
    sys.exit("it was read")
"""


def refused(kind, path, most=300):
    """Read a file in a process that may take ``most`` more megabytes; return what it says."""
    line = [sys.executable, "-c", READ, kind, str(path), str(most * 2**20)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def compressed(path):
    """A .pt of a megabyte whose tensors take a gigabyte, by compression that torch never writes."""
    torch.save({"conv1.weight": torch.zeros(2**28)}, path)
    with zipfile.ZipFile(path) as whole:
        entries = {name: whole.read(name) for name in whole.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as small:
        for name, content in entries.items():
            small.writestr(name, content)


def repeated(path):
    """A .pt of a few bytes with a head of a billion rows, each the same."""
    state = StrokeNet().state_dict()
    torch.save({**state, "fc.weight": torch.zeros(1).expand(10**9, 128)}, path)


@pytest.mark.parametrize("make", [compressed, repeated])
def test_weights_take_no_more_than_their_file(make, tmp_path):
    """Neither by compression nor by strides of zero."""
    make(tmp_path / "weights.pt")
    assert (tmp_path / "weights.pt").stat().st_size < 2**21
    assert "weights.pt" in refused("weights", tmp_path / "weights.pt")


BOMBS = {
    "lists": b"[" + b"[]," * (20 * 2**20) + b"[]]",
    "objects": b"[" + b"{}," * (20 * 2**20) + b"{}]",
    "nested": b"[" * (60 * 2**20),
    "spaces": b" " * (200 * 2**20),
    "text": b'"' + b"a" * (200 * 2**20) + b'"',
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_recording_is_bounded_while_it_is_read(bomb, tmp_path):
    """Tens of kilobytes that would be gigabytes of Python's objects, or of text."""
    path = tmp_path / "bomb.json.gz"
    path.write_bytes(gzip.compress(BOMBS[bomb]))
    assert path.stat().st_size < 2**20
    assert "not a valid recording" in refused("recording", path)


@pytest.mark.parametrize("kind", ["milestones", "journal"])
def test_json_with_far_too_many_values_is_refused(kind, tmp_path):
    """Also where it is not compressed."""
    path = tmp_path / "bomb.json"
    head = json.dumps({"schema": "difflr-journal/1", "study": "s", "about": {}}).encode()
    path.write_bytes(head + b"\n" + BOMBS["lists"] + b"\n" if kind == "journal" else BOMBS["lists"])
    said = "far larger" if kind == "journal" else "far more values"  # a line that is too long
    assert said in refused(kind, path)


def test_a_journal_of_a_hundred_thousand_runs_is_no_bomb(tmp_path):
    """It is larger than any other file of difflr, and is read line by line: runs share their plans."""
    path = tmp_path / "large.jsonl"
    plan, note = {"phases": [1, 2]}, "x" * (MOST_BYTES // 5)
    with Journal(path, "large", {}) as journal:
        journal.open_session({})
        for seed in range(6):
            journal.add({"seed": seed, "plan": dict(plan), "note": note})
    assert path.stat().st_size > MOST_BYTES
    with path.open("ab") as file:
        file.write(b'{"run": torn')
    with Journal(path, "large", {}) as journal:
        journal.add({"seed": 6, "plan": plan})
        assert [run["seed"] for run in journal.runs] == list(range(7))
        assert journal.runs[0]["plan"] is journal.runs[5]["plan"]
    assert [run["seed"] for run in read_journal(path)[2]] == list(range(7))
    with path.open("ab") as file:
        file.truncate(2**34)  # without an end of line, and without taking room on the disk
    with pytest.raises(DifflrError, match=r"last line is not complete"):
        Journal(path, "large", {})
    with pytest.raises(DifflrError, match="far larger"):
        read_journal(path)


def test_a_large_recording_may_hold_much(tmp_path, monkeypatch):
    """What a recording holds is bounded by its size: it shrinks to a tenth, not to a thousandth."""
    monkeypatch.setattr("difflr.studies.recordings.MOST_BYTES", 2000)
    plateau(tmp_path)
    path = tmp_path / "plateau.json.gz"
    text = gzip.decompress(path.read_bytes())
    assert len(text) > 2000
    assert len(load_recording(path).runs) == 144
    path.write_bytes(gzip.compress(text + b" " * 60 * len(text)))
    with pytest.raises(DifflrError, match="far larger"):
        load_recording(path)
