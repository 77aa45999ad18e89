"""A clock that a test sets by hand."""

import pytest

from odllm_agent.clock import NS_PER_S


class HandClock:
    """A monotonic clock that stands still until it is advanced."""

    def __init__(self) -> None:
        self._now_ns = NS_PER_S

    def __call__(self) -> int:
        return self._now_ns

    def advance(self, seconds: float) -> None:
        """Lets so much time pass."""
        self._now_ns += round(seconds * NS_PER_S)


def set_in(monkeypatch: pytest.MonkeyPatch, *modules: object) -> HandClock:
    """A clock that these modules read."""
    clock = HandClock()
    for module in modules:
        monkeypatch.setattr(module, "monotonic_ns", clock)
    return clock
