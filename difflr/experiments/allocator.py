"""What glibc does with freed memory: kept from step to step while training, handed back afterwards.

Every step of training frees its gradients and features and asks for the same again. By default glibc
returns such large pieces to the system, which then has to clear and map thousands of pages anew.
Where the allocator is another one (macOS, Windows, musl), nothing happens.
"""

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["keep_freed_memory", "release_freed_memory"]

# mallopt(3): from how many bytes on a piece is mapped on its own, how many free ones stay at the end.
_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD = -3, -1
_KEPT = 1 << 30, 1 << 30
_USUAL = 32 << 20, 64 << 20  # what glibc lets both grow to by itself; once set, they do not grow


@contextmanager
def keep_freed_memory() -> Iterator[None]:
    """Keep up to 1 GiB of freed memory inside the block, and hand it back at its end."""
    _set_thresholds(*_KEPT)
    try:
        yield
    finally:
        _set_thresholds(*_USUAL)
        release_freed_memory()


def release_freed_memory() -> None:
    """Return all free memory to the system, also the pieces between what is in use (malloc_trim(3))."""
    if libc := _glibc():
        libc.malloc_trim(0)


def _set_thresholds(mapped: int, trimmed: int) -> None:
    if libc := _glibc():
        libc.mallopt(_M_MMAP_THRESHOLD, mapped)
        libc.mallopt(_M_TRIM_THRESHOLD, trimmed)


def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
