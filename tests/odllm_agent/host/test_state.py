"""What state the device is in, and what counts as a disturbance."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.clock import monotonic_ns, seconds_since
from odllm_agent.contract import DeviceState
from odllm_agent.host import disturbance, linux, portable, state
from odllm_agent.host.control_groups import MemoryGroup
from tests import support


def flags(wall_s: float = 1.0, logical_cores: int = 2, **after: object) -> tuple[str, ...]:
    """What a repeat is flagged with whose state changed from a quiet one as told."""
    return disturbance.flags(support.state(), support.state(**after), wall_s, logical_cores)


def test_a_quiet_repeat_is_not_flagged() -> None:
    assert flags() == ()


def test_a_device_that_tells_nothing_is_not_flagged() -> None:
    silent = support.state(temperature_c=None, throttle_count=None, on_battery=None)
    assert disturbance.flags(silent, silent, 1.0, 2) == ()


@pytest.mark.parametrize(
    ("change", "flag"),
    [
        ({"throttle_count": 1}, "throttled"),
        ({"quota_throttle_count": 1}, "throttled_by_quota"),
        ({"temperature_c": 95.0}, "hot"),
        ({"on_battery": True}, "on_battery"),
        ({"swapped_bytes": 4096}, "swapped"),
        ({"busy_s": 101.0}, "busy"),
    ],
)
def test_each_disturbance_has_its_flag(change: dict[str, object], flag: str) -> None:
    assert disturbance.flags(support.state(), support.state(**change), 1.0, 2) == (flag,)


def test_what_held_before_the_repeat_counts_too() -> None:
    before = support.state(temperature_c=99.0, on_battery=True)
    assert disturbance.flags(before, support.state(), 1.0, 2) == ("hot", "on_battery")


def test_a_counter_that_appears_late_is_no_throttling() -> None:
    assert (
        disturbance.flags(
            support.state(throttle_count=None), support.state(throttle_count=7), 1.0, 2
        )
        == ()
    )


def test_own_work_is_not_other_load() -> None:
    assert flags(busy_s=102.0, own_cpu_s=3.0) == ()


@pytest.mark.parametrize("ticks", [-2, -1, 0, 1, 2])
def test_a_tick_more_or_less_does_not_make_a_short_repeat_busy(ticks: int) -> None:
    assert flags(wall_s=0.02, busy_s=100.04 + ticks * 0.01, own_cpu_s=1.04) == ()


@pytest.mark.parametrize("logical_cores", [2, 8, 32])
def test_one_core_taken_by_others_is_busy_on_any_device(logical_cores: int) -> None:
    assert flags(wall_s=2.0, logical_cores=logical_cores, busy_s=102.0) == ("busy",)


@given(st.floats(0, 100), st.integers(1, 256))
def test_a_share_of_a_tenth_of_a_core_is_never_busy(wall_s: float, logical_cores: int) -> None:
    before = support.state(busy_s=0.0, own_cpu_s=0.0)
    after = support.state(busy_s=0.1 * wall_s, own_cpu_s=0.0)
    assert disturbance.flags(before, after, wall_s, logical_cores) == ()


def test_the_state_follows_the_work_of_this_process() -> None:
    start_s = time.process_time()
    before, start = state.read_state(), monotonic_ns()
    while time.process_time() < before.own_cpu_s + 0.3:
        pass
    after, wall_s = state.read_state(), seconds_since(start)
    own_s = after.own_cpu_s - before.own_cpu_s
    cores = os.cpu_count() or 1
    assert 0.3 <= own_s <= time.process_time() - start_s
    assert own_s - 0.05 <= after.busy_s - before.busy_s <= cores * (wall_s + 0.05)


def test_the_work_of_another_process_makes_a_repeat_busy() -> None:
    code = "import time\nend = time.monotonic() + 0.8\nwhile time.monotonic() < end: pass"
    before, start = state.read_state(), monotonic_ns()
    subprocess.run([sys.executable, "-c", code], check=True)
    after = state.read_state()
    assert "busy" in disturbance.flags(before, after, seconds_since(start), os.cpu_count() or 1)


def test_every_system_gives_a_state() -> None:
    told = portable.read_state()
    here = state.read_state()
    assert isinstance(told, DeviceState)
    assert told.busy_s == pytest.approx(here.busy_s, rel=0.25)
    assert told.on_battery == here.on_battery


def test_a_memory_limit_binds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    group = MemoryGroup(tmp_path / "max", tmp_path / "current", tmp_path / "stat")
    for path, text in ((group.limit, "5000"), (group.usage, "3000"), (group.stat, "")):
        path.write_text(text)
    monkeypatch.setattr(linux, "_memory_groups", lambda: (group,))
    assert state.available_bytes() == 2000


def test_available_memory_is_the_systems_where_nothing_binds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(linux, "_memory_groups", lambda: ())
    assert state.available_bytes() == pytest.approx(psutil.virtual_memory().available, rel=0.1)


def test_flags_do_not_depend_on_their_order_of_happening() -> None:
    after = replace(
        support.state(temperature_c=99.0), throttle_count=3, swapped_bytes=1, busy_s=200.0
    )
    assert disturbance.flags(support.state(), after, 1.0, 2) == (
        "busy",
        "hot",
        "swapped",
        "throttled",
    )
