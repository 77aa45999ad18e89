"""A row of `results` of another store, checked."""

import json
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_controller.exchange.result_row import ResultRows

TYPES = {
    "row_id": "VARCHAR",
    "origin": "VARCHAR",
    "trial_id": "VARCHAR",
    "device": "VARCHAR",
    "device_kind": "VARCHAR",
    "model": "VARCHAR",
    "status": "VARCHAR",
    "workload": "VARCHAR",
    "settings": "JSON",
    "prompt_tokens": "BIGINT",
    "output_tokens": "BIGINT",
    "depth_tokens": "BIGINT",
    "threads": "INTEGER",
    "repeats": "BIGINT",
    "rounds": "BIGINT",
    "decode_tok_s": "DOUBLE",
    "decode_tok_s_low": "DOUBLE",
    "decode_tok_s_high": "DOUBLE",
    "accuracy": "DOUBLE",
    "delta_p": "DOUBLE",
    "delta_p_se": "DOUBLE",
    "decode_net_j_low": "DOUBLE",
    "energy_j_low": "DOUBLE",
    "peak_rss_bytes": "DOUBLE",
    "run_started_at": "TIMESTAMP",
}
TOLD: dict[str, object] = {
    "trial_id": "t1",
    "device": "laptop",
    "device_kind": "virtual",
    "model": "m",
    "status": "done",
    "workload": "short",
    "settings": {"threads": 2},
    "prompt_tokens": 128,
    "output_tokens": 64,
    "depth_tokens": 0,
    "repeats": 9,
    "rounds": 3,
    "decode_tok_s": 64.5,
    "delta_p": -0.1,
    "run_started_at": "2026-11-01 12:00:00",
}
ROWS = ResultRows(TYPES, "laptop.csv")


def test_values_are_of_the_types_of_their_columns_also_from_text() -> None:
    as_text = {name: json.dumps(v) if name == "settings" else str(v) for name, v in TOLD.items()}
    for told in (TOLD, as_text):
        row = ROWS.figures(told).row
        assert (row["repeats"], row["decode_tok_s"], row["delta_p"]) == (9, 64.5, -0.1)
        assert json.loads(row["settings"]) == {"threads": 2}
        assert row["run_started_at"] == datetime(2026, 11, 1, 12)  # noqa: DTZ001 - as stored
        assert (row["threads"], row["decode_tok_s_low"]) == (None, None)


def test_a_difference_may_be_negative() -> None:
    row = ROWS.figures(TOLD | {"delta_p": -0.5, "decode_net_j_low": -2.0}).row
    assert (row["delta_p"], row["decode_net_j_low"]) == (-0.5, -2.0)


def test_a_time_of_another_zone_is_kept_in_utc() -> None:
    row = ROWS.figures(TOLD | {"run_started_at": "2026-11-01T14:00:00+02:00"}).row
    assert row["run_started_at"] == datetime(2026, 11, 1, 12)  # noqa: DTZ001 - as stored


def test_a_row_is_marked_with_its_file_unless_another_tool_found_it() -> None:
    assert ROWS.figures(TOLD).row["origin"] == "odllm (laptop.csv)"
    assert ROWS.figures(TOLD | {"origin": "odllm"}).row["origin"] == "odllm (laptop.csv)"
    bench = ROWS.figures(TOLD | {"origin": "llama-bench b1 (x.json)"}).row
    assert bench["origin"] == "llama-bench b1 (x.json)"


def test_a_trial_keeps_its_id_and_what_has_none_gets_one_of_its_content() -> None:
    without = TOLD | {"trial_id": None}
    assert ROWS.figures(TOLD).row["row_id"] == "t1"
    assert ROWS.figures(without).row["row_id"] == ROWS.figures(without).row["row_id"]
    other = ROWS.figures(without | {"model": "n"}).row["row_id"]
    assert ROWS.figures(without).row["row_id"] != other


def test_columns_of_a_newer_version_are_left_aside_by_name() -> None:
    found = ROWS.figures(TOLD | {"new": [1], "newer": None})
    assert "new" not in found.row
    assert found.unknown == {"new"}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"device": None}, "the field device is missing"),
        ({"repeats": None}, "the field repeats is missing"),
        ({"repeats": "many"}, "repeats: .*'many'"),
        ({"repeats": True}, "repeats"),
        ({"repeats": -1}, "repeats"),
        ({"repeats": 2**63}, "repeats"),
        ({"threads": 2**31}, "threads"),
        ({"decode_tok_s": "fast"}, "decode_tok_s: .*'fast'"),
        ({"decode_tok_s": "nan"}, "decode_tok_s"),
        ({"decode_tok_s": float("inf")}, "decode_tok_s"),
        ({"decode_tok_s": 0}, "decode_tok_s"),
        ({"decode_tok_s_low": -1.0}, "decode_tok_s_low"),
        ({"peak_rss_bytes": -1}, "peak_rss_bytes"),
        ({"energy_j_low": -0.5}, "energy_j_low"),
        ({"delta_p_se": -0.1}, "delta_p_se"),
        ({"threads": 0}, "threads"),
        ({"threads": -1}, "threads"),
        ({"device_kind": "imagined"}, "device_kind: 'imagined' is none of real"),
        ({"depth_tokens": None}, "depth_tokens is missing"),
        ({"settings": "[1]"}, "settings"),
        ({"settings": "{"}, "settings"),
        ({"settings": {"threads": {"n": 2}}}, "settings"),
        ({"run_started_at": "soon"}, "run_started_at"),
        ({"run_started_at": "0001-01-01T00:00:00+14:00"}, "no such time in UTC"),
        ({"status": "maybe"}, "status: 'maybe' is none of done"),
        ({"model": ""}, "model: it has no name"),
        ({"device": " "}, "device: it has no name"),
        ({"decode_tok_s_low": 9.0, "decode_tok_s_high": 1.0}, "decode_tok_s_low: 9.0 is more than"),
        ({"accuracy": 1.5}, "accuracy"),
        ({"device": "a\0b"}, "device"),
        ({"device": 7}, "device"),
    ],
)
def test_what_is_missing_or_mistyped_is_refused_by_name(
    changes: dict[str, object], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        ROWS.figures(TOLD | changes)


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text())


@given(st.dictionaries(st.sampled_from(sorted(TYPES)), VALUES, max_size=4))
def test_whatever_its_columns_hold_it_is_a_row_or_refused(changes: dict[str, object]) -> None:
    try:
        row = ROWS.figures(TOLD | changes).row
    except ValueError:
        return
    assert row.keys() == TYPES.keys()


@pytest.mark.parametrize("told", [None, 3, "text", [TOLD]])
def test_what_is_no_object_is_no_row(told: object) -> None:
    with pytest.raises(ValueError, match="no row"):
        ROWS.figures(told)
