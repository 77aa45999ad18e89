"""Waiting for what another process does."""

import time
from collections.abc import Callable

_LOOK_EVERY_S = 0.1


def wait_until(holds: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Waits until something holds.

    Raises:
        TimeoutError: It does not within the time.
    """
    end = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {timeout_s} s: {what}")
        time.sleep(_LOOK_EVERY_S)
