"""What the devices of a store are."""

from pathlib import Path

from odllm_agent.contract import READ
from odllm_controller.analysis.queries import hardware
from tests import stores, support


def test_a_device_is_told_with_the_most_that_it_does(tmp_path: Path) -> None:
    path = tmp_path / "odllm.duckdb"
    store = stores.begun(path, support.device(quota_cores=1.5), support.device("desktop"))
    one, two = support.engine(threads=1), support.engine(threads=2)
    store.add_ceilings("run-1", support.ceilings(one, **{READ: 20e9}))
    store.add_ceilings("run-1", support.ceilings(two, **{READ: 40e9, "q4_0": 7e11, "f16": 2e11}))
    store.add_baseline("run-1", support.baseline(idle_w=3.0))
    desktop, laptop = hardware.devices(path).to_dict("records")
    assert (laptop["read_bytes_s"], laptop["read_threads"]) == (40e9, 2)
    assert (laptop["compute_per_s"], laptop["compute_type"]) == (7e11, "q4_0")
    assert laptop["idle_w"] == 3.0
    assert hardware.devices(path)["quota_cores"].fillna(0).tolist() == [0, 1.5]
    assert hardware.devices(path)["read_bytes_s"].isna().tolist() == [True, False]
    assert desktop["cpu"] == "Example 9000"


def test_meters_say_what_they_read_or_why_not(tmp_path: Path) -> None:
    path = tmp_path / "odllm.duckdb"
    stores.begun(path, support.device(), support.device("bare", meters=()))
    (row,) = hardware.meters(path).to_dict("records")
    assert (row["device"], row["meter"], row["method"]) == ("laptop", "rapl", "unavailable")
    assert (row["reason"], row["remedy"]) == ("no powercap here", "use a real machine")
    assert row["domains"] == ""
