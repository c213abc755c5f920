"""Numbers in README and lessons are those of the recordings that they quote."""

import re
from pathlib import Path

import pytest
from made_up import plateau

from difflr.errors import DifflrError
from difflr.evidence import quotes
from difflr.evidence.summaries import estimate, format_estimate
from difflr.studies.recordings import load_recording

ROOT = Path(__file__).parents[2]
TEXTS = [ROOT / "README.md", *sorted((ROOT / "notebooks").glob("[0-9]*_*.py"))]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder in which the made-up recording can be named by its file."""
    plateau(tmp_path)
    monkeypatch.chdir(tmp_path)
    quotes._load.cache_clear()
    yield tmp_path
    quotes._load.cache_clear()


QUOTE = "plateau.json.gz accuracy train_size=40 ratio=1 base_lr=0.01"


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_prose_quotes_what_was_recorded(path):
    """Every quoted number is the recorded one, to the digit."""
    assert quotes.rewritten(path.read_text("utf-8"))[1] == []


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_no_line_begins_with_a_quote(path):
    """There a comment would be a block of HTML, which ends the paragraph around it."""
    assert not re.findall(r"^(?:# )?[ >*-]*<!--=.*", path.read_text("utf-8"), re.MULTILINE)


def test_a_wrong_number_is_found_and_mended(folder, capsys, monkeypatch):
    """A stale number is said and, with --write, replaced; the rest of the text stays."""
    runs = load_recording("plateau.json.gz").where(
        train_size=40, ratio=1.0, base_lr=0.01, measured_on="test"
    )
    right = format_estimate(estimate(runs))
    path = folder / "text.md"
    path.write_text(f"It got <!--= {QUOTE} -->99.9%<!--/--> right.", "utf-8")
    monkeypatch.setattr("sys.argv", ["quotes", str(path)])
    assert quotes.main() == 1
    assert f"99.9% -> {right}" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["quotes", str(path), "--write"])
    assert quotes.main() == 0
    assert path.read_text("utf-8") == f"It got <!--= {QUOTE} -->{right}<!--/--> right."
    assert quotes.main() == 0


@pytest.mark.parametrize(
    ("what", "like"),
    [
        (f"{QUOTE} vs train_size=40 ratio=100 base_lr=0.01", r"(tie \()?[+-]\d+\.\d points ± \d"),
        (
            "plateau.json.gz accuracy_at_equal_seconds train_size=40 ratio=0.1 base_lr=0.01 "
            "vs train_size=40 ratio=1 base_lr=0.01",
            r"(tie \()?[+-]\d+\.\d points",
        ),
        ("plateau.json.gz width measured_on=validation train_size=40 ratio=1", r"\d\.\d \(\d"),
        ("plateau.json.gz flops train_size=40 ratio=1 base_lr=0.01", r"3\.00"),
        ("plateau.json.gz source_accuracy train_size=40 ratio=1 base_lr=0.01", r"\d+\.\d% ± "),
        ("plateau.json.gz cpu_seconds train_size=40 ratio=1 base_lr=0.01", r"\d+\.\d s ± "),
    ],
)
def test_what_can_be_quoted(folder, what, like):
    """Means, paired differences, widths, costs."""
    assert re.match(like, quotes.quoted(what))


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("nowhere accuracy", "cannot be read"),
        ("plateau.json.gz beauty ratio=1", "beauty"),
        (f"plateau.json.gz accuracy_at_equal_seconds {QUOTE.partition(' accuracy ')[2]}", "whose"),
        ("plateau.json.gz accuracy depth=1", "depth"),
        ("plateau.json.gz accuracy ratio=7", "No run"),
    ],
)
def test_a_quote_of_nothing_is_refused(folder, what, message):
    """Unknown recordings, measures, tags and values are named."""
    with pytest.raises(DifflrError, match=message):
        quotes.quoted(what)
