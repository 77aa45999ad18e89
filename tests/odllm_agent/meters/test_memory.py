import mmap
import sys

import psutil
import pytest

from odllm_agent.meters.memory import anonymous_bytes, peak_rss_bytes, status_bytes

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


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_anonymous_memory_grows_by_what_no_file_backs() -> None:
    before = anonymous_bytes()
    assert before is not None
    block = bytearray(b"x" * (32 * 2**20))
    after = anonymous_bytes()
    assert after is not None
    assert after - before > len(block) // 2
