"""Where figures come from."""

from odllm_controller.analysis.queries.origins import all_origins, origins
from odllm_controller.metrics import METRICS
from tests.result_frames import frame

BY_NAME = {metric.name: metric for metric in METRICS}
SPEED, POWER = BY_NAME["decode_tok_s"], BY_NAME["decode_w"]


def test_devices_that_are_none_are_told_apart() -> None:
    rows = frame({}, {"device_kind": "virtual"}, {"device_kind": "simulated"})
    assert origins(rows, SPEED).tolist() == ["measured", "virtual", "simulated"]


def test_only_energy_is_estimated() -> None:
    rows = frame({"energy_method": "estimated"}, {"energy_method": "measured"})
    assert origins(rows, SPEED).tolist() == ["measured", "measured"]
    assert origins(rows, POWER).tolist() == ["estimated", "measured"]
    assert all_origins(rows) == {"measured", "estimated"}


def test_what_was_imported_is_not_taken_for_measured_here() -> None:
    rows = frame({}, {}).assign(origin=["odllm", "llama-bench b6641 (bench.jsonl)"])
    assert origins(rows, SPEED).tolist() == ["measured", "imported"]
