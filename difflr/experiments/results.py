"""The runs of a comparison: kept in a journal, and written as ``results.json`` for readers."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from difflr.errors import as_int, as_number, short_repr
from difflr.experiments.provenance import describe_machine
from difflr.runs.journal import Journal, not_ours
from difflr.written.files import write_whole, writing

__all__ = ["Results"]

SCHEMA = 1


class Results:
    """The runs of one comparison, in files that always hold all finished ones.

    They are kept in a journal beside ``path`` (``results.jsonl``), to which several processes may add,
    and written from there as JSON for readers: ``schema``; what holds for all runs (the dictionaries
    of ``about``: ``data``, ``weights``, ``settings``); ``versions``; ``sessions`` (date, machine and
    versions of each call that added runs); and ``runs``, a list with ``recipe``, ``seed``,
    ``accuracy`` (0 to 1), ``loss``, ``seconds``, ``trainable_share``, ``plan`` (as ``Plan.to_dict``)
    and ``session`` (an index) for each. A run that diverged has ``"diverged": true``, and null for
    accuracy and loss. A file of that name without its journal is somebody else's, and stays as it is.

    Raises:
        DifflrError: for such a file, one that cannot be written, or a journal of other settings or pictures.
    """

    def __init__(
        self, path: Path, about: Mapping[str, Mapping[str, Any]], versions: Mapping[str, str]
    ) -> None:
        self.path = path
        self.about: dict[str, dict[str, Any]] = json.loads(json.dumps(about))
        self._session = {**describe_machine(), "versions": dict(versions)}
        self._opened = False
        journal = path.with_suffix(".jsonl")
        if path.exists() and not path.is_file():  # to read a pipe would be to wait
            raise not_ours(path, "results file", "it is no regular file")
        if path.exists() and not journal.exists():
            raise not_ours(path, "results file", f"its journal {journal.name} is not there")
        self._journal = Journal(journal, "compare", self.about, shared=True)
        try:
            for run in self.runs:
                _check(run)
            for session in self._journal.sessions:
                if not isinstance(session.get("versions", {}), Mapping):
                    raise TypeError(f"a session is {short_repr(session)}")
        except TypeError as error:
            raise not_ours(journal, "results file", str(error)) from error
        with self._journal.locked():
            self._write()

    @property
    def runs(self) -> list[dict[str, Any]]:
        """All finished runs, in the order in which they ended."""
        return self._journal.runs

    @property
    def versions(self) -> dict[str, str]:
        """The versions that runs were made with; where sessions differ, all of them."""
        found: dict[str, dict[str, None]] = {}
        for session in self._journal.sessions or [self._session]:
            for name, version in session.get("versions", {}).items():
                found.setdefault(name, {})[str(version)] = None
        return {name: ", ".join(each) for name, each in found.items()}

    def find(self, recipe: str, seed: int) -> dict[str, Any] | None:
        """Return the finished run of ``recipe`` and ``seed``, or None."""
        return next((run for run in self.runs if _key(run) == (recipe, seed)), None)

    def refresh(self) -> None:
        """Read the runs that other processes have added."""
        with self._journal.locked():
            pass

    def add(self, run: Mapping[str, Any]) -> bool:
        """Keep a finished run, on disk too before this returns; False if another process has added it."""
        with self._journal.locked():
            if self.find(*_key(run)):
                return False
            if not self._opened:
                self._journal.open_session(self._session)
                self._opened = True
            self._journal.add(run)
            self._write()
            return True

    def _write(self) -> None:
        data = {
            "schema": SCHEMA,
            **self.about,
            "versions": self.versions,
            "sessions": self._journal.sessions,
            "runs": self.runs,
        }
        content = json.dumps(data, indent=1, allow_nan=False).encode()
        again = "make room, then give the same command again"
        with writing(self.path, f"All finished runs are in {self._journal.path}: {again}."):
            if not self.path.exists() or self.path.read_bytes() != content:
                write_whole(self.path, content)


def _key(run: Mapping[str, Any]) -> tuple[str, int]:
    return run["recipe"], run["seed"]


def _check(run: Mapping[str, Any]) -> None:
    """Raise TypeError or DifflrError for a run that cannot be relied on."""
    if not isinstance(run.get("recipe"), str):
        raise TypeError(f"a run is {short_repr(run)}")
    as_int("seed", run.get("seed"))
    if not run.get("diverged"):
        as_number("accuracy", run.get("accuracy"), 0.0, 1.0)
    as_number("seconds", run.get("seconds"), 0.0)
    as_number("trainable_share", run.get("trainable_share"), 0.0, 1.0)
    if not isinstance(run.get("plan"), Mapping):
        raise TypeError(f"run {run['recipe']} has no plan")
