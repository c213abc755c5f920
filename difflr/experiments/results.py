"""``results.json``: written after every run, so that nothing that was measured is ever lost."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from difflr.errors import DifflrError, as_int, as_number, short_repr
from difflr.experiments.settings import with_later_settings

__all__ = ["Results"]

SCHEMA = 1


class Results:
    """The runs of one comparison, in a file that always holds all finished ones.

    The file has ``schema``; what holds for all runs (the dictionaries of ``about``: ``data``,
    ``weights``, ``settings``; and ``versions``); and ``runs``, a list with ``recipe``, ``seed``,
    ``accuracy`` (0 to 1), ``loss``, ``seconds``, ``trainable_share`` and ``plan`` (as
    ``Plan.to_dict``) for each.
    """

    def __init__(
        self, path: Path, about: Mapping[str, Mapping[str, Any]], versions: Mapping[str, str]
    ) -> None:
        self.path = path
        self.about = json.loads(json.dumps(about))
        self.versions = dict(versions)
        self.runs: list[dict[str, Any]] = []
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            found = path.read_text("utf-8") if path.exists() else None
            if found is None:
                self._write()  # now rather than after the first run, if it cannot be written
        except OSError as error:
            raise DifflrError(
                f"{path} cannot be written: {error.strerror}.", "Pass another folder with --out."
            ) from error
        if found is not None:
            self._continue(found)

    def find(self, recipe: str, seed: int) -> dict[str, Any] | None:
        """Return the finished run of ``recipe`` and ``seed``, or None."""
        return next((r for r in self.runs if r["recipe"] == recipe and r["seed"] == seed), None)

    def add(self, run: Mapping[str, Any]) -> None:
        """Keep a finished run, on disk too before this returns."""
        self.runs.append(dict(run))
        try:
            self._write()
        except OSError as error:
            raise DifflrError(
                f"{self.path} cannot be written any more: {error.strerror}; the runs up to the last one "
                "are in it.",
                "Make room, then give the same command again: it goes on from there.",
            ) from error

    def _continue(self, text: str) -> None:
        """Take over the runs of an earlier call, if they were made under the same settings."""
        try:
            data = json.loads(text)
            about = {part: with_later_settings(data[part], now) for part, now in self.about.items()}
            runs = [_checked(run) for run in data["runs"]]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise DifflrError(
                f"{self.path} is no results file of difflr: {short_repr(str(error))}.",
                "Move it away, or pass another folder with --out.",
            ) from error
        changes = [
            f"{key}: there {short_repr(there.get(key))}, now {short_repr(now.get(key))}"
            for there, now in ((about[part], self.about[part]) for part in self.about)
            for key in {**there, **now}
            if there.get(key) != now.get(key)
        ]
        if changes:
            raise DifflrError(
                f"{self.path} holds runs made under other settings ({'; '.join(changes)}).",
                "Give the same settings to go on, or pass another folder with --out.",
            )
        self.runs = runs

    def _write(self) -> None:
        data = {
            "schema": SCHEMA,
            **self.about,
            "versions": self.versions,
            "runs": self.runs,
        }
        draft = self.path.with_name(self.path.name + f".{os.getpid()}.part")
        try:
            with draft.open("w", encoding="utf-8") as file:
                json.dump(data, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)  # a reader finds the old file or the new one, never a half
        finally:
            draft.unlink(missing_ok=True)


def _checked(run: Any) -> dict[str, Any]:
    if not isinstance(run, Mapping) or not isinstance(run.get("recipe"), str):
        raise TypeError(f"a run is {short_repr(run)}")
    as_int("seed", run.get("seed"))
    as_number("accuracy", run.get("accuracy"), 0.0, 1.0)
    as_number("seconds", run.get("seconds"), 0.0)
    as_number("trainable_share", run.get("trainable_share"), 0.0, 1.0)
    if not isinstance(run.get("plan"), Mapping):
        raise TypeError(f"run {run['recipe']} has no plan")
    return dict(run)
