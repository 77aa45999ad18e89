"""Windows' energy meters by a module of the shape of zeus's `zeus.device.cpu.emi`."""

import platform
import sys
from dataclasses import dataclass
from types import ModuleType

import pytest

from odllm_agent.contract import Method, Phase
from odllm_agent.meters import emi, energies
from odllm_agent.meters.energy import counter
from odllm_agent.meters.request import Request
from tests.odllm_agent.meters.hand_clock import set_in

EMI = Request.parse("emi")


@dataclass
class Measurement:
    """zeus's `CpuDramMeasurement`."""

    cpu_mj: float
    dram_mj: float | None = None


class Cpu:
    """zeus's `EMICPU`, whose counters a test sets, in picowatt-hours as Windows has them."""

    def __init__(self, package_pwh: int, dram_pwh: int | None) -> None:
        self.package_pwh, self.dram_pwh = package_pwh, dram_pwh

    def get_total_energy_consumption(self) -> Measurement:
        dram_mj = None if self.dram_pwh is None else self.dram_pwh * 3.6e-6
        return Measurement(self.package_pwh * 3.6e-6, dram_mj)

    def supports_get_dram_energy_consumption(self) -> bool:
        return self.dram_pwh is not None


def install(monkeypatch: pytest.MonkeyPatch, *cpus: Cpu) -> None:
    """Makes this a Windows with such processors."""

    class Cpus:
        def __init__(self) -> None:
            if not cpus:
                raise RuntimeError("No EMI-compatible energy meter devices were found")
            self.cpus = cpus

    module = ModuleType(emi.MODULE)
    module.EMICPUs = Cpus  # type: ignore[attr-defined]
    monkeypatch.setattr(platform, "system", lambda: "Windows")
    for name in ("zeus", "zeus.device", "zeus.device.cpu"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, emi.MODULE, module)


def test_package_and_dram_are_told_in_joules_over_all_sockets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = set_in(monkeypatch, counter)
    cpus = Cpu(10**12, 10**11), Cpu(3 * 10**12, 2 * 10**11)
    install(monkeypatch, *cpus)
    meter = emi.open_meter(EMI)
    before = meter.read()
    clock.advance(2.0)
    for cpu in cpus:
        cpu.package_pwh += 5 * 10**9
        cpu.dram_pwh = (cpu.dram_pwh or 0) + 10**9
    told = energies(Phase.DECODE, (meter,), (before,), (meter.read(),))
    energies_j = {energy.domain: energy.energy_j for energy in told}
    assert energies_j == {"package": pytest.approx(36.0), "dram": pytest.approx(7.2)}
    assert meter.limits.most_w == 2 * emi.MOST_W


def test_a_processor_without_dram_counters_has_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, Cpu(10**12, None))
    report = emi.open_meter(EMI).report()
    assert report.domains == ("package",)
    assert [(lost.domain, bool(lost.reason)) for lost in report.missing] == [("dram", True)]


def test_a_windows_without_meters_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    report = emi.open_meter(EMI).report()
    assert (report.domains, report.method) == ((), Method.UNAVAILABLE)
    assert "No EMI-compatible energy meter devices" in report.reason
    assert report.remedy


def test_a_missing_zeus_gives_the_line_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, Cpu(10**12, None))
    monkeypatch.delitem(sys.modules, emi.MODULE)
    report = emi.open_meter(EMI).report()
    assert report.reason == f"{emi.MODULE} is not installed"
    assert report.remedy == emi.INSTALL


@pytest.mark.skipif(sys.platform == "win32", reason="this is Windows")
def test_other_systems_are_sent_to_their_own_meters() -> None:
    report = emi.open_meter(EMI).report()
    assert "is Windows', and this is" in report.reason
    assert "rapl" in report.remedy
