"""The registry of metrics fits the public view."""

from pathlib import Path

import pandas as pd
import pytest

from odllm_controller.analysis.queries import results
from odllm_controller.metrics import METRICS, Basis, brief, figure
from tests import stores, support

BY_NAME = {metric.name: metric for metric in METRICS}


@pytest.fixture
def loaded(tmp_path: Path) -> pd.DataFrame:
    stores.measured(tmp_path / "odllm.duckdb", support.round_result())
    return results.load(tmp_path / "odllm.duckdb")


def test_every_metric_is_a_column(loaded: pd.DataFrame) -> None:
    assert len(BY_NAME) == len(METRICS)
    assert set(BY_NAME) <= set(loaded)


def test_every_metric_of_repeats_has_an_interval(loaded: pd.DataFrame) -> None:
    for metric in METRICS:
        if metric.basis is not Basis.ROUNDS:
            assert {metric.low, metric.high} <= set(loaded), metric.name


@pytest.mark.parametrize(
    ("name", "stored", "shown"),
    [
        ("ttft_s", 0.25, 250),
        ("peak_rss_bytes", 3_000_000, 3),
        ("decode_j_per_token", 0.004, 4),
        ("decode_tok_s", 60, 60),
    ],
)
def test_shown_units(name: str, stored: float, shown: float) -> None:
    assert stored / BY_NAME[name].per_unit == pytest.approx(shown)


def test_titles_carry_units() -> None:
    assert BY_NAME["ttft_s"].title == "Time to first token (ms)"
    assert BY_NAME["perplexity"].title == "Perplexity"


def test_a_missing_value_says_why(loaded: pd.DataFrame) -> None:
    assert BY_NAME["mean_w"].why_missing(loaded) == "no powercap here"
    assert BY_NAME["perplexity"].why_missing(loaded) == "no such quality check was run on this file"
    many = pd.concat([loaded.assign(energy_reason=f"window of {n} ms") for n in range(1, 6)])
    told = BY_NAME["mean_w"].why_missing(many)
    assert told == "window of 1 ms; window of 2 ms; and 3 more like these"
    assert BY_NAME["mean_w"].why_missing(loaded.iloc[:0]) == "not measured yet"


@pytest.mark.parametrize(
    ("value", "told", "short"),
    [
        (52_270.4, "52,270", "52,270"),
        (1.5e9, "1,500,000,000", "1,500,000,000"),
        (999.6, "1,000", "1,000"),
        (316.4, "316", "316"),
        (34.79, "34.8", "34.8"),
        (2.0, "2.00", "2"),
        (0.05, "0.0500", "0.05"),
        (-12.34, "-12.3", "-12.3"),
        (0.0, "0.00", "0"),
    ],
)
def test_a_figure_has_three_digits_that_count_and_no_power_of_ten(
    value: float, told: str, short: str
) -> None:
    assert (figure(value), brief(value)) == (told, short)
