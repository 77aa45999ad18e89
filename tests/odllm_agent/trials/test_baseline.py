"""This very process at rest, with real and with driven meters."""

import time

import psutil
import pytest

from odllm_agent import meters
from odllm_agent.clock import now
from odllm_agent.contract import Method, Phase, Rest
from odllm_agent.meters.base import Unavailable
from odllm_agent.trials.baseline import own_processes, session_of, watch
from tests.steady import Steady

ABSENT = Unavailable("rapl", "package", "no powercap here", "use a real machine")


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The rests that were asked for, each taking a fifth of a second."""
    asked: list[float] = []
    sleep = time.sleep

    def short(seconds: float) -> None:
        asked.append(seconds)
        sleep(0.2)

    monkeypatch.setattr(time, "sleep", short)
    return asked


def test_the_power_of_a_device_at_rest_is_measured(
    slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meters, "open_meters", lambda _: (ABSENT, Steady(watts=3.0)))
    before = now()
    found = watch(Rest("laptop", 2, ("auto",), idle_s=5.0))
    assert slept == [5.0]
    absent, idle = found.energy
    assert (absent.energy_j, absent.reason) == (None, "no powercap here")
    assert (idle.phase, idle.method) == (Phase.IDLE, Method.MEASURED)
    assert idle.window_s is not None
    assert idle.energy_j == pytest.approx(3.0 * idle.window_s, rel=1e-3)
    assert (found.device_id, found.round, found.failure) == ("laptop", 2, None)
    assert before <= found.started_at <= now()


def test_without_a_meter_that_measures_a_second_is_enough_and_the_reason_is_kept(
    slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meters, "open_meters", lambda _: (ABSENT,))
    found = watch(Rest("laptop", 0, ("auto",), idle_s=5.0))
    assert slept == [1.0]
    (idle,) = found.energy
    assert (idle.energy_j, idle.reason) == (None, "no powercap here")
    assert found.own_cores is not None
    assert found.own_bytes is not None
    assert found.own_bytes > 10_000_000


def test_work_of_this_process_is_the_agent_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(_: float) -> None:
        end = time.process_time() + 0.3
        while time.process_time() < end:
            pass

    monkeypatch.setattr(time, "sleep", work)
    start_s = time.process_time()
    found = watch(Rest("laptop", 0, (), idle_s=1.0))
    spent_s = time.process_time() - start_s
    assert found.own_cores is not None
    assert found.busy_cores is not None
    # The kernel counts in ticks.
    assert 0.28 <= found.own_cores * found.wall_s <= spent_s + 0.02
    assert found.energy == ()


def test_without_ray_the_agent_is_this_process() -> None:
    assert [each.pid for each in own_processes()] == [psutil.Process().pid]


def test_memory_that_may_not_be_read_is_missing_not_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: psutil.Process) -> None:
        raise psutil.AccessDenied(1)

    monkeypatch.setattr(psutil.Process, "memory_full_info", refused)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    found = watch(Rest("laptop", 0, (), idle_s=1.0))
    assert found.own_bytes is None
    assert found.reason == "this user may not look into all processes of the agent"


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (
            ["/x/raylet", "--session_dir=/tmp/ray/session_2026-11-24_08-11-28_123456_42", "--a"],
            "session_2026-11-24_08-11-28_123456_42",
        ),
        (
            ["python", "log_monitor.py", "--session-dir=/r/session_2026-11-24_08-11-28_1_7/x"],
            "session_2026-11-24_08-11-28_1_7",
        ),
        (["python", "-m", "pytest"], None),
        ([], None),
    ],
)
def test_a_ray_is_told_from_another_by_its_session(command: list[str], name: str | None) -> None:
    assert session_of(command) == name
