"""What once ended in a traceback on the command line is one line now; so is what nobody has thought of."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from difflr.cli.command import main
from difflr.experiments.strokenet import StrokeNet

BEYOND = str(2**63)
NOT_UTF8 = os.fsdecode(b"na\xffme")
posix = pytest.mark.skipif(os.name != "posix", reason="names and devices of POSIX")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with pictures, and with files that are not what they should be."""
    root = tmp_path_factory.mktemp("hostile")
    for part in ("train", "test"):
        for name in ("a", "b"):
            (root / "pictures" / part / name).mkdir(parents=True)
            for i in range(4):
                picture = np.full((16, 16, 3), 40 * i, np.uint8)
                Image.fromarray(picture).save(root / "pictures" / part / name / f"{i}.png")
    weights = StrokeNet().state_dict()
    shape = weights["conv1.weight"].shape
    for name, tensor in {
        "stride-0": torch.zeros(1).expand(shape),
        "vast": torch.zeros(1).expand(10**9, 10**9),
        "meta": torch.empty(shape, device="meta"),
        "sparse": torch.zeros(shape).to_sparse(),
        "list": [1.0],
    }.items():
        torch.save({**weights, "conv1.weight": tensor}, root / f"{name}.pt")
    (root / "later").mkdir()
    (root / "later" / "results.json").write_text('{"schema": 99}')
    (root / "words").mkdir()
    (root / "words" / "results.json").write_bytes('{"schema": "ü"}'.encode("utf-16"))
    return root


@pytest.fixture(autouse=True)
def _inside(folder, monkeypatch):
    """Commands run in that folder, up to the training."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr("difflr.experiments.compare.train", lambda *_, **__: pytest.fail("trained"))


COMPARE = ("compare", "--no-progress", "--data", "pictures", "--backbone", "strokenet")
COMPARE += ("--weights", "embedded", "--train-size", "4", "--seeds", "1", "--recipes", "uniform")
PLAN = ("plan", "--backbone", "strokenet")
STUDY = ("study", "plateau", "--quick", "--no-progress")

LINES = {
    "epochs as an option": [*COMPARE, "--recipes", "uniform:epochs=3"],
    "splits as an option": [*COMPARE, "--recipes", "uniform:splits=3"],
    "name as an option": [*COMPARE, "--recipes", "uniform:name=3"],
    "an option twice": [*COMPARE, "--recipes", "uniform:lr=1e-3:lr=1e-2"],
    "seed": [*COMPARE, "--seeds", f"0,{BEYOND}"],
    "seed of 18 digits": [*COMPARE, "--seeds", "0," + "9" * 18],
    "batch size": [*COMPARE, "--batch-size", BEYOND],
    "image size": [*COMPARE, "--image-size", BEYOND],
    "image size of a million": [*COMPARE, "--data", "strokes", "--image-size", "1000001"],
    "training size": [*COMPARE, "--train-size", BEYOND],
    "epochs": [*COMPARE, "--epochs", BEYOND],
    "steps": [*PLAN, "--steps-per-epoch", BEYOND],
    "jobs": [*STUDY, "--jobs", BEYOND],
    "threads": [*STUDY, "--threads", BEYOND],
    "image size of a study": [*STUDY, "--image-size", BEYOND],
    "ImageNet's weights of strokenet": [*COMPARE, "--weights", "imagenet"],
    **{
        f"nobody's home as {option}": [*command, option, "~nouser"]
        for command, options in (
            (COMPARE, ("--data", "--weights", "--out")),
            ([*COMPARE, "--data", "cifar10"], ("--data-dir",)),
            (PLAN, ("--milestones", "--out")),
            (STUDY, ("--go-on-from",)),
        )
        for option in options
    },
    "nobody's home as the folder of a study": [*STUDY, "--out", "~nouser"],
    "nobody's home for lessons": ["lessons", "~nouser"],
    "nobody's home for progress": ["progress", "~nouser"],
    "nobody's home for curves": ["curves", "~nouser"],
    "a folder of curves that no file can be called": ["curves", "9" * 300],
    "a picture that is a folder": [*PLAN, "--out", "pictures"],
    "a later schema": [*COMPARE, "--out", "later"],
    "UTF-16 that is no result": [*COMPARE, "--out", "words"],
    **{
        f"a .pt with {name}": [*COMPARE, "--weights", f"{name}.pt"]
        for name in ("stride-0", "vast", "meta", "sparse", "list")
    },
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
def test_what_was_a_traceback_is_one_line(line, capsys, tmp_path):
    """Status 2 and one line that says what is wrong; nothing is trained."""
    assert (
        main(line if "--out" in line or line[0] != "compare" else [*line, "--out", str(tmp_path)])
        == 2
    )
    said = capsys.readouterr().err.strip()
    assert said.startswith("difflr: error: ")
    assert "\n" not in said
    assert "A mistake of difflr" not in said


@posix
@pytest.mark.parametrize("source", ["/dev/zero", "link.json"])
def test_a_file_without_end_is_not_read_to_its_end(source, capsys, folder):
    """A device as milestones, by itself or behind a link."""
    if not Path("link.json").exists():
        Path("link.json").symlink_to("/dev/zero")
    assert main([*PLAN, "--milestones", source]) == 2
    assert "far larger" in capsys.readouterr().err


@posix
@pytest.mark.parametrize("name", ["results.json", "results.jsonl"])
def test_a_pipe_in_the_place_of_results_is_not_waited_for(name, capsys, tmp_path):
    """Nobody will ever write into it."""
    os.mkfifo(tmp_path / name)
    assert main([*COMPARE, "--out", str(tmp_path)]) == 2
    assert "no regular file" in capsys.readouterr().err


def test_a_later_schema_is_left_as_it_is(folder):
    """The file of a later version is not rewritten."""
    before = (folder / "later" / "results.json").read_bytes()
    assert main([*COMPARE, "--out", "later"]) == 2
    assert (folder / "later" / "results.json").read_bytes() == before


@posix
def test_names_that_are_no_text_are_printed_and_written(tmp_path):
    """A picture whose name is not UTF-8 is drawn, and its name printed with escapes."""
    out = tmp_path / NOT_UTF8
    line = [sys.executable, "-m", "difflr", *PLAN, "--out", str(out / "plan.png")]
    done = subprocess.run(line, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"\\udcff" in done.stdout
    assert (out / "plan.png").exists()
    assert main(["curves", str(out)]) == 2


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_milestones_are_read_in_any_unicode(encoding, capsys, tmp_path):
    """As the editors and shells of Windows write them."""
    text = json.dumps({"1": {"freeze_to": -1, "duration": 1, "lrs": [0, 0, 0, 0, 0, 1e-3]}})
    (tmp_path / "milestones.json").write_text(text, encoding)
    line = [*PLAN, "--milestones", str(tmp_path / "milestones.json")]
    assert main([*line, "--out", str(tmp_path / "a")]) == 0
    assert capsys.readouterr().out.endswith("a.png\n")
    assert (tmp_path / "a.png").exists()


class Unforeseen(Exception):
    """A mistake that nobody has made yet."""


def test_any_failure_that_remains_is_one_line_and_a_log(capsys, monkeypatch, tmp_path):
    """Status 70, no traceback on the screen, and all of it in the file that the line names."""

    def fail(*_, **__):
        raise Unforeseen("two\nlines \ud800")

    monkeypatch.setattr("difflr.experiments.compare.load_backbone", fail)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert main([*COMPARE, "--out", "o"]) == 70
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "Unforeseen" in said
    assert "Traceback" not in said
    (log,) = tmp_path.glob("difflr-*.log")
    assert str(log) in said
    text = log.read_text("utf-8")
    assert "Traceback (most recent call last)" in text
    assert "in fail" in text
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    assert main([*COMPARE, "--out", "o"]) == 70
    assert "could not be kept" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: 8 GB")]
)
def test_too_little_memory_is_said_with_what_helps(error, capsys, monkeypatch):
    """Python and torch say it in different ways."""

    def fail(*_, **__):
        raise error

    monkeypatch.setattr("difflr.experiments.compare.load_backbone", fail)
    assert main([*COMPARE, "--out", "o"]) == 2
    assert "too little memory" in capsys.readouterr().err


def test_a_reader_that_has_gone_is_no_failure():
    """``difflr plan | head -1`` says nothing on stderr."""
    process = subprocess.Popen(
        [sys.executable, "-m", "difflr", *PLAN, "--out", os.devnull + "/x"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    said = process.stderr.read()
    assert b"Traceback" not in said
    assert b"Broken pipe" not in said
    assert process.wait() in (2, 141)


def test_a_folder_s_name_is_never_taken_for_a_formula():
    """A title with dollars and braces is drawn as it is."""
    from difflr.experiments.figure import plot_runs

    run = {"recipe": "uniform", "seed": 0, "accuracy": 0.5, "seconds": 1.0, "trainable_share": 1.0}
    plot_runs([run], "strokenet on a$b$_^{").savefig(io.BytesIO())
