"""Lines by least squares: by properties, and against what is known of their intervals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from odllm_controller.analysis.statistics.lines import least_squares

bpws = st.lists(st.floats(2, 17), min_size=3, max_size=12, unique_by=lambda x: round(x, 2))
times_s = st.floats(1e-4, 10)


@given(bpws, st.floats(-1, 1), st.floats(-1, 1))
def test_points_on_a_line_give_that_line(xs: list[float], slope: float, intercept: float) -> None:
    line = least_squares(xs, [intercept + slope * x for x in xs])
    assert line.slope == pytest.approx(slope, abs=1e-9)
    assert line.intercept == pytest.approx(intercept, abs=1e-8)
    if abs(slope) > 1e-3:
        assert line.r2 == pytest.approx(1)


@given(bpws, st.floats(0.01, 1), st.floats(0.01, 1))
def test_points_on_a_line_give_it_by_relative_errors_too(
    xs: list[float], slope: float, intercept: float
) -> None:
    line = least_squares(xs, [intercept + slope * x for x in xs], relative=True)
    assert line.slope == pytest.approx(slope)
    assert line.intercept == pytest.approx(intercept, abs=1e-7)
    assert line.slope_ends() == pytest.approx((slope, slope), abs=1e-6)


@given(bpws, st.data())
def test_it_is_the_line_of_least_squares(xs: list[float], data: st.DataObject) -> None:
    ys = data.draw(st.lists(times_s, min_size=len(xs), max_size=len(xs)))
    line = least_squares(xs, ys)
    slope, intercept = np.polyfit(xs, ys, 1)
    assert line.slope == pytest.approx(slope, rel=1e-6, abs=1e-7)
    assert line.intercept == pytest.approx(intercept, rel=1e-6, abs=1e-6)
    if line.r2 is not None:
        assert 0 <= line.r2 <= 1
        if np.std(ys) > 1e-6:
            # Of a line through points, R2 is the square of Pearson's correlation.
            assert line.r2 == pytest.approx(np.corrcoef(xs, ys)[0, 1] ** 2, abs=1e-6)


@given(bpws, st.data(), st.floats(1e-3, 1e3), st.booleans())
def test_another_unit_changes_the_line_and_not_its_fit(
    xs: list[float], data: st.DataObject, factor: float, relative: bool
) -> None:
    ys = data.draw(st.lists(times_s, min_size=len(xs), max_size=len(xs)))
    one_line = least_squares(xs, ys, relative=relative)
    other = least_squares(xs, [factor * y for y in ys], relative=relative)
    assert other.slope == pytest.approx(factor * one_line.slope, rel=1e-6, abs=1e-9 * factor)
    if one_line.r2 is not None and other.r2 is not None:
        assert other.r2 == pytest.approx(one_line.r2, abs=1e-6)


def test_equal_times_have_a_flat_line_and_no_fit() -> None:
    line = least_squares([3.0, 4.0, 5.0], [0.125, 0.125, 0.125])
    assert line.slope == pytest.approx(0, abs=1e-12)
    assert line.r2 is None


def test_the_interval_is_that_of_students_t() -> None:
    xs, ys = [1.0, 2.0, 3.0, 4.0, 5.0], [2.1, 3.9, 6.2, 8.0, 10.1]
    line, known = least_squares(xs, ys), stats.linregress(xs, ys)
    assert line.slope == pytest.approx(known.slope)
    assert line.slope_se == pytest.approx(known.stderr)
    assert line.slope_p == pytest.approx(known.pvalue)
    # Of 3 degrees of freedom, from a printed table.
    low, high = line.slope_ends()
    assert high - low == pytest.approx(2 * 3.182 * known.stderr, rel=1e-3)
    assert line.slope_ends(0.9)[1] == pytest.approx(known.slope + 2.353 * known.stderr, rel=1e-3)


def test_by_relative_errors_one_slow_trial_does_not_outweigh_the_fast_ones() -> None:
    xs, ys = [3.0, 4.0, 5.0, 16.0], [3.0, 4.0, 5.0, 32.0]
    fast = np.array(xs[:3])

    def off_by(relative: bool) -> float:
        return float(np.abs(least_squares(xs, ys, relative=relative).at(fast) - fast).max())

    assert off_by(relative=True) < 1
    assert off_by(relative=False) > 1.2
