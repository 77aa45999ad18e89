"""Breaks: by formula with noise, by hand, and where there is none."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from odllm_controller.analysis.scaling.breaks import Break, breaks
from odllm_controller.analysis.scaling.curves import ALL_TYPES, FITTED, QUANTIZED_TYPES, Against
from tests.odllm_controller.analysis import formula
from tests.result_frames import frame

(TPOT,) = (metric for metric in FITTED if metric.name == "tpot_s")
BREAK_BPW = 5.2
Figures = Callable[[float, float, np.random.Generator], formula.Row]


def bent(bpw: float, noise: float, chance: np.random.Generator) -> formula.Row:
    return formula.noisy("tpot_s", 0.01 + 0.001 * bpw + 0.003 * max(0, bpw - 5.2), noise, chance)


def straight(bpw: float, noise: float, chance: np.random.Generator) -> formula.Row:
    return formula.noisy("tpot_s", 0.004 + 0.002 * bpw, noise, chance)


def rows(figures: Figures, noise: float, seed: int) -> list[formula.Row]:
    chance = np.random.default_rng(seed)
    return formula.types(lambda bpw: figures(bpw, noise, chance), formula.MANY)


def made(figures: Figures, noise: float) -> pd.DataFrame:
    return frame(*rows(figures, noise, 0))


def many(figures: Figures, noise: float) -> list[Break]:
    """Of a hundred seeds those of all types."""
    table = frame(*formula.many(lambda seed: rows(figures, noise, seed)))
    return [each for each in breaks(table, [TPOT]) if each.types == ALL_TYPES]


def first(results: pd.DataFrame) -> Break:
    found = breaks(results, [TPOT])
    assert found[0].types == ALL_TYPES
    return found[0]


def test_without_noise_the_break_is_where_it_was_put() -> None:
    found = first(made(bent, 0))
    assert found.at == pytest.approx(BREAK_BPW, abs=0.05)
    assert found.slope_below == pytest.approx(0.001, rel=0.05)
    assert found.slope_above == pytest.approx(0.004, rel=0.05)
    assert found.is_sure


def test_the_interval_covers_the_break_and_the_data_prefer_it() -> None:
    found = many(bent, 0.02)
    assert len(found) == 100
    intervals = [(each.low, each.high) for each in found]
    assert formula.covered(BREAK_BPW, intervals) >= 93
    assert formula.covered(7, intervals) < 50, "the interval says something"
    assert sum(each.is_sure for each in found) >= 93


def test_a_straight_line_with_noise_has_no_sure_break() -> None:
    assert sum(not each.is_sure for each in many(straight, 0.05)) >= 93


def test_a_straight_line_without_noise_has_no_sure_break() -> None:
    assert first(made(straight, 0)).p == 1


def test_too_few_types_give_no_break_but_a_reason() -> None:
    results = made(bent, 0).iloc[:6]
    every, quantized = breaks(results, [TPOT])
    assert every.at is not None
    assert (quantized.types, quantized.at, quantized.p) == (QUANTIZED_TYPES, None, None)
    assert quantized.reason == "a break needs 6 types apart, and there are 5"
    assert not quantized.is_sure


def test_against_bytes_the_break_is_in_bytes() -> None:
    found = breaks(made(bent, 0), [TPOT], Against.BYTES)[0]
    assert found.at == pytest.approx(BREAK_BPW * 1e9 / 8, rel=0.01)
