"""Recordings: a study's runs in a small file, read back whole or refused."""

import gzip
import json

import made_up
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from difflr.errors import DifflrError
from difflr.studies.recordings import (
    list_recordings,
    load_recording,
    restore_journal,
    save_recording,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a made-up journal and its recording."""
    folder = tmp_path_factory.mktemp("recordings")
    made_up.plateau(folder)
    return folder


@pytest.fixture(scope="module")
def data(folder):
    """The recording's JSON."""
    return json.loads(gzip.decompress((folder / "plateau.json.gz").read_bytes()))


def write(path, data):
    """Write JSON as a recording and return its path."""
    path.write_bytes(gzip.compress(json.dumps(data).encode()))
    return path


def test_a_recording_holds_what_the_journal_held(folder):
    """Every run comes back with its tags and numbers (to five digits), its plan and provenance."""
    recording = load_recording(folder / "plateau.json.gz")
    cells = made_up.plateau_cells()
    assert len(recording.runs) == len(cells) * 3 * 2
    for run in recording.runs:
        expected = made_up.measured(run.cell, run.seed, run.measured_on)
        assert run.accuracy == pytest.approx(expected["accuracy"], rel=1e-4)
        assert run.displacement == pytest.approx(expected["displacement"], rel=1e-4)
        assert recording.plans[run.plan] == run.cell.plan(6)
    assert recording.splits == tuple(made_up.SPLITS)
    assert recording.about["data"] == "made up"
    assert recording.sessions[0]["versions"] == {"torch": "0"}
    assert recording.values("base_lr") == list(made_up.RATES)
    chosen = recording.where(base_lr=1e-3, ratio=1.0, train_size=40, measured_on="test")
    assert [run.seed for run in chosen] == [100, 101, 102]


def test_the_same_runs_in_any_order_give_the_same_bytes(folder, tmp_path):
    """Workers that finish in another order leave no trace in the file."""
    header, session, *runs = (folder / "plateau.jsonl").read_text().splitlines()
    (tmp_path / "j.jsonl").write_text("\n".join([header, session, *reversed(runs)]) + "\n")
    save_recording(tmp_path / "j.jsonl", tmp_path / "again.json.gz")


def test_a_study_goes_on_from_a_recording(folder, tmp_path):
    """The journal written from a recording gives that recording again; one that is there is kept."""
    recording = load_recording(folder / "plateau.json.gz")
    path = tmp_path / "plateau.jsonl"
    restore_journal(recording, path)
    assert save_recording(path, tmp_path / "again.json.gz") == recording
    path.write_text("mine", "utf-8")
    restore_journal(recording, path)
    assert path.read_text("utf-8") == "mine"


def test_a_restoration_that_fails_half_way_leaves_nothing_to_trust(folder, tmp_path, monkeypatch):
    """The journal of a recording is there whole, or not at all."""
    recording, path = load_recording(folder / "plateau.json.gz"), tmp_path / "plateau.jsonl"

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DifflrError, match="No space left"):
        restore_journal(recording, path)
    assert list(tmp_path.iterdir()) == []


def test_recordings_are_small(folder):
    """A run takes less than 400 bytes, so that a thousand stay far below two megabytes."""
    size = (folder / "plateau.json.gz").stat().st_size
    assert size / (len(made_up.plateau_cells()) * 6) < 400


def test_all_recordings_of_the_package_load_and_are_small():
    """What ships with difflr is valid, and at most 2 MB in all."""
    from importlib import resources

    files = [
        e for e in resources.files("difflr.studies.recordings").iterdir() if e.name.endswith(".gz")
    ]
    assert sum(len(file.read_bytes()) for file in files) <= 2_000_000
    for name in list_recordings():
        assert load_recording(name).runs


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.update(schema="other"), "schema"),
        (lambda d: d.update(runs=[]), "no runs"),
        (lambda d: d["runs"].append(d["runs"][0]), "twice"),
        (lambda d: d["runs"][0].update(accuracy=1.2), "accuracy"),
        (lambda d: d["runs"][0].update(accuracy=None), "accuracy"),
        (lambda d: d["runs"][0].update(cka=[1.0]), "cka has 1"),
        (lambda d: d["runs"][0].update(plan="abc"), "no plan"),
        (lambda d: d["runs"][0].update(extra=1), "extra"),
        (lambda d: d["runs"][0].pop("loss"), "loss"),
        (lambda d: d["about"].pop("splits"), "splits"),
        (lambda d: d["about"].update(splits=["a"]), "6 learning rates"),
        (lambda d: d["runs"][0].update(session=7), "session"),
    ],
)
def test_what_is_wrong_is_named(data, tmp_path, change, said):
    """A recording with one wrong entry is refused, and the message names it."""
    data = json.loads(json.dumps(data))
    change(data)
    with pytest.raises(DifflrError, match=said):
        load_recording(write(tmp_path / "r.json.gz", data))


def test_runs_of_other_packages_have_no_plan(data, tmp_path):
    """A run without a plan is kept, goes into a journal and back, and says so when asked for its plan."""
    data = json.loads(json.dumps(data))
    data["runs"][0].update(recipe="fastai.fine_tune", plan=None, flops=None, curve_loss=[])
    recording = load_recording(write(tmp_path / "r.json.gz", data))
    rival = recording.where(recipe="fastai.fine_tune")[0]
    with pytest.raises(DifflrError, match="another package"):
        recording.plan_of(rival)
    restore_journal(recording, tmp_path / "r.jsonl")
    again = save_recording(tmp_path / "r.jsonl", tmp_path / "again.json.gz")
    assert rival in again.runs
    assert len(again.runs) == len(recording.runs)
    assert again.plan_of(again.where(recipe="differential")[0]).epochs == rival.cell.epochs
    data["runs"][1].update(curve_loss=[])
    with pytest.raises(DifflrError, match="curve_loss has 0"):
        load_recording(write(tmp_path / "r.json.gz", data))


def test_missing_cut_and_foreign_files_are_refused(folder, tmp_path):
    """A name that is not there, half a file and a file that is not gzip give one kind of error."""
    with pytest.raises(DifflrError, match="cannot be read"):
        load_recording("no such recording")
    whole = (folder / "plateau.json.gz").read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"hello", whole[:200] + b"?" + whole[201:]):
        (tmp_path / "bad.json.gz").write_bytes(content)
        with pytest.raises(DifflrError):
            load_recording(tmp_path / "bad.json.gz")
    with pytest.raises(DifflrError):
        load_recording(tmp_path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@settings(max_examples=150)
@given(draw=st.data())
def test_any_change_gives_a_valid_recording_or_one_kind_of_error(tmp_path_factory, data, draw):
    """Whatever one entry is replaced by, the file is a valid recording or a DifflrError."""
    small = {**data, "runs": data["runs"][:2]}
    changed = json.loads(json.dumps(small))
    place, key = changed, None
    for _ in range(draw.draw(st.integers(1, 4))):
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            break
        parent, key = place, draw.draw(st.sampled_from(keys))
        place = parent[key]
        if not isinstance(place, dict | list):
            break
    parent[key] = draw.draw(JSON)
    path = write(tmp_path_factory.mktemp("fuzz") / "r.json.gz", changed)
    try:
        recording = load_recording(path)
    except DifflrError:
        pass
    else:
        assert all(0 <= run.accuracy <= 1 for run in recording.runs)
