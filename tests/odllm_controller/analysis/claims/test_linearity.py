"""Near-linear growth: by formula, and what noise alone gives."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_controller.analysis.claims.linearity import Linearity, holm, linearities
from odllm_controller.analysis.statistics.standing import Standing
from tests.odllm_controller.analysis import formula
from tests.result_frames import frame

Time = Callable[[float], float]

chances = st.lists(st.none() | st.floats(0, 1), max_size=12)


def rows(time_s: Time, noise: float, seed: int = 0) -> list[formula.Row]:
    chance = np.random.default_rng(seed)
    return formula.types(lambda bpw: formula.noisy("tpot_s", time_s(bpw), noise, chance))


def made(time_s: Time, noise: float) -> pd.DataFrame:
    return frame(*rows(time_s, noise))


def only(results: pd.DataFrame) -> Linearity:
    (found,) = linearities(results)
    return found


def count(standing: Standing, time_s: Time, noise: float) -> int:
    """Of a hundred seeds, each asked by itself."""
    table = frame(*formula.many(lambda seed: rows(time_s, noise, seed)))
    return sum(only(alike).standing is standing for _, alike in table.groupby("device"))


def test_a_line_with_little_noise_is_near_linear() -> None:
    assert count(Standing.SUPPORTED, lambda bpw: 0.004 + 0.002 * bpw, 0.02) >= 93


def test_noise_without_a_slope_is_undecided() -> None:
    assert count(Standing.UNDECIDED, lambda _: 0.02, 0.1) >= 93


def test_what_lies_off_a_line_by_more_than_its_own_spread_contradicts() -> None:
    # Types of 4 to 6 bits take twice as long: another kernel.
    assert count(Standing.CONTRADICTED, lambda bpw: 0.02 if 4 < bpw < 6 else 0.01, 0.02) >= 93


def test_without_intervals_scatter_is_not_judged() -> None:
    results = made(lambda bpw: 0.02 + 0.005 * (bpw in {4.5, 5.5, 5.7}), 0.02)
    assert only(results).standing is Standing.CONTRADICTED
    found = only(results.assign(tpot_s_low=float("nan")))
    assert found.scatter_p is None
    assert found.standing is Standing.UNDECIDED


def test_f16_alone_makes_no_line() -> None:
    steep = only(made(lambda bpw: 0.1 if bpw > 10 else 0.02, 0.1))
    assert steep.n == 7
    assert steep.standing is Standing.UNDECIDED


def test_four_quantized_types_are_too_few_to_judge() -> None:
    results = made(lambda bpw: 0.004 + 0.002 * bpw, 0.02)
    assert linearities(results[:5]) == ()
    assert len(linearities(results[:6])) == 1


def test_each_of_many_lines_must_be_surer_than_a_single_one() -> None:
    one = rows(lambda bpw: 0.004 + 0.002 * bpw, 0.1, seed=3)
    flat = formula.many(lambda seed: rows(lambda _: 0.02, 0.1, seed), 9)
    among = linearities(frame(*one, *flat))[0]
    assert among.slope_p > only(frame(*one)).slope_p


def test_holms_chances_are_those_of_his_paper() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(chances)
def test_chances_are_enlarged_and_keep_their_order(found: list[float | None]) -> None:
    enlarged = holm(found)
    pairs = [(p, q) for p, q in zip(found, enlarged, strict=True) if p is not None]
    assert [q is None for q in enlarged] == [p is None for p in found]
    assert all(q is not None and p <= q <= 1 for p, q in pairs)
    assert [q for _, q in sorted(pairs)] == sorted(q for _, q in pairs if q is not None)
