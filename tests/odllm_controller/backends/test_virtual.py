"""This machine as several devices."""

from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.errors import DispatchError, UsageError
from odllm_agent.host.state import cpus
from odllm_controller.backends import virtual
from odllm_controller.backends.virtual import shares
from tests.odllm_controller.bench import Bench


@given(st.sets(st.integers(0, 255), min_size=1), st.data())
def test_every_cpu_belongs_to_one_device_and_all_have_as_many_but_for_one(
    numbers: set[int], data: st.DataObject
) -> None:
    n_devices = data.draw(st.integers(1, len(numbers)))
    found = [share.split(",") for share in shares(sorted(numbers), n_devices)]
    assert len(found) == n_devices
    assert sorted(int(each) for share in found for each in share) == sorted(numbers)
    assert max(map(len, found)) - min(map(len, found)) <= 1


def test_more_devices_than_cpus_are_refused() -> None:
    with pytest.raises(UsageError, match=r"fleet\.devices=3, and this machine has 2"):
        shares([0, 1], 3)


def test_devices_that_do_not_start_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual, "_HOST", "odllm_controller.backends.nowhere")
    with (
        pytest.raises(DispatchError, match="No module named odllm_controller") as raised,
        virtual.started(1),
    ):
        pass
    assert "fleet.devices" in raised.value.remedy


@pytest.mark.ray
@pytest.mark.skipif(len(cpus()) < 2, reason="each of two devices needs a CPU of its own")
def test_a_virtual_fleet_measures_each_device_marks_it_and_leaves_nothing_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Wherever temporary files lie: no socket can lie in such a folder.
    folder = tmp_path / "t ü" / "of-a-user"
    folder.mkdir(parents=True)
    monkeypatch.setenv("TMPDIR", str(folder))
    bench = Bench(tmp_path)
    ended = bench.run("fleet=virtual", "rounds=1", "power=none")
    assert ended.status == 0, ended.out + ended.err
    results = bench.query("SELECT device, device_kind, status FROM results ORDER BY ALL")
    assert results.to_numpy().tolist() == [
        [f"virtual-{number}", "virtual", "done"] for number in (1, 1, 2, 2)
    ]
    cores = bench.query("SELECT logical_cores FROM devices")["logical_cores"]
    assert cores.sum() == len(cpus())
    assert not [each for each in psutil.process_iter() if _is_of(each, tmp_path)]


def _is_of(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.environ().get("ODLLM_STATE_DIR", "").startswith(str(folder))
    except (psutil.Error, OSError):
        return False
