"""How far each device is, by a real store."""

from dataclasses import replace
from pathlib import Path

from odllm_agent.contract import Event, EventKind, MeterReport, Method
from odllm_controller.head.stored_progress import standings
from tests import stores, support


def test_trials_of_the_newest_run_are_done_once_they_have_all_rounds_or_failed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "store.duckdb"
    done, half, failed, untouched = (
        replace(support.trial(), model=support.model_file(quantization=each))
        for each in ("F16", "Q8_0", "Q4_0", "Q2_K")
    )
    device = support.device(id=done.device_id)
    store = stores.begun(path, device)
    store.add_plan("run-1", (done, half, failed, untouched), 2)
    for result in (
        support.round_result(done, 0),
        support.round_result(done, 1),
        support.round_result(half, 0),
        support.failed_round(failed),
    ):
        store.add_round("run-1", result)
    known = standings(path)[device.id]
    assert (known.n_done, known.n_left) == (2, 2)


def test_a_device_without_a_plan_has_no_numbers_and_its_meters_are_those_that_read(
    tmp_path: Path,
) -> None:
    path = tmp_path / "store.duckdb"
    meters = (
        MeterReport("rapl", ("package",), Method.MEASURED),
        MeterReport("battery", (), Method.MEASURED, reason="none here"),
    )
    device = support.device(meters=meters)
    store = stores.begun(path, device)
    known = standings(path)[device.id]
    assert (known.n_done, known.n_left, known.last_seen) == (None, None, None)
    assert known.meters == ("rapl",)
    store.add((), [("run-1", Event(stores.later(1), EventKind.JOINED, device.id))])
    assert standings(path)[device.id].last_seen == stores.later(1)
