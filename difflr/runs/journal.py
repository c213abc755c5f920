"""A journal: one line of JSON per finished run, on disk before the next one starts.

A kill, even ``kill -9`` in the middle of a line, costs at most the run that was being written. Both a
comparison and a study keep their runs in one.
"""

import errno
import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from difflr.errors import DifflrError, short_repr
from difflr.written.files import hold, parse_json, write_whole, writing

__all__ = ["Journal", "describe_changes", "not_ours", "read_journal", "write_journal"]

SCHEMA = "difflr-journal/1"
_LONGEST = 2**24  # bytes of a line; a run has a few thousand
_LARGEST = 2**30  # of a journal, which holds about a million runs
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)

Lines = tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]


class Journal:
    """Runs in a file that is only ever added to; used as a context manager.

    The first line holds ``schema``, ``study`` and ``about`` (what all runs share). Each call that adds
    runs writes a ``session`` line first (versions, machine, date), then one ``run`` line per run. A
    torn last line is dropped when the file is opened or added to.

    Args:
        path: of the file, made where it is missing.
        study: the name of what is run.
        about: what all runs share.
        shared: several processes may add runs, each for a moment alone with the file; otherwise one
            process holds it until it is closed.

    Raises:
        DifflrError: for a file of another study or other settings, a damaged one, one that another
            process holds, or one that cannot be written.
    """

    def __init__(
        self, path: Path, study: str, about: Mapping[str, Any], *, shared: bool = False
    ) -> None:
        self.path = path
        self.sessions: list[dict[str, Any]] = []
        self.runs: list[dict[str, Any]] = []
        self._header = {"study": study, "about": json.loads(json.dumps(about))}
        self._session: int | None = None
        self._size = 0  # of what has been read
        self._file: int | None = None  # where it is shared, open only for a moment
        if shared:
            with self.locked():
                return
        self._file = self._open()
        try:
            if not hold(self._file, wait=False):
                raise DifflrError(
                    f"Another process is adding runs to {self.path}.", "Wait for it, or stop it."
                )
            self._read_on(self._file)
        except BaseException:
            os.close(self._file)
            raise

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            os.close(self._file)

    @contextmanager
    def locked(self) -> Iterator[int]:
        """Keep other processes from adding runs meanwhile; what they added before has been read."""
        if self._file is not None:
            yield self._file
            return
        self._file = self._open()
        try:
            hold(self._file)
            self._read_on(self._file)
            yield self._file
        finally:
            os.close(self._file)
            self._file = None

    def open_session(self, session: Mapping[str, Any]) -> None:
        """Write where and with what the runs that follow were made."""
        with self.locked() as file:
            self._append(file, {"session": session})
            self.sessions.append(dict(session))
            self._session = len(self.sessions) - 1

    def add(self, run: Mapping[str, Any]) -> None:
        """Keep a finished run, on disk when this returns."""
        with self.locked() as file:
            at = len(self.sessions) - 1 if self._session is None else self._session
            run = {**run, "session": at}
            self._append(file, {"run": run})
            self.runs.append(run)

    def _open(self) -> int:
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self.path, _FLAGS, 0o644)
        if stat.S_ISREG(os.fstat(file).st_mode):
            return file
        os.close(file)
        raise not_ours(self.path, "journal", "it is no regular file")

    def _read_on(self, file: int) -> None:
        """Read what other processes have added, and drop a line that one of them could not finish."""
        size = os.fstat(file).st_size
        if size == self._size > 0:
            return
        if size < self._size:
            raise DifflrError(
                f"{self.path} has lost runs: something else has deleted or cut it.",
                "Start anew, or put the file back.",
            )
        start = max(0, size - _LONGEST)
        os.lseek(file, start, os.SEEK_SET)
        tail = os.read(file, _LONGEST)
        whole = start + tail.rfind(b"\n") + 1
        if whole == start and (start or (tail and not b'{"schema":'.startswith(tail[:10]))):
            raise not_ours(self.path, "journal", "its last line is not complete")
        if whole < size:
            os.ftruncate(file, whole)
        if not whole:
            self._append(file, {"schema": SCHEMA, **self._header})
        header, self.sessions, self.runs = read_journal(self.path)
        if changes := describe_changes(header, self._header):
            raise DifflrError(
                f"{self.path} holds runs made under other settings ({'; '.join(changes)}).",
                "Give the same settings to go on, or pass another folder with --out.",
            )
        self._size = os.fstat(file).st_size

    def _append(self, file: int, line: Mapping[str, Any]) -> None:
        data = _line(line)
        size = os.fstat(file).st_size
        try:
            if os.write(file, data) != len(data):
                raise OSError(errno.ENOSPC, "No space left on device")
            os.fsync(file)
        except OSError as error:
            os.ftruncate(file, size)  # no half line before the next one
            raise DifflrError(
                f"{self.path} cannot be written any more: {error.strerror}; the runs in it are kept.",
                "Make room, then give the same command again: it goes on from there.",
            ) from error
        self._size = size + len(data)


def describe_changes(there: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Say in which settings an earlier file differs from what is wanted now, one text for each."""
    changes: list[str] = []
    there = _with_later_settings(there, now)
    for key in {**there, **now}:
        old, new = there.get(key), now.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            changes += describe_changes(old, new)
        elif old != new:
            what = "the pictures are others, " if key in ("pictures_sha256", "data_sha256") else ""
            changes.append(f"{what}{key}: there {short_repr(old)}, now {short_repr(new)}")
    return changes


def _with_later_settings(there: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of an older file, with those that it could not hold when it was written."""
    unsaid = {"precision": "32-true", "pictures_sha256": now.get("pictures_sha256")}
    unsaid = {name: value for name, value in unsaid.items() if name in now}
    # Which other files lie in the folder does not matter where the pictures are the same.
    counted = {name: now[name] for name in ("files",) if name in now}
    return {**unsaid, **there, **counted}


def read_journal(path: Path) -> Lines:
    """Return header, sessions and runs of a journal; a torn last line is left out.

    Raises:
        DifflrError: for a file that is missing or is no journal.
    """
    sessions, runs = [], []
    plans: dict[str, Any] = {}  # many runs share one, which is most of a run
    try:
        lines = map(parse_json, _whole_lines(path))
        first: Any = next(lines, {})
        if first["schema"] != SCHEMA:
            raise ValueError(f"its schema is {short_repr(first['schema'])}")
        header = {"study": str(first["study"]), "about": dict(first["about"])}
        for line in lines:
            if "session" in line:
                sessions.append(dict(line["session"]))
                continue
            run = dict(line["run"])
            if "plan" in run:
                run["plan"] = plans.setdefault(json.dumps(run["plan"]), run["plan"])
            runs.append(run)
    except OSError as error:
        raise DifflrError(f"{path} cannot be read: {error.strerror}.", "Pass a journal.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise not_ours(path, "journal", str(error)) from error
    return header, sessions, runs


def _whole_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file, but for a torn last one; ValueError where it is far too large."""
    read = 0
    with path.open("rb") as file:
        while line := file.readline(_LONGEST):
            read += len(line)
            whole = line.endswith(b"\n")
            if read > _LARGEST or (not whole and len(line) == _LONGEST):
                raise ValueError("it is far larger than any file of its kind")
            if whole:
                yield line


def write_journal(
    path: Path,
    study: str,
    about: Mapping[str, Any],
    sessions: Sequence[Mapping[str, Any]],
    runs: Sequence[Mapping[str, Any]],
) -> None:
    """Write a whole journal in one step; one that is there already is left alone.

    Args:
        path, study, about: as for ``Journal``.
        sessions: in which the runs were made.
        runs: each with the index of its ``session``.
    """
    lines: list[Mapping[str, Any]] = [{"schema": SCHEMA, "study": study, "about": about}]
    lines += [{"session": session} for session in sessions]
    lines += [{"run": run} for run in runs]
    with writing(path):
        write_whole(path, b"".join(map(_line, lines)), replace=False)


def _line(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, separators=(",", ":"), allow_nan=False) + "\n").encode()


def not_ours(path: Path, kind: str, why: str) -> DifflrError:
    """Say that a file is none of this kind, and what to do with it."""
    return DifflrError(
        f"{path} is no {kind} of difflr: {short_repr(why)}.",
        "Move it away, or pass another folder with --out.",
    )
