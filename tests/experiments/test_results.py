"""results.json: never lost, never half written, never mixed with other settings."""

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from difflr.errors import DifflrError
from difflr.experiments.journal import read_journal
from difflr.experiments.results import Results
from difflr.recipes import uniform

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


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["data", "settings", "runs", "recipe", "seed", "accuracy", "seconds", "plan"]
            ),
            inner,
        )
    ),
    max_leaves=12,
)


@given(
    JSON
    | st.fixed_dictionaries(
        {
            **{part: st.just(value) for part, value in ABOUT.items()},
            "runs": st.lists(JSON, max_size=3),
        }
    )
)
def test_any_file_gives_runs_or_one_kind_of_error(tmp_path_factory, content):
    """A file of any JSON is taken over as valid runs or refused, and is never overwritten."""
    path = tmp_path_factory.mktemp("fuzz") / "results.json"
    path.write_text(json.dumps(content))
    before = path.read_bytes()
    try:
        results = Results(path, ABOUT, {})
    except DifflrError:
        assert path.read_bytes() == before
    else:
        assert all(0 <= r["accuracy"] <= 1 for r in results.runs)


def test_truncated_file_is_refused_and_kept(tmp_path):
    """A damaged file is left for its owner to look at."""
    path = tmp_path / "results.json"
    Results(path, ABOUT, {}).add(run())
    path.write_bytes(path.read_bytes()[:-20])
    before = path.read_bytes()
    with pytest.raises(DifflrError, match="no results file"):
        Results(path, ABOUT, {})
    assert path.read_bytes() == before


def test_an_earlier_version_s_file_is_taken_over_whole(tmp_path):
    """Runs of a results.json without a journal go into one, also where only half of them got there."""
    path = tmp_path / "results.json"
    about = {**ABOUT, "data": {"name": "/home/ann/strokes"}}
    old = {"schema": 1, **about, "versions": {"torch": "1"}, "runs": [run(seed=0), run(seed=1)]}
    old["runs"].append({**run(seed=2), "loss": float("nan")})
    path.write_text(json.dumps(old))
    hashed = {**ABOUT, "data": {"name": "strokes", "pictures_sha256": "ab"}}
    results = Results(path, hashed, {"torch": "2"})
    results.add(run(seed=3))
    assert [r["seed"] for r in read_journal(tmp_path / "results.jsonl")[2]] == [0, 1, 2, 3]
    diverged = results.find("uniform", 2)
    assert diverged["diverged"]
    assert diverged["accuracy"] is diverged["loss"] is None
    data = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(name))
    assert [data["sessions"][r["session"]]["versions"]["torch"] for r in data["runs"]] == [*"1112"]
    assert data["versions"] == {"torch": "1, 2"}
    lines = (tmp_path / "results.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "results.jsonl").write_bytes(b"".join(lines[:3]))  # a take-over that was killed
    assert {r["seed"] for r in Results(path, hashed, {}).runs} == {0, 1, 2, 3}


@pytest.mark.parametrize("change", [{"schema": 99}, {"notes": "mine"}, {"sessions": [1]}])
def test_a_file_of_another_kind_is_neither_taken_nor_rewritten(tmp_path, change):
    """A later schema, or what this version would drop, is refused and kept."""
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"schema": 1, **ABOUT, "versions": {}, "runs": [], **change}))
    before = path.read_bytes()
    with pytest.raises(DifflrError, match="no results file"):
        Results(path, ABOUT, {})
    assert path.read_bytes() == before


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
from difflr.experiments.journal import read_journal
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
