"""results.json: never lost, never half written, never mixed with other settings."""

import json
import subprocess
import sys

import pytest

from difflr.errors import DifflrError
from difflr.experiments.results import Results
from difflr.recipes import uniform
from difflr.runs.journal import read_journal

ABOUT = {"data": {"name": "strokes"}, "settings": {"epochs": 6}}


def run(recipe="uniform", seed=0, accuracy=0.5):
    """A finished run as ``compare`` records it."""
    return {
        "recipe": recipe,
        "seed": seed,
        "accuracy": accuracy,
        "loss": 1.0,
        "seconds": 2.0,
        "trainable_share": 1.0,
        "plan": uniform(6).to_dict(),
    }


def test_runs_are_on_disk_as_soon_as_they_are_added(tmp_path):
    """Another process that opens the file finds every run that was added."""
    path = tmp_path / "new" / "results.json"
    results = Results(path, ABOUT, {"torch": "2"})
    results.add(run(seed=0))
    results.add(run(seed=1))
    data = json.loads(path.read_text())
    assert [r["seed"] for r in data["runs"]] == [0, 1]
    assert {part: data[part] for part in ABOUT} == ABOUT
    assert data["versions"] == {"torch": "2"}
    again = Results(path, ABOUT, {})
    assert again.find("uniform", 1) == results.find("uniform", 1)
    assert again.find("uniform", 2) is None
    assert {p.name for p in path.parent.iterdir()} == {"results.json", "results.jsonl"}


def test_other_settings_are_refused_and_named(tmp_path):
    """Runs made under other settings are not mixed in, and what differs is said."""
    path = tmp_path / "results.json"
    Results(path, ABOUT, {}).add(run())
    before = path.read_bytes()
    with pytest.raises(DifflrError, match="epochs: there 6, now 7"):
        Results(path, {**ABOUT, "settings": {"epochs": 7}}, {})
    assert path.read_bytes() == before


def test_a_failed_write_keeps_the_runs_before_it(tmp_path, monkeypatch):
    """A disk that fills up in mid-write leaves the file as it was, and says how to go on."""
    path = tmp_path / "results.json"
    results = Results(path, ABOUT, {})
    results.add(run(seed=0))
    before = path.read_bytes()
    monkeypatch.setattr(
        "os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    with pytest.raises(DifflrError, match="No space left"):
        results.add(run(seed=1))
    assert path.read_bytes() == before
    assert {p.name for p in tmp_path.iterdir()} == {"results.json", "results.jsonl"}


def test_unwritable_folder_is_refused_before_training(tmp_path):
    """An output folder that is a file is refused at once."""
    (tmp_path / "file").write_text("")
    with pytest.raises(DifflrError, match="--out"):
        Results(tmp_path / "file" / "results.json", ABOUT, {})


@pytest.mark.parametrize("content", [b"", b"{", b'{"schema": 99}', b'{"schema": 1, "runs": []}'])
def test_a_file_without_its_journal_is_neither_taken_nor_rewritten(tmp_path, content):
    """Only a journal says that a results.json is difflr's own."""
    path = tmp_path / "results.json"
    path.write_bytes(content)
    with pytest.raises(DifflrError, match="its journal"):
        Results(path, ABOUT, {})
    assert path.read_bytes() == content
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]


def test_a_damaged_file_is_written_anew_from_the_journal(tmp_path):
    """No run is lost with it: the journal has them all."""
    path = tmp_path / "results.json"
    Results(path, ABOUT, {}).add(run())
    before = path.read_bytes()
    path.write_bytes(before[:-20])
    assert len(Results(path, ABOUT, {}).runs) == 1
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "line",
    [
        {"session": {"versions": 3}},
        {"run": {**run(), "recipe": 1}},
        {"run": {**run(), "plan": None}},
        {"run": run(accuracy=1.5)},
        {"run": {**run(), "seed": "x"}},
    ],
)
def test_a_journal_whose_runs_cannot_be_relied_on_is_refused_and_kept(tmp_path, line):
    """Each run has a recipe, a seed, an accuracy from 0 to 1 and a plan; versions are a dictionary."""
    Results(tmp_path / "results.json", ABOUT, {}).add(run(seed=7))
    journal = tmp_path / "results.jsonl"
    journal.write_text(journal.read_text() + json.dumps(line) + "\n")
    before = journal.read_bytes()
    with pytest.raises(DifflrError):
        Results(tmp_path / "results.json", ABOUT, {})
    assert journal.read_bytes() == before


def test_other_pictures_are_refused_in_words(tmp_path):
    """Runs belong to their pictures, whatever the folder is called."""
    path = tmp_path / "results.json"
    there, now = ({"data": {"name": "birds", "pictures_sha256": sha}} for sha in ("ab", "cd"))
    Results(path, there, {}).add(run())
    with pytest.raises(DifflrError, match="the pictures are others"):
        Results(path, now, {})


def test_runs_of_two_writers_are_all_kept_and_none_twice(tmp_path):
    """What another writer has added meanwhile is seen, kept, and not added again."""
    path = tmp_path / "results.json"
    one, two = (Results(path, ABOUT, {"torch": name}) for name in "12")
    assert one.add(run(seed=0))
    assert two.add(run(seed=1))
    assert not one.add(run(seed=1))
    assert one.add(run(seed=2))
    for results in (two, Results(path, ABOUT, {})):
        results.refresh()
        assert [r["seed"] for r in results.runs] == [0, 1, 2]
        assert [r["session"] for r in results.runs] == [0, 1, 0]
    assert [r["seed"] for r in json.loads(path.read_text())["runs"]] == [0, 1, 2]


ADDING = """
import sys
from pathlib import Path
from difflr.runs.journal import read_journal
from difflr.experiments.results import Results
results = Results(Path(sys.argv[1]), {"data": {"name": "strokes"}}, {"torch": sys.argv[2]})
for seed in range(20):
    results.add({"recipe": "uniform", "seed": seed, "accuracy": 0.5, "loss": 1.0, "seconds": 2.0,
                 "trainable_share": 1.0, "plan": {}})
    results.add({"recipe": sys.argv[2], "seed": seed, "accuracy": 0.5, "loss": 1.0, "seconds": 2.0,
                 "trainable_share": 1.0, "plan": {}})
"""


def test_processes_that_add_at_once_lose_and_double_nothing(tmp_path):
    """Three processes that add the same runs and others, as fast as they can: each run is there once."""
    path = tmp_path / "results.json"
    writers = [subprocess.Popen([sys.executable, "-c", ADDING, str(path), name]) for name in "abc"]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    runs = [(r["recipe"], r["seed"]) for r in json.loads(path.read_text())["runs"]]
    assert len(runs) == len(set(runs)) == 80
    assert len(read_journal(tmp_path / "results.jsonl")[2]) == 80


def test_a_journal_that_lost_runs_is_named(tmp_path):
    """A journal deleted under a comparison's feet is said to be, before anything is added."""
    results = Results(tmp_path / "results.json", ABOUT, {})
    results.add(run(seed=0))
    (tmp_path / "results.jsonl").unlink()
    with pytest.raises(DifflrError, match="has lost runs"):
        results.add(run(seed=1))
