"""What is stored of ceilings and work, and the shares that follow from it, worked out by hand."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from odllm_agent.contract import CeilingKey, Ceilings, Failure, Phase, RoundResult, Work
from odllm_controller.metrics import METRICS
from odllm_controller.store import Store, read
from tests import stores, support

# A prompt of 128 tokens takes 0.1 s, an output token 0.01 s.
WORK = (
    Work(Phase.PREFILL, "Q4_0", read_bytes=1e8, operations=4e9),
    Work(Phase.PREFILL, "F16", read_bytes=1e6, operations=1e8),
    Work(Phase.DECODE, "Q4_0", read_bytes=1.2e8, operations=4e7),
    Work(Phase.DECODE, "F16", read_bytes=3e7, operations=1e6),
    Work(Phase.DECODE, "F32", read_bytes=1e7, operations=0),
)
CEILINGS = {"read": 20e9, "Q4_0": 50e9, "F16": 100e9}


def measured(*work: Work, no_work: str = "") -> RoundResult:
    repeats = tuple(support.repeat(index) for index in range(1, 8))
    return support.worked(support.round_result(repeats=repeats), *work, no_work=no_work)


def stored(folder: Path, result: RoundResult, *ceilings: Ceilings) -> Store:
    again = replace(result, round=1)
    store = stores.measured(folder / "odllm.duckdb", result, again)
    for each in ceilings:
        store.add_ceilings("run-1", each)
    return store


def row(store: Store) -> Any:
    return read(store.path, "SELECT * FROM results").iloc[0]


def test_mbu_is_the_bytes_of_a_token_over_its_time_and_the_bandwidth(tmp_path: Path) -> None:
    found = row(stored(tmp_path, measured(*WORK), support.ceilings(**CEILINGS)))
    assert found["decode_read_bytes"] == 1.6e8
    assert found["mbu"] == pytest.approx(1.6e8 / (0.01 * 20e9))
    assert found["mbu_low"] == pytest.approx(found["mbu"])
    assert found["mbu_high"] == pytest.approx(found["mbu"])


def test_the_compute_fraction_sets_each_type_against_its_own_ceiling(tmp_path: Path) -> None:
    found = row(stored(tmp_path, measured(*WORK), support.ceilings(**CEILINGS)))
    seconds = 4e9 / 50e9 + 1e8 / 100e9
    assert found["prefill_compute_fraction"] == pytest.approx(seconds / 0.1)
    assert found["decode_compute_fraction"] == pytest.approx((4e7 / 50e9 + 1e6 / 100e9) / 0.01)


def test_intervals_are_those_of_the_times(tmp_path: Path) -> None:
    spread = tuple(support.repeat(index, token_s=0.01 + index / 1000) for index in range(1, 8))
    result = support.worked(support.round_result(repeats=spread), *WORK)
    found = row(stored(tmp_path, result, support.ceilings(**CEILINGS)))
    assert found["mbu_low"] < found["mbu"] < found["mbu_high"]
    assert found["mbu_low"] == pytest.approx(1.6e8 / (found["tpot_s_high"] * 20e9))
    assert found["mbu_high"] == pytest.approx(1.6e8 / (found["tpot_s_low"] * 20e9))


@pytest.mark.parametrize(
    ("read_per_s", "multiplied_per_s", "bound"),
    [
        (20e9, 50e9, "traffic"),  # 80 % reading, 8 % computing
        (200e9, 5e9, "compute"),  # 8 % reading, 80 % computing
        (200e9, 50e9, "undecided"),  # 8 % each
        (20e9, 5e9, "undecided"),  # 80 % each
    ],
)
def test_what_explains_most_of_the_time_and_clearly_more_than_the_other_bounds_a_trial(
    read_per_s: float, multiplied_per_s: float, bound: str, tmp_path: Path
) -> None:
    ceilings = support.ceilings(read=read_per_s, Q4_0=multiplied_per_s, F16=1e15)
    assert row(stored(tmp_path, measured(*WORK), ceilings))["bound"] == bound


def test_prefill_and_decode_are_bounded_apart(tmp_path: Path) -> None:
    found = row(stored(tmp_path, measured(*WORK), support.ceilings(**CEILINGS)))
    assert (found["prefill_bound"], found["bound"]) == ("compute", "traffic")


def test_without_ceilings_there_is_no_share_and_the_reason_says_so(tmp_path: Path) -> None:
    found = row(stored(tmp_path, measured(*WORK)))
    assert math.isnan(found["mbu"])
    assert math.isnan(found["prefill_compute_fraction"])
    assert found["bound"] is None or pd.isna(found["bound"])
    assert found["decode_read_bytes"] == 1.6e8
    assert "not measured" in found["ceiling_reason"]


def test_a_type_without_a_ceiling_leaves_the_bandwidth_its_share(tmp_path: Path) -> None:
    ceilings = support.ceilings(read=20e9, Q4_0=None, F16=100e9)
    found = row(stored(tmp_path, measured(*WORK), ceilings))
    assert found["mbu"] == pytest.approx(0.8)
    assert math.isnan(found["prefill_compute_fraction"])
    assert found["ceiling_reason"] == "no room"


def test_a_trial_whose_work_cannot_be_told_says_why(tmp_path: Path) -> None:
    result = measured(no_work="which of its experts a token meets is not known beforehand")
    found = row(stored(tmp_path, result, support.ceilings(**CEILINGS)))
    assert math.isnan(found["mbu"])
    assert "experts" in found["ceiling_reason"]


def test_ceilings_of_other_threads_versions_or_devices_do_not_count(tmp_path: Path) -> None:
    engine = support.engine()
    others = [
        support.ceilings(support.engine(threads=1), **CEILINGS),
        support.ceilings(replace(engine, version="0.4"), **CEILINGS),
    ]
    elsewhere = support.ceilings(**CEILINGS)
    moved = replace(elsewhere, order=replace(elsewhere.order, device_id="another"))
    assert math.isnan(row(stored(tmp_path, measured(*WORK), *others, moved))["mbu"])


def test_of_ceilings_that_were_asked_for_again_the_latest_figure_counts(tmp_path: Path) -> None:
    store = stored(tmp_path, measured(*WORK), support.ceilings(**CEILINGS))
    store.add_run(stores.run("run-2"))
    store.add_ceilings("run-2", support.ceilings(hours=1, **(CEILINGS | {"read": 40e9})))
    store.add_run(stores.run("run-3"))
    store.add_ceilings("run-3", support.ceilings(hours=2, read=None))
    assert row(store)["mbu"] == pytest.approx(0.4)


def test_only_ceilings_with_a_figure_are_known(tmp_path: Path) -> None:
    store = stored(tmp_path, measured(*WORK), support.ceilings(read=20e9, Q4_0=None))
    version = support.engine().version
    assert store.known_ceilings() == {
        CeilingKey("id-of-laptop", "llama_cpp", version, 2, "read"),
    }


def test_a_worker_that_failed_leaves_its_reason_at_every_ceiling(tmp_path: Path) -> None:
    asked = support.ceilings(**CEILINGS)
    failed = replace(asked, found=(), failure=Failure("WorkerDied", "it was killed"))
    store = stored(tmp_path, measured(*WORK), failed)
    assert row(store)["ceiling_reason"] == "it was killed"
    assert store.known_ceilings() == frozenset()


def test_the_same_work_told_by_every_round_counts_once(tmp_path: Path) -> None:
    store = stored(tmp_path, measured(*WORK), support.ceilings(**CEILINGS))
    again = measured(*WORK)
    store.add_round("run-1", replace(again, round=1))
    assert row(store)["decode_read_bytes"] == 1.6e8


def test_shares_are_metrics_that_say_why_they_are_missing(tmp_path: Path) -> None:
    rows = read(stored(tmp_path, measured(*WORK)).path, "SELECT * FROM results")
    by_name = {metric.name: metric for metric in METRICS}
    for name in ("mbu", "prefill_compute_fraction"):
        assert "not measured" in by_name[name].why_missing(rows)
