"""What is left when a command fails by a mistake of difflr's own: one line, and a log that holds the rest."""

import os
import platform
import sys
import tempfile
import traceback

from difflr import __version__
from difflr.errors import short_repr

__all__ = ["FAILED", "is_out_of_memory", "report", "tell"]

FAILED = 70  # EX_SOFTWARE of BSD's sysexits.h


def tell(text: object) -> None:
    """Print one line on stderr, whatever stands in a name that the message repeats."""
    print(f"difflr: error: {' '.join(str(text).split())}", file=sys.stderr)


def report(error: BaseException) -> int:
    """Write the traceback into a new file, say where it is, and return the exit status."""
    what = type(error).__name__ + (f": {short_repr(str(error), 200)}" if str(error) else "")
    try:
        handle, path = tempfile.mkstemp(prefix="difflr-", suffix=".log")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            system = f"Python {platform.python_version()}, {platform.platform()}"
            trace = "".join(traceback.format_exception(error))
            file.write(f"difflr {__version__}, {system}\n{sys.argv!r}\n\n{trace}")
        where = f"The traceback is in {path}: please report it."
    except OSError as failed:
        where = f"The traceback could not be kept ({failed.strerror})."
    tell(f"A mistake of difflr itself, or of a package below it: {what}. {where}")
    return FAILED


def is_out_of_memory(error: BaseException) -> bool:
    """Whether there was too little memory: Python, torch on the CPU and torch on a GPU say it differently."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))
    )
