"""What a chart draws."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from odllm_app.drawing import charts
from odllm_app.drawing.captions import caption
from odllm_app.drawing.symbols import symbols
from odllm_controller.analysis.queries import results
from odllm_controller.analysis.scaling.curves import ALL_TYPES, QUANTIZED_TYPES, Against
from odllm_controller.analysis.scaling.fits import Fit
from odllm_controller.metrics import METRICS, Metric
from tests import stores, support

BY_NAME = {metric.name: metric for metric in METRICS}


@pytest.fixture
def measured(tmp_path: Path) -> pd.DataFrame:
    path = tmp_path / "odllm.duckdb"
    repeats = tuple(support.repeat(i, token_s=0.01 + i / 1000) for i in range(1, 8))
    twice = support.trial(support.model_file(quantization="Q8_0"))
    stores.measured(
        path,
        *(support.round_result(twice, index, repeats) for index in range(2)),
        support.round_result(support.trial(support.model_file(quantization="Q4_0"))),
        rounds=2,
    )
    return results.load(path)


def axes(results: pd.DataFrame, metric: Metric, against: Against = Against.BPW) -> charts.Axes:
    return charts.Axes(metric, against, results)


def test_points_and_intervals_are_in_shown_units(measured: pd.DataFrame) -> None:
    metric = BY_NAME["tpot_s"]
    drawn = charts.chart(measured, axes(measured, metric), symbols(["reference-1.6M"]))
    (rows,) = drawn.to_dict()["datasets"].values()
    by_type = {row["quantization"]: row for row in rows}
    assert by_type["Q8_0"]["value"] == pytest.approx(14)
    (stored,) = measured[measured["quantization"] == "Q8_0"].to_dict("records")
    assert by_type["Q8_0"]["low"] == pytest.approx(1000 * stored["tpot_s_low"])
    assert by_type["Q8_0"]["high"] == pytest.approx(1000 * stored["tpot_s_high"])
    assert by_type["Q8_0"]["low"] < 14 < by_type["Q8_0"]["high"]
    assert by_type["Q4_0"]["low"] is None, "one round gives no interval"


def domain(results: pd.DataFrame, name: str) -> tuple[float, float]:
    drawn = charts.chart(results, axes(results, BY_NAME[name]), symbols(["reference-1.6M"]))
    layers = drawn.to_dict()["layer"]
    (found,) = {tuple(layer["encoding"]["y"]["scale"]["domain"]) for layer in layers}
    return found


def test_a_bar_that_dwarfs_the_points_is_cut_off_and_every_other_is_whole(
    measured: pd.DataFrame,
) -> None:
    whole = measured.assign(tpot_s=[0.010, 0.014], tpot_s_low=0.009, tpot_s_high=0.020)
    low, high = domain(whole, "tpot_s")
    assert low == 0
    assert high > 20
    assert domain(whole.assign(tpot_s_high=5.0), "tpot_s")[1] == pytest.approx(28 * 1.06)


def test_without_a_bar_the_points_fill_the_chart(measured: pd.DataFrame) -> None:
    bare = measured.assign(tpot_s=[0.010, 0.014], tpot_s_low=None, tpot_s_high=None)
    assert domain(bare, "tpot_s")[1] == pytest.approx(14 * 1.06)


def test_captions_tell_what_points_rest_on(measured: pd.DataFrame) -> None:
    assert caption(measured, BY_NAME["tpot_s"]) == (
        "2 trials · median of 3 to 14 repeats each, bars: its 95 % interval"
        " (from 2 rounds and 6 repeats on)"
        " · energy: unavailable"
    )
    assert "median of 1 to 2 rounds each" in caption(measured, BY_NAME["peak_rss_bytes"])
    flagged = measured.assign(flags="busy,hot", flagged_repeats=1)
    assert "2 repeats flagged busy, hot" in caption(flagged, BY_NAME["tpot_s"])


def test_a_line_lies_where_its_fit_says(measured: pd.DataFrame) -> None:
    metric = BY_NAME["tpot_s"]
    fit = Fit(
        "laptop", "reference-1.6M", "", "", "tpot_s", Against.BPW, QUANTIZED_TYPES, 2,
        slope=0.002, intercept=0.001,
    )  # fmt: skip
    drawn = charts.chart(measured, axes(measured, metric), symbols(["reference-1.6M"]), [fit])
    (line,) = (
        rows for rows in drawn.to_dict()["datasets"].values() if set(rows[0]) == {"model", "x", "y"}
    )
    assert [(end["x"], end["y"]) for end in line] == [
        pytest.approx((4.5, 1 + 2 * 4.5)),
        pytest.approx((8.5, 1 + 2 * 8.5)),
    ]


def test_the_line_without_f16_is_drawn_where_there_is_one() -> None:
    every = Fit("d", "m", "", "", "tpot_s", Against.BPW, ALL_TYPES, 4, slope=1.0)
    without = replace(every, types=QUANTIZED_TYPES)
    lone = replace(every, model="n")
    none = replace(every, model="o", slope=None, reason="a line needs 3 types")
    assert charts.chosen_fits([every, without, lone, none]) == (without, lone)
