"""Lines of time per token against BPW: by hand, by properties, and from a real store."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.contract import Phase
from odllm_controller.analysis import results
from odllm_controller.analysis.scaling import (
    ALL_TYPES,
    QUANTIZED_TYPES,
    Scaling,
    least_squares,
    scalings,
)
from tests import stores, support

bpws = st.lists(st.floats(2, 17), min_size=3, max_size=12, unique_by=lambda x: round(x, 2))
times_s = st.floats(1e-4, 10)


def rows(points: dict[float, float], **changes: object) -> pd.DataFrame:
    """Rows of one model: seconds per token by BPW, prefill ten times as fast as decode."""
    fields = {
        "device": "laptop",
        "model": "m",
        "workload_label": "short",
        "configuration": "llama_cpp, 2 threads",
        "repeats": 9,
        **changes,
    }
    return pd.DataFrame(
        [
            {**fields, "file_bpw": bpw, "tpot_s": token_s, "prefill_tok_s": 10 / token_s}
            for bpw, token_s in points.items()
        ]
    )


def one(found: tuple[Scaling, ...], phase: Phase, types: str = ALL_TYPES) -> Scaling:
    (scaling,) = (each for each in found if (each.phase, each.types) == (phase, types))
    return scaling


@given(bpws, st.floats(-1, 1), st.floats(-1, 1))
def test_points_on_a_line_give_that_line(xs: list[float], slope: float, intercept: float) -> None:
    ys = [intercept + slope * x for x in xs]
    line = least_squares(xs, ys)
    assert line.slope == pytest.approx(slope, abs=1e-9)
    assert line.intercept == pytest.approx(intercept, abs=1e-8)
    if abs(slope) > 1e-3:
        assert line.r2 == pytest.approx(1)


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


@given(bpws, st.data(), st.floats(1e-3, 1e3))
def test_another_unit_of_time_changes_the_line_and_not_its_fit(
    xs: list[float], data: st.DataObject, factor: float
) -> None:
    ys = data.draw(st.lists(times_s, min_size=len(xs), max_size=len(xs)))
    one_line, other = least_squares(xs, ys), least_squares(xs, [factor * y for y in ys])
    assert other.slope == pytest.approx(factor * one_line.slope, rel=1e-6, abs=1e-9 * factor)
    if one_line.r2 is not None and other.r2 is not None:
        assert other.r2 == pytest.approx(one_line.r2, abs=1e-6)


def test_equal_times_have_a_flat_line_and_no_fit() -> None:
    line = least_squares([3.0, 4.0, 5.0], [0.125, 0.125, 0.125])
    assert line.slope == pytest.approx(0, abs=1e-12)
    assert line.r2 is None


def test_time_and_not_speed_is_what_grows() -> None:
    found = scalings(rows({4.0: 0.010, 8.0: 0.018, 12.0: 0.026}))
    decode, prefill = one(found, Phase.DECODE), one(found, Phase.PREFILL)
    assert decode.slope_s == pytest.approx(0.002)
    assert decode.intercept_s == pytest.approx(0.002)
    assert decode.r2 == pytest.approx(1)
    assert prefill.slope_s == pytest.approx(0.0002)
    assert decode.n == prefill.n == 3
    assert len(found) == 2, "there is no F16 to leave out"


def test_f16_carries_a_line_that_the_others_do_not_have() -> None:
    found = scalings(rows({3.0: 0.012, 4.0: 0.010, 5.0: 0.011, 16.01: 0.040}))
    every, quantized = (one(found, Phase.DECODE, types) for types in (ALL_TYPES, QUANTIZED_TYPES))
    assert every.r2 is not None
    assert quantized.r2 is not None
    assert every.r2 > 0.95
    assert quantized.r2 < 0.3
    assert (every.n, quantized.n) == (4, 3)


def test_too_few_types_give_no_line_but_a_reason() -> None:
    found = scalings(rows({4.0: 0.010, 8.0: 0.018, 16.01: 0.026}))
    assert one(found, Phase.DECODE).slope_s is not None
    without = one(found, Phase.DECODE, QUANTIZED_TYPES)
    assert (without.n, without.slope_s, without.intercept_s, without.r2) == (2, None, None, None)
    assert without.reason == "a line needs 3 types of different BPW, and there are 2"


def test_types_of_one_bpw_are_one_place_on_a_line() -> None:
    table = pd.concat([rows({4.0: 0.010, 8.0: 0.018}), rows({4.0: 0.011})])
    assert one(scalings(table), Phase.DECODE).reason


def test_every_group_has_lines_of_its_own() -> None:
    points = {4.0: 0.010, 8.0: 0.018, 12.0: 0.026}
    names = ("device", "model", "workload_label", "configuration")
    table = pd.concat([rows(points), *(rows(points, **{name: "another"}) for name in names)])
    found = [each for each in scalings(table) if each.phase is Phase.DECODE]
    assert len(found) == 5
    assert all(each.slope_s == pytest.approx(0.002) for each in found)


def test_what_was_not_measured_is_left_out() -> None:
    table = rows({4.0: 0.010, 8.0: 0.018, 12.0: 0.026, 14.0: math.nan})
    planned = rows({15.0: 9.0}, repeats=0)
    no_prompt = rows({5.0: 0.012}).assign(prefill_tok_s=math.nan)
    found = scalings(pd.concat([table, planned, no_prompt]))
    assert one(found, Phase.DECODE).n == 4
    assert one(found, Phase.PREFILL).n == 3


def test_a_stored_run_gives_its_lines(tmp_path: Path) -> None:
    token_s = {"Q8_0": 0.019, "Q4_0": 0.011, "Q2_K": 0.008, "F16": 0.034}
    rounds = []
    for kind, seconds in token_s.items():
        repeats = tuple(support.repeat(index, token_s=seconds) for index in range(1, 8))
        trial = support.trial(support.model_file(quantization=kind))
        rounds.append(support.round_result(trial, repeats=repeats))
    stores.measured(tmp_path / "s.duckdb", *rounds)
    found = scalings(results.load(tmp_path / "s.duckdb"))
    decode = one(found, Phase.DECODE)
    assert (decode.device, decode.model, decode.n) == ("laptop", "reference-1.6M", 4)
    assert decode.slope_s == pytest.approx(0.002, rel=0.01)
    assert one(found, Phase.DECODE, QUANTIZED_TYPES).n == 3


def test_a_store_without_figures_gives_no_line(tmp_path: Path) -> None:
    stores.begun(tmp_path / "s.duckdb").add_plan("run-1", [support.trial()], 1)
    assert scalings(results.load(tmp_path / "s.duckdb")) == ()
