"""The best of several passes, on a clock that the test drives."""

import pytest

from odllm_agent.engines import ceiling_passes


class Passes:
    """Passes of known length on a clock of their own."""

    def __init__(self, *lengths_s: float) -> None:
        self.left = list(lengths_s)
        self.now_s = 0.0

    def run(self) -> None:
        self.now_s += self.left.pop(0)


def best(monkeypatch: pytest.MonkeyPatch, driven: Passes, amount: float, budget_s: float) -> float:
    monkeypatch.setattr(ceiling_passes, "monotonic_ns", lambda: driven.now_s)
    monkeypatch.setattr(ceiling_passes, "seconds_since", lambda start: driven.now_s - start)
    return ceiling_passes.best_per_s(amount, driven.run, budget_s)


def test_the_quickest_pass_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert best(monkeypatch, Passes(9, 4, 2, 5), 100, budget_s=0) == 50


def test_the_first_pass_only_warms_up(monkeypatch: pytest.MonkeyPatch) -> None:
    assert best(monkeypatch, Passes(1, 4, 4, 4), 100, budget_s=0) == 25


def test_passes_go_on_until_the_budget_is_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    driven = Passes(*[1.0] * 20)
    best(monkeypatch, driven, 1, budget_s=6)
    assert len(driven.left) == 20 - 1 - 6
