"""How much this process reads from files."""

from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest


@contextmanager
def at_most_read(n_bytes: int) -> Iterator[None]:
    """Fails if more is read meanwhile; skips where the system does not tell."""
    process = psutil.Process()
    if not hasattr(process, "io_counters"):
        pytest.skip("this system does not tell what a process reads")
    before = process.io_counters().read_chars
    yield
    assert process.io_counters().read_chars - before <= n_bytes
