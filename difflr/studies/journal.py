"""A journal: one line of JSON per finished run, on disk before the next one starts.

A kill, even ``kill -9`` in the middle of a line, costs at most the run that was being written.
"""

import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from difflr.errors import DifflrError, short_repr
from difflr.experiments.settings import with_later_settings

__all__ = ["Journal", "read_journal"]

SCHEMA = "difflr-journal/1"
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)


class Journal:
    """The runs of a study in a file that is only ever added to; used as a context manager.

    The first line holds ``schema``, ``study`` and ``about`` (what all runs share). Each call that adds
    runs writes a ``session`` line first (versions, machine, date), then one ``run`` line per run. A
    torn last line is dropped when the file is opened. One process at a time may hold the file.

    Raises:
        DifflrError: for a file of another study or other settings, a damaged one, one that another
            process holds, or one that cannot be written.
    """

    def __init__(self, path: Path, study: str, about: Mapping[str, Any]) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, _FLAGS, 0o644)
        except OSError as error:
            raise DifflrError(
                f"{path} cannot be written: {error.strerror}.", "Pass another folder with --out."
            ) from error
        try:
            self._lock()
            self._drop_torn_line()
            if not os.path.getsize(path):
                self._append({"schema": SCHEMA, "study": study, "about": about})
            header, self.sessions, self.runs = read_journal(path)
            self._compare(header, study, json.loads(json.dumps(about)))
        except BaseException:
            os.close(self._file)
            raise

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def open_session(self, session: Mapping[str, Any]) -> None:
        """Write where and with what the runs that follow were made."""
        self._append({"session": session})
        self.sessions.append(dict(session))

    def add(self, run: Mapping[str, Any]) -> None:
        """Keep a finished run; it is on disk when this returns."""
        run = {**run, "session": len(self.sessions) - 1}
        self._append({"run": run})
        self.runs.append(run)

    def _append(self, line: Mapping[str, Any]) -> None:
        data = (json.dumps(line, separators=(",", ":"), allow_nan=False) + "\n").encode()
        size = os.fstat(self._file).st_size
        try:
            if os.write(self._file, data) != len(data):
                raise OSError(errno.ENOSPC, "No space left on device")
            os.fsync(self._file)
        except OSError as error:
            os.ftruncate(self._file, size)  # no half line before the next one
            raise DifflrError(
                f"{self.path} cannot be written any more: {error.strerror}; the runs in it are kept.",
                "Make room, then give the same command again: it goes on from there.",
            ) from error

    def _lock(self) -> None:
        try:
            import fcntl
        except ImportError:  # Windows
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DifflrError(
                f"Another process is adding runs to {self.path}.", "Wait for it, or stop it."
            ) from error

    def _drop_torn_line(self) -> None:
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if content and not whole and not b'{"schema":'.startswith(content[:10]):
            raise _damaged(self.path, "its first line is not complete")  # not a file of ours
        if whole < len(content):
            os.ftruncate(self._file, whole)

    def _compare(self, header: Mapping[str, Any], study: str, about: Mapping[str, Any]) -> None:
        there = {"study": header["study"], **with_later_settings(header["about"], about)}
        now = {"study": study, **about}
        changed = [key for key in {**there, **now} if there.get(key) != now.get(key)]
        if changed:
            changes = "; ".join(
                f"{k}: there {short_repr(there.get(k))}, now {short_repr(now.get(k))}"
                for k in changed
            )
            raise DifflrError(
                f"{self.path} holds runs made under other settings ({changes}).",
                "Give the same settings to go on, or pass another folder with --out.",
            )


def read_journal(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]:
    """Return header, sessions and runs of a journal; a torn last line is left out.

    Raises:
        DifflrError: for a file that is missing or is no journal.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise DifflrError(f"{path} cannot be read: {error.strerror}.", "Pass a journal.") from error
    sessions, runs = [], []
    try:
        first, *lines = [json.loads(line) for line in text[: text.rfind(b"\n") + 1].splitlines()]
        if first["schema"] != SCHEMA:
            raise ValueError(f"its schema is {short_repr(first['schema'])}")
        header = {"study": str(first["study"]), "about": dict(first["about"])}
        for line in lines:
            if "session" in line:
                sessions.append(dict(line["session"]))
            else:
                runs.append(dict(line["run"]))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(path, str(error)) from error
    return header, sessions, runs


def _damaged(path: Path, why: str) -> DifflrError:
    return DifflrError(
        f"{path} is no journal of difflr: {short_repr(why)}.",
        "Move it away, or pass another folder with --out.",
    )
