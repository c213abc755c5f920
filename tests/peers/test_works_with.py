"""The page of what difflr works with says what a run finds."""

import re

import pytest
import works_with

for library in ("timm", "transformers"):
    pytest.importorskip(library, reason="tests/support/peers.sh installs it")
ROWS = [line for line in works_with.PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
MODELS = works_with.models()


def test_the_page_has_every_model_and_no_failure():
    """In the order of the run; all were cut, trained in two phases and resumed."""
    assert [row.split(" | ")[0][2:] for row in ROWS[1:]] == list(MODELS)
    assert [row for row in ROWS[1:] if not row.endswith(" | yes | yes |") or "order" in row] == []


def test_nearly_all_families_of_timm_are_cut():
    """95 in a hundred at least, by the page; a fifth of them are tried in test_timm.py."""
    page = works_with.PAGE.read_text("utf-8")
    tried, cut = re.search(
        r"of the (\d+) families of timm.*?(\d+) in the order", page, re.S
    ).groups()
    assert int(tried) == len(works_with.families())
    assert int(cut) >= 0.95 * int(tried)


@pytest.mark.parametrize("name", list(MODELS)[::6])
def test_a_line_of_the_page_is_what_a_run_finds(name):
    """A sixth of them, anew."""
    assert works_with.row(name, MODELS[name]) in ROWS
