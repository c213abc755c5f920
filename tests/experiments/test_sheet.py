"""The result sheet says what was compared, refuses what would be unfair, and overwrites nothing."""

import copy

import pytest
from made_results import ACCURACIES, SHA, results

from difflr.errors import DifflrError
from difflr.experiments.sheet import write_sheet


@pytest.fixture
def validated(tmp_path):
    """Two learning rates of each recipe on held-out pictures; those of ACCURACIES are best."""
    tried = {
        other: [v + (0.01 if other == recipe else -0.1) for v in values[:2]]
        for recipe, values in ACCURACIES.items()
        for other in (recipe, recipe + "0")
    }
    held_out = {"test_size": 16}
    return results(
        tmp_path / "v.json", "a fifth", tried, data=held_out, settings={"train_size": 64}
    )


@pytest.fixture
def tested(tmp_path):
    """One learning rate of each recipe on the test pictures."""
    return results(tmp_path / "t.json")


def test_the_sheet_says_what_one_needs_to_repeat_and_judge_it(tmp_path, validated, tested):
    """Data, hash, splits, all rates tried, intervals, ties, versions and date are there; no path is."""
    text = write_sheet(
        tmp_path / "a" / "s.md", validated, tested, question="Does it help?"
    ).read_text()
    for part in (
        "# Result sheet: birds", "**Question.** Does it help?", "finch, owl", "80 pictures to train",
        "40 to test on", SHA, "stem, layer1, layer2, layer3, layer4, head", "On 16 held-out",
        "| uniform:lr=1e-3 | 2 | 72.00% | yes |", "| uniform:lr=1e-30 | 2 | 61.00% |  |",
        "| uniform:lr=1e-3 | 71.0% ± 2.5 | - | baseline | 0: 70.00%, 1: 72.00%, 2: 71.00% |",
        "| -9.8 ± 1.9 | worse |", "| +0.5 ± 6.2 | not told apart |", "3 pairs see a difference",
        "epochs 6", "torch 2.9", "Date: 20",
    ):  # fmt: skip
        assert part in text
    assert "/home/ann" not in text


def test_a_learners_own_conclusion_is_kept_as_it_is(tmp_path, validated, tested):
    """The sheet holds the learner's word, right or wrong, and says where none was given."""
    words = {"head_only": "better"}
    sheet = write_sheet(tmp_path / "s.md", validated, tested, question="?", conclusion=words)
    assert "| -9.8 ± 1.9 | better |" in sheet.read_text()
    assert "| +0.5 ± 6.2 | not said |" in sheet.read_text()


def test_no_file_is_ever_overwritten(tmp_path, validated, tested):
    """Another sheet gets another name; the same sheet is not written twice."""
    path = tmp_path / "s.md"
    path.write_text("my notes")
    first = write_sheet(path, validated, tested, question="One?")
    second = write_sheet(path, validated, tested, question="Two?")
    again = write_sheet(path, validated, tested, question="One?")
    assert [p.name for p in (first, second, again)] == ["s-2.md", "s-3.md", "s-2.md"]
    assert path.read_text() == "my notes"
    assert "One?" in first.read_text()


def test_a_place_that_cannot_be_written_is_said(tmp_path, validated, tested):
    """A file in the place of a folder: which path, why, and what to do."""
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(DifflrError, match=r"notes/s\.md cannot be written: .*another path"):
        write_sheet(tmp_path / "notes" / "s.md", validated, tested, question="?")


def test_unfair_reports_are_refused(tmp_path, validated, tested):
    """Chosen on test, never tried, nothing run, or chosen under other settings: an error says which."""

    def error(chosen_on, reported):
        with pytest.raises(DifflrError) as caught:
            write_sheet(tmp_path / "s.md", chosen_on, reported, question="?")
        return str(caught.value)

    assert "chosen on test" in error(tested, tested)
    assert "reported on a fifth" in error(validated, validated)
    new = results(tmp_path / "n.json", accuracies={"falling:lr=1e-2": (0.9, 0.9)})
    assert "falling:lr=1e-2, which nobody tried" in error(validated, new)
    assert "no run" in error(validated, results(tmp_path / "e.json", accuracies={}))
    longer = results(tmp_path / "l.json", settings={"epochs": 60})
    assert "differ in epochs" in error(validated, longer)
    other = results(tmp_path / "o.json", weights={"sha256": "f" * 64})
    assert "differ in sha256" in error(validated, other)
    assert not (tmp_path / "s.md").exists()
    before = copy.deepcopy(tested.runs)
    write_sheet(tmp_path / "s.md", validated, tested, question="?")
    assert tested.runs == before


def test_one_seed_gives_no_verdict(tmp_path):
    """Without an interval the sheet calls no recipe better, worse or not told apart."""
    tried, once = (
        results(tmp_path / name, on, {recipe: values[:1] for recipe, values in ACCURACIES.items()})
        for name, on in (("v.json", "a fifth"), ("t.json", "test"))
    )
    text = write_sheet(tmp_path / "s.md", tried, once, question="?").read_text()
    assert "| head_only:lr=3e-2 | 60.0% | -10.0 | no verdict |" in text
    assert "told apart" not in text
    assert "power" not in text
