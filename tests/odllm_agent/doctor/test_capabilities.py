"""What a device lets be measured, and the remedy where it does not."""

import re
from pathlib import Path

import pytest

from odllm_agent import meters
from odllm_agent.contract import DeviceState, HeldMemory, MeterReport, Method
from odllm_agent.doctor import capabilities
from odllm_agent.doctor.capabilities import Ability
from odllm_agent.host import state
from odllm_agent.meters.memory import held_memory
from tests import support

SILENT = support.state(
    on_battery=None, governor=None, frequency_hz=None, temperature_c=None, throttle_count=None
)


def by_quantity(*found: Ability) -> dict[str, Ability]:
    return {ability.quantity: ability for ability in found}


def of_state(now: DeviceState, virtual: bool = False, system: str = "linux") -> dict[str, Ability]:
    return by_quantity(*capabilities.of_state(now, virtual, system))


def test_what_a_sensor_tells_is_measured_and_needs_no_remedy() -> None:
    found = of_state(support.state(temperature_c=50.0, throttle_count=0, on_battery=False))
    for name in ("temperature", "throttling", "mains or battery", "frequency", "swapping"):
        assert (found[name].method, found[name].reason) == (Method.MEASURED, ""), name


def test_what_no_sensor_tells_says_why_and_what_to_do() -> None:
    found = of_state(SILENT)
    assert found["temperature"].method is Method.UNAVAILABLE
    assert "modprobe" in found["temperature"].remedy
    assert all(each.reason for each in found.values() if each.method is Method.UNAVAILABLE)


@pytest.mark.parametrize(
    ("virtual", "system", "reason"),
    [(True, "linux", "virtual machine"), (False, "win32", "not tell it on win32")],
)
def test_a_driver_is_no_remedy_where_there_can_be_none(
    virtual: bool, system: str, reason: str
) -> None:
    found = of_state(SILENT, virtual, system)["temperature"]
    assert reason in found.reason
    assert "modprobe" not in found.remedy


def told(held: HeldMemory) -> dict[str, Ability]:
    return by_quantity(*capabilities.of_this_device(support.state(), held, virtual=False))


def test_every_domain_of_every_meter_has_its_resolution(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = MeterReport(
        "watch", ("package", "dram"), Method.MEASURED, step_j=2.0**-14, period_s=0.001
    )
    monkeypatch.setattr(meters, "reports", lambda: (watch,))
    found = told(HeldMemory())
    for domain in ("package", "dram"):
        energy = found[f"energy of {domain}"]
        assert (energy.source, energy.method) == ("watch", Method.MEASURED)
        assert energy.resolution == "61 uJ every 1 ms"


def test_a_meter_that_reads_nothing_says_what_it_would_read_and_why_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    absent = meters.base.Unavailable("rapl", "package", "no powercap here", "sudo modprobe it")
    monkeypatch.setattr(meters, "reports", lambda: (absent.report(),))
    energy = told(HeldMemory())["energy of package"]
    assert energy.method is Method.UNAVAILABLE
    assert (energy.reason, energy.remedy) == ("no powercap here", "sudo modprobe it")


def test_memory_in_parts_is_told_where_the_system_tells_it() -> None:
    assert told(support.held_memory())["mapped model"].method is Method.MEASURED
    without = told(HeldMemory(reason="macOS does not tell"))["mapped model"]
    assert (without.method, without.reason) == (Method.UNAVAILABLE, "macOS does not tell")


@pytest.mark.parametrize(
    ("value", "text"), [(2.0, "2 s"), (1e-3, "1 ms"), (6.1e-5, "61 us"), (1e-9, "1 ns")]
)
def test_small_figures_have_the_prefix_that_suits_them(value: float, text: str) -> None:
    assert capabilities.in_units(value, "s") == text


def test_this_device_tells_of_everything_and_never_nothing() -> None:
    found = capabilities.of_this_device(state.read_state(), held_memory(Path()), virtual=False)
    assert len({(each.quantity, each.source) for each in found}) == len(found)
    for each in found:
        assert (each.method is Method.UNAVAILABLE) == bool(each.reason), each
    (clock,) = (each for each in found if each.quantity == "time of each token")
    assert re.fullmatch(r"\d+ [mun]s", clock.resolution)
