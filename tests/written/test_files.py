"""Files are written whole or not at all, and read within limits."""

import pytest

from difflr.errors import DifflrError
from difflr.written.files import parse_json, read_within, user_path, write_whole, writing


def test_a_file_is_written_whole_and_nothing_lies_beside_it(tmp_path):
    """Its folder is made; a second one takes its place, or leaves the first where it is asked to."""
    path = tmp_path / "new" / "file"
    for content, replace, there in ((b"a", True, b"a"), (b"b", True, b"b"), (b"c", False, b"b")):
        write_whole(path, content, replace=replace)
        assert path.read_bytes() == there
        assert [*path.parent.iterdir()] == [path]


def test_what_was_there_outlives_a_disk_that_fails(tmp_path, monkeypatch):
    """Neither the old content nor the folder changes."""
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DifflrError, match="file cannot be written: No space left"), writing(path):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert [*tmp_path.iterdir()] == [path]


def test_more_than_the_limit_is_not_read(tmp_path):
    """A file of the largest size is; one byte more, or one value more, is refused."""
    path = tmp_path / "file"
    path.write_bytes(b"[1,2]")
    assert parse_json(read_within(path, 5), 2) == [1, 2]
    with pytest.raises(ValueError, match="far larger"):
        read_within(path, 4)
    with pytest.raises(ValueError, match="far more values"):
        parse_json(path.read_bytes(), 1)


def test_json_may_hold_no_number_and_no_endless_nest():
    """What JSON does not know is null; lists in lists without end are no crash."""
    assert parse_json(b"[NaN, -Infinity]") == [None, None]
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json(b"[" * 200_000)


@pytest.mark.parametrize(
    ("text", "why"),
    [("a\0b", "no file can have"), ("n" * 300, "no file can have"), ("~nobody-here/x", "no home")],
)
def test_a_path_that_cannot_be_is_refused(text, why):
    """With what to write instead."""
    with pytest.raises(DifflrError, match=why):
        user_path(text)
