"""What the benchmark of energy makes of windows whose figures are known."""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmarks import energy
from tests import driven


@contextlib.contextmanager
def nothing(*_: object) -> Iterator[None]:
    yield


def told(monkeypatch: pytest.MonkeyPatch, **window: Any) -> tuple[str, list[str]]:
    """What is printed of one window of two seconds at 28 W, and what is not met."""
    found = {"seconds": 2.0, "ours_j": 56.0, "theirs_j": 56.0, "turns": 0} | window
    monkeypatch.setattr(driven, "drawing", nothing)
    monkeypatch.setattr(energy, "_within", lambda *_: [found])
    paper = io.StringIO()
    unmet = energy._told_windows(Console(file=paper, width=200), Path("tree"))
    return paper.getvalue(), unmet


def test_a_window_within_a_hundredth_is_as_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    text, unmet = told(monkeypatch, ours_j=56.5)
    assert "ODLLM +0.89 %, pyRAPL +0.00 %" in text
    assert unmet == []


@pytest.mark.parametrize("ours_j", [57.0, 55.0, None])
def test_a_window_that_is_off_or_has_no_figure_is_not(
    monkeypatch: pytest.MonkeyPatch, ours_j: float | None
) -> None:
    _, unmet = told(monkeypatch, ours_j=ours_j)
    assert len(unmet) == 1


def test_what_pyrapl_cannot_tell_through_a_turn_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    text, unmet = told(monkeypatch, theirs_j=None, turns=1)
    assert "pyRAPL no figure, whole turns of the counter: 1" in text
    assert unmet == []
