"""Files that a reader finds whole: the old one or the new one, never a half."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from difflr.errors import DifflrError

__all__ = ["write_whole", "writing"]


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
