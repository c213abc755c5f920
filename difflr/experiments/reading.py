"""What became of the files of a folder: how many pictures were read, what was skipped, and why."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from difflr.errors import first_few

__all__ = ["Reading", "describe_reading", "readable"]

_NAMED = 3  # files of a kind that are named; all are counted


@dataclass
class Reading:
    """Counts of a folder's files: ``read``, ``skipped`` and ``remarks`` by reason.

    ``skipped`` and ``remarks`` map a reason to the files, relative to ``root``.
    """

    root: Path
    read: int = 0
    skipped: dict[str, list[str]] = field(default_factory=dict)
    remarks: dict[str, list[str]] = field(default_factory=dict)

    def skip(self, file: Path, reason: str) -> None:
        """Count a file that is not read."""
        self.skipped.setdefault(reason, []).append(self.name(file))

    def remark(self, file: Path, remark: str) -> None:
        """Count a file that is read, but not as it stands there."""
        self.remarks.setdefault(remark, []).append(self.name(file))

    def name(self, file: Path) -> str:
        """Return a file's name below ``root``, in characters that can be printed."""
        return readable(file.relative_to(self.root).as_posix())

    def skipped_in(self, folder: Path) -> str:
        """Say what was skipped below a folder: ``"3 skipped: an empty file (2), …"``, or nothing."""
        start = f"{self.name(folder)}/"
        counts = {
            reason: sum(file.startswith(start) for file in files)
            for reason, files in self.skipped.items()
        }
        said = [f"{reason} ({count})" for reason, count in counts.items() if count]
        return f"{sum(counts.values())} skipped: {first_few(said)}" if said else ""

    def describe(self) -> str:
        """Return lines of text: what was skipped and why, and what was changed while reading."""
        return describe_reading(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return the counts for a file of results, with the first names of each kind."""
        kinds = {
            name: {
                reason: {"count": len(files), "first": files[:_NAMED]}
                for reason, files in sorted(kind.items())
            }
            for name, kind in (("skipped", self.skipped), ("changed", self.remarks))
        }
        return {"read": self.read, **kinds}


def describe_reading(counts: Mapping[str, Any]) -> str:
    """Return as text what ``Reading.to_dict`` returned; "" where nothing was skipped or changed."""
    lines = []
    for kind in ("skipped", "changed"):
        for reason, files in counts.get(kind, {}).items():
            named = ", ".join(files["first"])
            more = files["count"] - len(files["first"])
            lines.append(
                f"{kind:>9} {files['count']:>5}  {reason}: {named}" + f", {more} more" * (more > 0)
            )
    return "\n".join([f"{counts['read']} pictures read.", *lines]) if lines else ""


def readable(name: str) -> str:
    """Return a file's name in characters that can be printed, whatever bytes it is made of."""
    return "".join(
        c if c.isprintable() else repr(c)[1:-1]
        for c in os.fsencode(name).decode("utf-8", "backslashreplace")
    )
