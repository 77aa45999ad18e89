"""The only clock: every duration and every time stamp of ODLLM is read here."""

import time
from datetime import UTC, datetime

NS_PER_S = 1_000_000_000


def monotonic_ns() -> int:
    """A monotonic time in nanoseconds, for differences only."""
    return time.perf_counter_ns()


def seconds_between(start_ns: int, end_ns: int) -> float:
    """The seconds from one `monotonic_ns` to a later one."""
    return (end_ns - start_ns) / NS_PER_S


def seconds_since(start_ns: int) -> float:
    """The seconds from a `monotonic_ns` until now."""
    return seconds_between(start_ns, monotonic_ns())


def now() -> datetime:
    """The wall-clock time in UTC, for time stamps only."""
    return datetime.now(UTC)


def local_now() -> datetime:
    """The wall-clock time where this device is, for the hours of its day only."""
    return datetime.now().astimezone()
