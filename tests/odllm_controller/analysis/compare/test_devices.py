"""The same trial on two devices."""

import math

import pytest

from odllm_controller.analysis.compare.devices import device_ratios, shared_devices
from odllm_controller.metrics import METRICS
from tests.result_frames import frame

BY_NAME = {metric.name: metric for metric in METRICS}
DECODE = BY_NAME["decode_tok_s"]
TWO = "llama_cpp, 2 threads"
EIGHT = "llama_cpp, 8 threads"


def test_a_ratio_is_that_of_the_values_with_both_spreads_in_its_interval() -> None:
    (cell,) = device_ratios(
        frame(
            {"device": "a", "decode_tok_s": 20, "decode_tok_s_low": 19, "decode_tok_s_high": 21},
            {"device": "b", "decode_tok_s": 10, "decode_tok_s_low": 9, "decode_tok_s_high": 11},
        ),
        DECODE,
        base="b",
    )
    away = math.hypot(math.log(21 / 19), math.log(11 / 9)) / 2
    assert (cell.device, cell.base, cell.ratio) == ("a", "b", 2)
    assert cell.low == pytest.approx(2 * math.exp(-away))
    assert cell.high == pytest.approx(2 * math.exp(away))


def test_without_an_interval_on_both_sides_there_is_none() -> None:
    (cell,) = device_ratios(
        frame(
            {"device": "a", "decode_tok_s": 20, "decode_tok_s_low": 19, "decode_tok_s_high": 21},
            {"device": "b", "decode_tok_s": 10},
        ),
        DECODE,
        base="b",
    )
    assert (cell.low, cell.high) == (None, None)


@pytest.mark.parametrize("other", ["model", "quantization", "workload_label"])
def test_unlike_trials_are_never_compared(other: str) -> None:
    rows = frame({"device": "a", "decode_tok_s": 20}, {"device": "b", "decode_tok_s": 10})
    assert len(device_ratios(rows, DECODE, "b")) == 1
    rows.loc[0, other] = "something else"
    assert not device_ratios(rows, DECODE, "b")


def test_equal_settings_are_compared_where_both_have_them() -> None:
    found = device_ratios(
        frame(
            {"device": "a", "configuration": TWO, "decode_tok_s": 20},
            {"device": "a", "configuration": EIGHT, "decode_tok_s": 80},
            {"device": "b", "configuration": TWO, "decode_tok_s": 10},
        ),
        DECODE,
        base="b",
    )
    assert [(cell.configuration, cell.ratio) for cell in found] == [(TWO, 2)]


def test_each_device_s_only_settings_are_compared_where_none_are_equal() -> None:
    mine = {"device": "a", "configuration": EIGHT, "decode_tok_s": 20}
    theirs = {"device": "b", "configuration": TWO, "decode_tok_s": 10}
    (cell,) = device_ratios(frame(mine, theirs), DECODE, base="b")
    assert (cell.configuration, cell.base_configuration) == (EIGHT, TWO)
    third = {"device": "a", "configuration": "llama_cpp, 4 threads", "decode_tok_s": 30}
    assert not device_ratios(frame(mine, third, theirs), DECODE, base="b"), (
        "which of the two is it?"
    )


def test_energy_by_different_methods_is_never_compared() -> None:
    power = BY_NAME["decode_w"]
    mine = {"device": "a", "decode_w": 20, "energy_method": "measured"}
    theirs = {"device": "b", "decode_w": 10, "energy_method": "measured"}
    assert len(device_ratios(frame(mine, theirs), power, "b")) == 1
    assert not device_ratios(frame(mine, theirs | {"energy_method": "estimated"}), power, "b")


def test_devices_that_share_nothing_are_left_out() -> None:
    rows = frame(
        {"device": "a", "decode_tok_s": 20},
        {"device": "b", "decode_tok_s": 10},
        {"device": "c", "decode_tok_s": 10, "model": "another"},
    )
    assert shared_devices(rows) == ("a", "b")
