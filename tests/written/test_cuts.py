"""A cut of one's own, in words and in files."""

import pytest

from difflr.errors import DifflrError
from difflr.written.cuts import as_patterns, parse_cut

RIGHT_CUTS = {
    "nothing": ([], None),
    "a word": (["blocks"], "blocks"),
    "splits": (["a=conv1,bn1", "b=...", "c=fc"], {"a": ["conv1", "bn1"], "b": ["..."], "c": ["fc"]}),
    "patterns": (["a=conv1", "b=layer[1-4]"], {"a": ["conv1"], "b": ["layer[1-4]"]}),
}  # fmt: skip
WRONG_CUTS = {
    "one split": ["a=conv1"],
    "a name twice": ["a=conv1", "a=fc"],
    "no name": ["=conv1", "b=fc"],
    "no pattern": ["a=", "b=fc"],
    "no sign": ["a", "b=fc"],
    "an empty pattern": ["a=conv1,", "b=fc"],
    "the rest and more": ["a=...,conv1", "b=fc"],
    "no such file": ["nowhere.json"],
}


@pytest.mark.parametrize(("words", "cut"), RIGHT_CUTS.values(), ids=RIGHT_CUTS)
def test_a_cut_is_read_from_words(words, cut):
    """Words, patterns and the rest."""
    assert parse_cut(words) == cut


@pytest.mark.parametrize("words", WRONG_CUTS.values(), ids=WRONG_CUTS)
def test_a_wrong_cut_is_refused_with_an_example(words):
    """Whatever is wrong, the message shows how a cut is written."""
    with pytest.raises(DifflrError, match="stem=conv1"):
        parse_cut(words)


FILES = {
    "patterns": ('{"a": "conv1", "b": ["layer1", "..."]}', False),
    "rest": ('{"a": "conv1", "b": "..."}', True),
    "lists": ('{"a": ["conv1"], "b": ["layer*", "fc"]}', True),
    "twice": ('{"a": "conv1", "a": "fc"}', False),
    "a list": ('["conv1", "fc"]', False),
    "numbers": ('{"a": 1, "b": 2}', False),
    "nested": ('{"a": {"b": "c"}, "c": "fc"}', False),
    "empty": ("{}", False),
    "no JSON": ("stem: conv1", False),
    "deep": ("[" * 5000, False),
    "no text": ("\udcff", False),
}


@pytest.mark.parametrize(("text", "right"), FILES.values(), ids=FILES)
def test_a_cut_is_read_from_a_file(tmp_path, text, right):
    """An object in JSON, shallow to deep; anything else is one clear error."""
    path = tmp_path / "cut.json"
    path.write_text(text, "utf-8", errors="surrogateescape")
    if right:
        assert list(as_patterns(parse_cut([str(path)]))) == ["a", "b"]
    else:
        with pytest.raises(DifflrError, match="stem=conv1"):
            parse_cut([str(path)])
