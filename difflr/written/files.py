"""Files: paths given by a person; what others wrote read within limits; ours written whole or not at all."""

import errno
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from difflr.errors import DifflrError, short_repr

__all__ = [
    "MOST_BYTES",
    "MOST_VALUES",
    "hold",
    "holding",
    "parse_json",
    "read_within",
    "user_path",
    "write_whole",
    "writing",
]

# Of one file; the largest recording that comes with difflr has a third of one.
MOST_BYTES = 64 * 2**20
MOST_VALUES = 2 * 10**6  # a value takes about a hundred bytes of memory, and two in a file


def user_path(text: str) -> Path:
    """Return the path that a person wrote, ``~`` replaced by a home folder.

    Raises:
        DifflrError: where ``~name`` names nobody, or no file can have such a name.
    """
    try:
        path = Path(text).expanduser()
        path.lstat()
    except (OSError, ValueError) as error:  # most are for the reader of the path to say
        if isinstance(error, OSError) and error.errno != errno.ENAMETOOLONG:
            return path
        raise DifflrError(
            f"Received the path {short_repr(text)}, which no file can have as its name.",
            "Pass a shorter one, without NUL.",
        ) from error
    except RuntimeError as error:
        raise DifflrError(
            f"Received the path {short_repr(text)}, but there is no home folder of that user.",
            "Write ./ before a name that begins with ~.",
        ) from error
    return path


def read_within(path: Path, most: int = MOST_BYTES) -> bytes:
    """Return the bytes of a file.

    Raises:
        OSError: where it cannot be read.
        ValueError: where it is larger than ``most`` bytes (a device never ends).
    """
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError("it is far larger than any file of its kind")
    return content


def parse_json(content: bytes, most: int = MOST_VALUES) -> Any:
    """Return what JSON says, in any encoding of Unicode; ``NaN`` and infinities are null.

    Raises:
        ValueError: for what is no JSON, holds more than ``most`` values, or is nested too deeply.
    """
    if sum(map(content.count, (b",", b"[", b"{"))) > most:
        raise ValueError("it holds far more values than any file of its kind")
    try:
        return json.loads(content, parse_constant=lambda _: None)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


@contextmanager
def writing(path: Path, remedy: str = "Pass another folder with --out.") -> Iterator[None]:
    """Say of an OSError inside the block that ``path`` cannot be written, and what to do."""
    try:
        yield
    except OSError as error:
        raise DifflrError(f"{path} cannot be written: {error.strerror}.", remedy) from error


def write_whole(path: Path, content: bytes, *, replace: bool = True) -> None:
    """Write a file in one step, through a draft beside it; its folder is made where it is missing.

    Args:
        path: of the file.
        content: all of it.
        replace: False leaves a file that is there, also one that another process has just written.

    Raises:
        OSError: where it cannot be written; what was there is unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        with draft.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            draft.replace(path)
        else:
            _link(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _link(draft: Path, path: Path) -> None:
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        if not path.exists():
            draft.replace(path)


@contextmanager
def holding(folder: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold a folder, as ``hold`` does, for the block; where it cannot be opened, nothing is ever taken."""
    try:
        file = os.open(folder, os.O_RDONLY)
    except (PermissionError, FileNotFoundError, NotADirectoryError):  # Windows opens no folders
        yield True
        return
    try:
        yield hold(file, wait=wait)
    finally:
        os.close(file)


def hold(file: int, *, wait: bool = True) -> bool:
    """Lock an open file or folder against other processes until it is closed; False where it is taken.

    Where the system has no such locks (Windows, some network drives), nothing is ever taken.
    """
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.EBADF):
            raise
    return True
