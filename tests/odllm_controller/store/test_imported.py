"""Figures of elsewhere in the store: worked out from samples, marked, behind one's own."""

from datetime import datetime
from pathlib import Path

import pytest

from odllm_agent.errors import ValueRefused
from odllm_controller.store import Store, read
from odllm_controller.store.rows import Row
from tests import stores, support

AT = datetime(2026, 11, 2)  # noqa: DTZ001 - as stored


def row(row_id: str = "a", **changes: object) -> Row:
    return {
        "row_id": row_id,
        "trial_id": row_id,
        "origin": "llama-bench b1 (f)",
        "device": "other",
        "model": "m",
        "status": "done",
        "prompt_tokens": 0,
        "output_tokens": 10,
        "repeats": 1,
        "rounds": 1,
        **changes,
    }


def samples(start: str, *window_s: float, row_id: str = "a") -> list[Row]:
    return [
        {"row_id": row_id, "round": start, "repeat": n, "window_s": each, "started_at": AT}
        for n, each in enumerate(window_s)
    ]


@pytest.fixture
def kept(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "odllm.duckdb")


def results(kept: Store) -> list[dict[str, object]]:
    found = read(kept.path, "SELECT * FROM results ORDER BY trial_id").to_dict("records")
    return [{str(name): value for name, value in each.items()} for each in found]


def test_the_table_has_the_columns_of_the_view_with_their_types(kept: Store) -> None:
    view = read(kept.path, "DESCRIBE results")
    types = dict(zip(view["column_name"], view["column_type"], strict=True))
    found = kept.imported_types()
    assert found.pop("row_id") == "VARCHAR"
    assert found == types


def test_speeds_are_medians_of_all_samples_and_another_start_makes_an_interval(kept: Store) -> None:
    kept.add_imported([row()], samples("one", 1.0, 2.0, 4.0))
    (one,) = results(kept)
    assert (one["decode_tok_s"], one["tpot_s"], one["repeats"], one["rounds"]) == (5, 0.2, 3, 1)
    assert one["decode_tok_s_mean"] == pytest.approx((10 + 5 + 2.5) / 3)
    assert one["decode_tok_s_low"] != one["decode_tok_s_low"], "it is missing"
    assert "needs 2 rounds" in str(one["interval_reason"])

    kept.add_imported([row()], samples("two", 1.9, 2.0, 2.1))
    (both,) = results(kept)
    assert (both["decode_tok_s"], both["repeats"], both["rounds"]) == (5, 6, 2)
    low, high = (float(str(both[f"decode_tok_s_{end}"])) for end in ("low", "high"))
    assert 0 < low < 5 < high
    assert both["interval_reason"] is None or both["interval_reason"] != both["interval_reason"]
    assert both["run_started_at"] == AT


def test_windows_of_a_prompt_give_its_speed_and_no_other(kept: Store) -> None:
    prompt = row(prompt_tokens=512, output_tokens=0)
    kept.add_imported([prompt], samples("one", 0.5, 1.0, 2.0))
    (found,) = results(kept)
    assert found["prefill_tok_s"] == 512
    assert found["decode_tok_s"] != found["decode_tok_s"], "it is missing"


def test_the_same_again_changes_nothing(kept: Store) -> None:
    kept.add_imported([row(), row("b")], samples("one", 1.0, 2.0))
    before = results(kept)
    kept.add_imported([row("b"), row(), row()], samples("one", 1.0, 2.0))
    assert str(results(kept)) == str(before)


def test_what_was_measured_here_counts_more_and_is_marked_as_own(tmp_path: Path) -> None:
    result = support.round_result()
    kept = stores.measured(tmp_path / "odllm.duckdb", result)
    kept.add_imported([row(result.trial.id), row("z")], [])
    own, other = results(kept)
    assert (own["trial_id"], own["origin"], own["device"]) == (result.trial.id, "odllm", "laptop")
    assert (other["trial_id"], other["origin"]) == ("z", "llama-bench b1 (f)")


def test_a_row_that_is_no_row_leaves_nothing_behind(kept: Store) -> None:
    with pytest.raises(ValueRefused):
        kept.add_imported([row(), row("b", repeats="many")], [])
    assert results(kept) == []
