"""What is told to stand in the way of a measurement, and what to do about it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from odllm_agent.builds import Builds, UsableEngine
from odllm_agent.contract import Outcome, PathTest
from odllm_agent.doctor import checks
from odllm_agent.doctor.checks import Finding, Severity
from odllm_agent.errors import EngineError
from odllm_agent.host.control_groups import Quota
from odllm_agent.host.idle import Look, look
from tests import support

FINE, NOTE, DISTURBS, MISSING = Severity
INSTALLED = datetime(2026, 11, 1, tzinfo=UTC)


def seen(**after: object) -> Look:
    """A second of a quiet device that ended as told."""
    top = (("browser", 0.7), ("indexer", 0.2))
    return Look(support.state(), support.state(**after), 1.0, top, 8)


def test_an_engine_that_is_not_there_tells_how_to_install_it() -> None:
    absent = {"openvino": EngineError("it is not installed here", "pip install it")}
    build = support.build("SSE3 = 1", PathTest("F16", "plain", Outcome.RIGHT))
    here = Builds({"llama_cpp": UsableEngine("0.3.36", build)}, absent)
    engine, tried, missing = checks.of_engines(here)
    assert engine == Finding("llama_cpp", FINE, f"0.3.36, build {build.id}")
    assert tried.verdict is FINE
    assert missing == Finding("openvino", NOTE, "it is not installed here", "pip install it")
    assert not checks.missing([engine, tried, missing])
    assert checks.missing(list(checks.of_engines(Builds({}, absent))))


def test_what_does_not_work_of_a_build_is_told_by_code_path_with_the_remedy() -> None:
    crash = [PathTest(kind, "amx", Outcome.CRASHED, "SIGSEGV") for kind in ("Q4_0", "Q8_0")]
    wrong = PathTest("Q4_0", "plain", Outcome.WRONG, "off by 0.3")
    build = support.build("AMX_INT8 = 1", *crash, wrong)
    _, amx, plain = checks.of_engines(Builds({"llama_cpp": UsableEngine("0.3.36", build)}, {}))
    assert (amx.verdict, plain.verdict) == (NOTE, NOTE)
    assert amx.told.startswith("the amx path crashes (SIGSEGV) with Q4_0, Q8_0")
    assert plain.told.startswith("the plain path computes wrong values (off by 0.3) with Q4_0")
    assert "--no-cache-dir llama-cpp-python" in amx.remedy


def test_a_build_that_could_not_be_tried_says_why() -> None:
    build = replace(support.build("SSE3 = 1"), untested="there is no room on the disk")
    _, found = checks.of_engines(Builds({"llama_cpp": UsableEngine("0.3.36", build)}, {}))
    assert (found.verdict, found.told) == (NOTE, "there is no room on the disk")


def test_a_cache_is_tried_by_writing_to_it(tmp_path: Path) -> None:
    assert checks.of_cache(tmp_path / "new" / "cache").verdict is FINE
    assert list((tmp_path / "new" / "cache").iterdir()) == []
    (tmp_path / "file").write_text("")
    broken = checks.of_cache(tmp_path / "file" / "cache")
    assert broken.verdict is MISSING
    assert "ODLLM_CACHE_DIR" in broken.remedy


def test_little_room_is_told_with_what_there_is(tmp_path: Path) -> None:
    assert checks.of_disk(tmp_path, 50 * 10**9).verdict is FINE
    little = checks.of_disk(tmp_path, 3 * 10**9)
    assert (little.verdict, bool(little.remedy)) == (NOTE, True)
    assert "3.0 GB" in little.told
    assert checks.of_memory(8 * 10**9).verdict is FINE
    assert checks.of_memory(10**9).verdict is DISTURBS


@pytest.mark.parametrize(
    ("looked", "used_bytes", "verdict"),
    [
        (seen(), 0, FINE),
        (seen(), 10**9, FINE),
        (seen(available_bytes=5 * 10**8), 10**9, DISTURBS),
        (seen(swapped_bytes=8192), 10**9, DISTURBS),
    ],
)
def test_swap_disturbs_when_it_is_used_now_or_holds_more_than_is_free(
    looked: Look, used_bytes: int, verdict: Severity
) -> None:
    assert checks.of_swap(looked, used_bytes).verdict is verdict


def test_load_is_told_in_hardware_threads_with_whose_it_is() -> None:
    quiet = checks.of_load(seen(busy_s=100.1))
    assert quiet.verdict is FINE
    busy = checks.of_load(seen(busy_s=103.0, own_cpu_s=2.0))
    assert busy.verdict is DISTURBS
    assert busy.told == "others keep 2.00 of 8 hardware threads busy: browser 0.70, indexer 0.20"


@pytest.mark.parametrize(
    ("cores", "after", "verdict", "told"),
    [
        (None, {}, FINE, "no control group limits the processor time"),
        (8.0, {}, FINE, "8 of 8 hardware threads' time, by /sys/fs/cgroup/q"),
        (1.5, {}, DISTURBS, "1.5 of 8 hardware threads' time, by /sys/fs/cgroup/q: "),
        (8.0, {"quota_throttle_count": 1}, DISTURBS, "/sys/fs/cgroup/q, used up already: "),
    ],
)
def test_a_quota_disturbs_if_it_can_be_used_up(
    cores: float | None, after: dict[str, object], verdict: Severity, told: str
) -> None:
    quota = None if cores is None else Quota(cores, Path("/sys/fs/cgroup/q"))
    found = checks.of_quota(seen(**after), quota, 8)
    assert found.verdict is verdict
    assert told in found.told
    assert bool(found.remedy) == (verdict is DISTURBS)


def test_hardware_threads_that_may_not_be_used_are_told() -> None:
    (fine,) = checks.of_affinity(8, 8)
    assert (fine.verdict, fine.remedy) == (FINE, "")
    (fewer,) = checks.of_affinity(2, 8)
    assert fewer.verdict is NOTE
    assert "2 of 8 hardware threads may be used" in fewer.told
    assert "taskset" in fewer.remedy
    assert list(checks.of_affinity(2, None)) == []


def test_hardware_threads_that_are_off_are_told() -> None:
    (fine,) = checks.of_offline(8, 8)
    assert (fine.verdict, fine.remedy) == (FINE, "")
    (fewer,) = checks.of_offline(4, 8)
    assert fewer.verdict is NOTE
    assert "4 of 8 hardware threads are off" in fewer.told
    assert "/sys/devices/system/cpu" in fewer.remedy
    assert list(checks.of_offline(4, None)) == []


@pytest.mark.parametrize(
    ("on_battery", "percent", "verdict", "told"),
    [
        (None, None, FINE, "no battery that tells anything"),
        (None, 50.0, NOTE, "a battery at 50 % does not tell whether it feeds the device"),
        (False, 80.0, FINE, "on mains, the battery at 80 %"),
        (True, 43.4, DISTURBS, "on battery at 43 %"),
        (True, None, DISTURBS, "on battery"),
    ],
)
def test_a_battery_disturbs_only_while_it_feeds_the_device(
    on_battery: bool | None, percent: float | None, verdict: Severity, told: str
) -> None:
    found = checks.of_supply(support.state(on_battery=on_battery, battery_percent=percent))
    assert (found.verdict, found.told) == (verdict, told)


@pytest.mark.parametrize(
    ("state", "verdict"),
    [
        ({"governor": "performance"}, FINE),
        ({"governor": "schedutil"}, FINE),
        ({"governor": "powersave"}, DISTURBS),
        ({"governor": "powersave", "energy_preference": "balance_performance"}, FINE),
        ({"governor": "powersave", "energy_preference": "power"}, DISTURBS),
        ({"governor": "performance", "power_profile": "low-power"}, DISTURBS),
        ({"governor": None}, NOTE),
    ],
)
def test_saving_power_disturbs_but_following_the_load_does_not(
    state: dict[str, object], verdict: Severity
) -> None:
    assert checks.of_profile(support.state(**state)).verdict is verdict


@pytest.mark.parametrize(
    ("after", "verdict", "told"),
    [
        ({"temperature_c": 50.0}, FINE, "50 C"),
        ({"temperature_c": 96.0}, DISTURBS, "96 C"),
        ({"temperature_c": 70.0, "throttle_count": 1}, DISTURBS, "70 C, and it throttles"),
        ({"temperature_c": None}, NOTE, "the device does not tell its temperature"),
        ({"temperature_c": None, "throttle_count": 1}, DISTURBS, "it throttles"),
    ],
)
def test_heat_disturbs_once_a_repeat_would_be_flagged(
    after: dict[str, object], verdict: Severity, told: str
) -> None:
    found = checks.of_heat(seen(**after))
    assert (found.verdict, found.told) == (verdict, told)


@pytest.mark.parametrize(
    ("days", "kept", "verdict"),
    [(1, True, FINE), (1, None, FINE), (1, False, NOTE), (-400, True, DISTURBS)],
)
def test_a_clock_cannot_be_right_before_odllm_was_installed(
    days: int, kept: bool | None, verdict: Severity
) -> None:
    found = checks.of_clock(INSTALLED + timedelta(days=days), INSTALLED, kept)
    assert found.verdict is verdict


def test_a_virtual_machine_says_that_it_is_one() -> None:
    (found,) = checks.of_hypervisor(virtual=True)
    assert found.verdict is DISTURBS
    assert list(checks.of_hypervisor(virtual=False)) == []


def test_everything_that_disturbs_or_is_missing_has_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODLLM_CACHE_DIR", str(tmp_path))
    found: tuple[Finding, ...] = checks.of_this_device(look(), virtual=True)
    assert len({(each.subject, each.told) for each in found}) == len(found)
    for each in found:
        assert each.told, each
        if each.verdict in {DISTURBS, MISSING}:
            assert each.remedy, each
