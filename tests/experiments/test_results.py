"""results.json: never lost, never half written, never mixed with other settings."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from difflr.errors import DifflrError
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
    assert [p.name for p in path.parent.iterdir()] == ["results.json"]


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
    assert [p.name for p in tmp_path.iterdir()] == ["results.json"]


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
