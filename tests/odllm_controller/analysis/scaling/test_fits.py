"""Fits of metrics: by hand, by a formula with noise, and from a real store."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from odllm_controller.analysis.queries import results
from odllm_controller.analysis.scaling.curves import (
    ALL_TYPES,
    FITTED,
    PREFILL_TOKEN,
    QUANTIZED_TYPES,
    Against,
)
from odllm_controller.analysis.scaling.fits import Fit, fits
from tests import stores, support
from tests.odllm_controller.analysis import formula
from tests.result_frames import frame

BY_NAME = {metric.name: metric for metric in FITTED}
TPOT = BY_NAME["tpot_s"]


def rows(points: dict[float, float], **changes: object) -> pd.DataFrame:
    """Rows of one model: seconds per token by BPW, prefill ten times as fast as decode."""
    return frame(
        *(
            {
                "quantization": "F16" if bpw > 16 else f"Q{place}_K",
                "file_bpw": bpw,
                "file_bytes": bpw * 1e9,
                "tpot_s": token_s,
                "prefill_tok_s": 10 / token_s,
                **changes,
            }
            for place, (bpw, token_s) in enumerate(points.items())
        )
    )


def one(found: tuple[Fit, ...], metric: str = "tpot_s", types: str = ALL_TYPES) -> Fit:
    (fit,) = (each for each in found if (each.metric, each.types) == (metric, types))
    return fit


def test_time_and_not_speed_is_what_grows() -> None:
    found = fits(rows({4.0: 0.010, 8.0: 0.018, 12.0: 0.026}), (TPOT, PREFILL_TOKEN))
    decode, prefill = one(found), one(found, "prefill_token_s")
    assert decode.slope == pytest.approx(0.002)
    assert decode.intercept == pytest.approx(0.002)
    assert decode.r2 == pytest.approx(1)
    assert prefill.slope == pytest.approx(0.0002)
    assert decode.n == prefill.n == 3
    assert len(found) == 2, "there is no F16 to leave out"


def test_against_bytes_a_slope_is_seconds_per_byte() -> None:
    fit = one(fits(rows({4.0: 0.010, 8.0: 0.018, 12.0: 0.026}), [TPOT], Against.BYTES))
    assert fit.against == "file_bytes"
    assert fit.slope == pytest.approx(0.002e-9)
    assert fit.intercept == pytest.approx(0.002)


def test_every_metric_that_has_values_is_fitted_and_no_other() -> None:
    found = fits(rows({4.0: 0.010, 8.0: 0.018, 12.0: 0.026}))
    assert {fit.metric for fit in found} == {"tpot_s", "prefill_tok_s", "prefill_token_s"}


def test_f16_carries_a_line_that_the_others_do_not_have() -> None:
    found = fits(rows({3.0: 0.012, 4.0: 0.010, 5.0: 0.011, 16.01: 0.040}), [TPOT])
    every, quantized = one(found), one(found, types=QUANTIZED_TYPES)
    assert every.r2 is not None
    assert quantized.r2 is not None
    assert every.r2 > 0.7
    assert quantized.r2 < 0.3
    assert (every.n, quantized.n) == (4, 3)


def test_too_few_types_give_no_line_but_a_reason() -> None:
    found = fits(rows({4.0: 0.010, 8.0: 0.018, 16.01: 0.026}), [TPOT])
    assert one(found).slope is not None
    without = one(found, types=QUANTIZED_TYPES)
    assert (without.n, without.slope, without.slope_low, without.r2) == (2, None, None, None)
    assert without.reason == "a line needs 3 types of different BPW, and there are 2"


def test_types_of_one_bpw_are_one_place_on_a_line() -> None:
    table = pd.concat([rows({4.0: 0.010, 8.0: 0.018}), rows({4.0: 0.011}, quantization="Q4_0")])
    fit = one(fits(table, [TPOT]))
    assert (fit.n, fit.slope) == (3, None)
    assert fit.reason


@pytest.mark.parametrize("name", ["device", "model", "workload_label", "configuration"])
def test_every_group_has_a_line_of_its_own(name: str) -> None:
    points = {4.0: 0.010, 8.0: 0.018, 12.0: 0.026}
    slower = {bpw: 3 * token_s for bpw, token_s in points.items()}
    found = fits(pd.concat([rows(points), rows(slower, **{name: "another"})]), [TPOT])
    assert [fit.slope for fit in found] == [pytest.approx(0.002), pytest.approx(0.006)]
    assert getattr(found[1], name) == "another"


def test_of_two_versions_of_an_engine_the_newest_counts() -> None:
    points = {4.0: 0.010, 8.0: 0.018, 12.0: 0.026}
    slower = {bpw: 3 * token_s for bpw, token_s in points.items()}
    table = pd.concat(
        [
            rows(points, run_started_at=pd.Timestamp("2026-11-02")),
            rows(slower, run_started_at=pd.Timestamp("2026-11-01")),
        ],
        ignore_index=True,
    )
    assert one(fits(table, [TPOT])).slope == pytest.approx(0.002)


def test_what_was_not_measured_is_left_out() -> None:
    table = rows({4.0: 0.010, 8.0: 0.018, 12.0: 0.026, 14.0: math.nan})
    planned = rows({15.0: 9.0}, repeats=0)
    no_prompt = rows({5.0: 0.012}, quantization="Q5_0").assign(prefill_tok_s=math.nan)
    found = fits(pd.concat([table, planned, no_prompt], ignore_index=True), (TPOT, PREFILL_TOKEN))
    assert one(found).n == 4
    assert one(found, "prefill_token_s").n == 3


def test_a_score_of_0_is_fitted() -> None:
    table = rows({4.0: 1.0, 8.0: 1.0, 16.01: 1.0}).assign(kld=[0.3, 0.1, 0.0])
    fit = one(fits(table, [BY_NAME["kld"]]), "kld")
    assert fit.slope is not None
    assert fit.slope < 0


def timed(seed: int) -> list[formula.Row]:
    chance = np.random.default_rng(seed)
    return formula.types(lambda bpw: formula.noisy("tpot_s", 0.004 + 0.002 * bpw, 0.05, chance))


def test_the_interval_covers_the_slope_of_the_formula() -> None:
    intervals: dict[str, list[tuple[float | None, float | None]]] = {}
    for fit in fits(frame(*formula.many(timed)), [TPOT]):
        intervals.setdefault(fit.types, []).append((fit.slope_low, fit.slope_high))
    assert set(intervals) == {ALL_TYPES, QUANTIZED_TYPES}
    for types, found in intervals.items():
        assert len(found) == 100
        assert formula.covered(0.002, found) >= 93, types
        assert formula.covered(0.0035, found) < 50, "the interval says something"


def test_a_stored_run_gives_its_lines(tmp_path: Path) -> None:
    token_s = {"Q8_0": 0.019, "Q4_0": 0.011, "Q2_K": 0.008, "F16": 0.034}
    rounds = []
    for kind, seconds in token_s.items():
        repeats = tuple(support.repeat(index, token_s=seconds) for index in range(1, 8))
        trial = support.trial(support.model_file(quantization=kind))
        rounds.append(support.round_result(trial, repeats=repeats))
    stores.measured(tmp_path / "s.duckdb", *rounds)
    found = fits(results.load(tmp_path / "s.duckdb"))
    decode = one(found)
    assert (decode.device, decode.model, decode.n) == ("laptop", "reference-1.6M", 4)
    assert decode.slope == pytest.approx(0.002, rel=0.01)
    assert one(found, types=QUANTIZED_TYPES).n == 3


def test_a_store_without_figures_gives_no_line(tmp_path: Path) -> None:
    stores.begun(tmp_path / "s.duckdb").add_plan("run-1", [support.trial()], 1)
    assert fits(results.load(tmp_path / "s.duckdb")) == ()
