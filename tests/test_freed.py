"""Freed memory stays while a run trains, and goes back to the system afterwards."""

import os
import platform
import resource
from pathlib import Path

import pytest
import torch

from difflr import freed

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator is not glibc's")
MIB = 2**20


def mapped_pages() -> int:
    """How many pages the system has mapped so far because this process touched them."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def resident() -> int:
    """Bytes of memory that this process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@glibc
def test_within_the_block_freed_memory_is_used_again():
    """Once there is room, a tensor of 40 MiB (always mapped by default) costs no page anew."""
    with freed.kept():
        torch.ones(200 * MIB, dtype=torch.uint8)
        before = mapped_pages()
        for _ in range(10):
            torch.ones(40 * MIB, dtype=torch.uint8)
        assert mapped_pages() - before < 1000  # by default 10 times 10,240


@glibc
def test_after_the_block_large_pieces_are_mapped_again():
    """The block changes nothing for what the process does later."""
    with freed.kept():
        pass
    before = mapped_pages()
    for _ in range(10):
        torch.ones(40 * MIB, dtype=torch.uint8)
    assert mapped_pages() - before >= 10 * 40 * MIB // os.sysconf("SC_PAGE_SIZE") * 0.9


@glibc
def test_after_the_block_it_is_handed_back():
    """What was freed inside does not stay with the process, also when an error ends the block."""
    freed.hand_back()
    before = resident()

    def interrupted():
        with freed.kept():
            blocks = [torch.ones(20 * MIB, dtype=torch.uint8) for _ in range(10)]
            pins.append(
                torch.ones(1000)
            )  # above the blocks, so that they are not at the heap's end
            del blocks
            assert resident() > before + 150 * MIB
            raise KeyboardInterrupt

    pins = []
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert resident() < before + 50 * MIB
    assert pins[0].sum() == 1000


def test_another_allocator_is_left_alone(monkeypatch):
    """On macOS, Windows or musl the block does nothing."""
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr("ctypes.CDLL", None)
    with freed.kept():
        pass
