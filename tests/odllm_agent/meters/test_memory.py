"""The memory of a process, by the kernel's own accounting."""

import mmap
import sys
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.contract import HeldMemory
from odllm_agent.meters.memory import (
    Mapping,
    _told_by_psutil,
    held_memory,
    mappings,
    peak_rss_bytes,
    split,
    status_bytes,
)

STATUS = """\
Name:\tpython
VmPeak:\t  123456 kB
VmHWM:\t   61860 kB
VmRSS:\t   51860 kB
RssAnon:\t   31824 kB
RssFile:\t   20036 kB
"""


def test_a_field_of_the_kernels_status_is_read_in_bytes() -> None:
    assert status_bytes(STATUS, "VmHWM") == 61860 * 1024
    assert status_bytes(STATUS, "RssAnon") == 31824 * 1024


def test_a_field_that_is_not_there_is_missing_not_zero() -> None:
    assert status_bytes(STATUS, "VmSwap") is None
    assert status_bytes("", "VmHWM") is None


def test_the_peak_stays_when_memory_is_given_back() -> None:
    size = peak_rss_bytes() + 64 * 2**20
    block = mmap.mmap(-1, size)
    for page in range(0, size, mmap.PAGESIZE):
        block[page] = 1
    block.close()
    # The kernel adds up its counters per processor, a few pages at a time.
    assert peak_rss_bytes() >= 0.99 * size
    assert psutil.Process().memory_info().rss < 0.99 * size


# Of a process under Linux 6.18: a model of which some pages were written to, a library, memory of
# the process's own, and what the kernel gives a name.
SMAPS = """\
7f12a0000000-7f12a4000000 r--p 00001000 fe:00 260386                     /models/mine F16.gguf
Size:              65536 kB
KernelPageSize:        4 kB
Rss:               60000 kB
Pss:               30000 kB
Private_Dirty:         8 kB
Referenced:        60000 kB
Anonymous:             8 kB
Swap:                  0 kB
SwapPss:               0 kB
VmFlags: rd mr mw me
7f12a4000000-7f12a4100000 r-xp 00000000 fe:00 17                         /usr/lib/libc.so.6
Rss:                1024 kB
Anonymous:             0 kB
Swap:                  0 kB
7f12b0000000-7f12b8000000 rw-p 00000000 00:00 0\x20
Rss:              100000 kB
Anonymous:        100000 kB
Swap:                300 kB
SwapPss:             150 kB
7ffcb6148000-7ffcb6169000 rw-p 00000000 00:00 0                          [stack]
Rss:                  40 kB
Anonymous:            40 kB
Swap:                  0 kB
"""
KIB = 1024


def test_the_parts_of_a_process_are_read_as_the_kernel_writes_them() -> None:
    assert split(mappings(SMAPS), Path("/models")) == HeldMemory(
        rss_bytes=161_064 * KIB,
        mapped_bytes=59_992 * KIB,
        anonymous_bytes=100_048 * KIB,
        swapped_bytes=300 * KIB,
    )


def test_only_files_of_the_models_own_folder_are_the_model() -> None:
    names = [mapping.path for mapping in mappings(SMAPS)]
    assert names == ["/models/mine F16.gguf", "/usr/lib/libc.so.6", "", "[stack]"]
    for folder in ("/", "/models/mine", "/usr"):
        assert split(mappings(SMAPS), Path(folder)).mapped_bytes == 0


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6))))
def test_no_part_is_lost_or_counted_twice(sizes: list[tuple[int, int]]) -> None:
    found = [Mapping("/m/a.gguf", rss + own, own, 0) for rss, own in sizes]
    told = split([*found, Mapping("/lib/x.so", 7, 0, 0)], Path("/m"))
    assert told.rss_bytes == (told.mapped_bytes or 0) + (told.anonymous_bytes or 0) + 7


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_own_memory_and_a_mapped_file_are_told_apart(tmp_path: Path) -> None:
    size = 32 * 2**20
    file = tmp_path / "model.gguf"
    file.write_bytes(bytes(size))
    before = held_memory(tmp_path)
    own = bytearray(b"x" * size)
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        assert sum(mapped[:: mmap.PAGESIZE]) == 0
        after = held_memory(tmp_path)
        without_the_kernel = _told_by_psutil(tmp_path)
    assert (before.mapped_bytes, after.mapped_bytes) == (0, size)
    assert without_the_kernel.mapped_bytes == size
    assert without_the_kernel.anonymous_bytes is None
    assert without_the_kernel.reason
    assert (after.anonymous_bytes or 0) - (before.anonymous_bytes or 0) > len(own) // 2
