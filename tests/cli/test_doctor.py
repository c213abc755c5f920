"""``difflr doctor``: what is well has a mark, what is ill a remedy, and the exit status says which."""

import importlib.util

import pytest

from difflr.cli import doctor
from difflr.cli.command import main


def test_a_machine_that_can_run_the_lessons_is_told_so(tmp_path, capsys):
    """Every look has a line with a mark, and the status is 0."""
    assert main(["doctor", "--no-training", "--folder", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    for name in ("python", "torch", "Lightning", "disk", "memory", "widgets"):
        assert f"✓ {name}" in out
    assert "\033" not in out  # no colours where nobody looks
    assert out.endswith("Ready for the lessons.\n")


def test_the_training_learns_the_drawings():
    """The short training is one of the looks, and finds nothing wrong on a machine with time."""
    *_, (name, found, _) = doctor.examine(doctor.Path("."))
    assert name == "training"
    assert int(found.split("%")[0]) > 50


def test_what_is_missing_is_named_with_its_remedy(tmp_path, capsys, monkeypatch):
    """Status 2, a mark of its own, and how to mend it; the other looks are taken all the same."""
    there = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "jupyterlab" else there(name)
    )
    assert main(["doctor", "--no-training", "--folder", str(tmp_path)]) == 2
    out, error = capsys.readouterr()
    assert '✗ jupyterlab   missing\n  → pip install "difflr[notebooks]"' in out
    assert "✓ widgets" in out
    assert error == (
        "difflr: error: Not ready for the lessons: jupyterlab. Follow the lines above, and run it "
        "again.\n"
    )


@pytest.mark.parametrize("fault", [RuntimeError("torn wheel"), ImportError("libgomp")])
def test_a_look_that_breaks_is_a_finding(fault, monkeypatch, tmp_path):
    """An import that fails in the widgets does not end the examination."""

    def broken():
        raise fault

    monkeypatch.setattr(doctor, "_widgets", broken)
    found = {name: (what, remedy) for name, what, remedy in doctor.examine(tmp_path, False)}
    assert str(fault) in found["widgets"][0]
    assert "pip install" in found["widgets"][1]


def test_a_full_disk_and_a_folder_that_is_not_there(monkeypatch, tmp_path):
    """Neither is passed over."""
    assert "--folder" in doctor._disk(tmp_path / "none")[1]
    monkeypatch.setattr(doctor, "_FREE_DISK", 1e9)
    assert doctor._disk(tmp_path)[1].startswith("Free ")
