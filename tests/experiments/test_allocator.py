"""Freed memory stays while a run trains, and goes back to the system afterwards."""

import os
import platform
import subprocess
import sys

import pytest

from difflr.experiments import allocator

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator is not glibc's")
MIB = 2**20

FRESH = """
import resource
from pathlib import Path
from difflr.experiments import allocator
MIB = 2**20
def mapped_pages():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def resident_pages():
    return int(Path("/proc/self/statm").read_text().split()[1])
"""


def fresh(code: str) -> list[int]:
    """Run code in a process whose heap nothing else has used, and return the numbers it prints."""
    done = subprocess.run(
        [sys.executable, "-c", FRESH + code], capture_output=True, text=True, check=True
    )
    return [int(number) for number in done.stdout.split()]


@glibc
def test_within_the_block_freed_memory_is_used_again():
    """Once there is room, a piece of 40 MiB (always mapped by default) costs no page anew."""
    (count,) = fresh("""
with allocator.keep_freed_memory():
    b"x" * (200 * MIB)
    before = mapped_pages()
    for n in range(10):
        bytes([n]) * (40 * MIB)
    print(mapped_pages() - before)
""")
    assert count < 1000  # by default 10 times 10,240


def test_after_the_block_the_thresholds_are_the_usual_ones(monkeypatch):
    """What the process does later is as if there had been no block; then the memory goes back."""
    calls = []

    class Libc:
        def mallopt(self, what, value):
            calls.append((what, value))

        def malloc_trim(self, pad):
            calls.append("trim")

    monkeypatch.setattr(allocator, "_glibc", Libc)
    with allocator.keep_freed_memory():
        assert calls == [(-3, 1024 * MIB), (-1, 1024 * MIB)]  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD
    assert calls[2:] == [(-3, 32 * MIB), (-1, 64 * MIB), "trim"]


@glibc
def test_after_the_block_it_is_handed_back():
    """What was freed inside does not stay with the process, also when an error ends the block."""
    before, inside, after = fresh("""
before = resident_pages()
try:
    with allocator.keep_freed_memory():
        blocks = [bytes([n]) * (20 * MIB) for n in range(10)]
        pin = b"x" * 1000  # above the blocks, so that they are not at the heap's end
        del blocks
        inside = resident_pages()
        raise KeyboardInterrupt
except KeyboardInterrupt:
    print(before, inside, resident_pages())
""")
    mib = MIB // os.sysconf("SC_PAGE_SIZE")
    assert inside > before + 150 * mib
    assert after < before + 50 * mib


def test_another_allocator_is_left_alone(monkeypatch):
    """On macOS, Windows or musl the block does nothing."""
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr("ctypes.CDLL", None)
    with allocator.keep_freed_memory():
        pass
