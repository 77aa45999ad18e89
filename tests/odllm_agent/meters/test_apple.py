"""Apple silicon by a module of the shape of zeus-apple-silicon."""

import platform
import sys
from types import ModuleType, SimpleNamespace

import pytest

from odllm_agent.contract import Method, Phase
from odllm_agent.meters import apple, energies
from odllm_agent.meters.energy import counter
from odllm_agent.meters.request import Request
from tests.odllm_agent.meters.hand_clock import set_in

APPLE = Request.parse("apple")


def install(monkeypatch: pytest.MonkeyPatch, **told_mj: int | None) -> SimpleNamespace:
    """Makes this a Mac whose chip tells so much; the test may change it."""
    fields = ("cpu_total_mj", "gpu_mj", "gpu_sram_mj", "ane_mj", "dram_mj")
    told = SimpleNamespace(**(dict.fromkeys(fields) | told_mj))

    class AppleEnergyMonitor:
        def get_cumulative_energy(self) -> SimpleNamespace:
            return told

    module = ModuleType(apple.MODULE)
    module.AppleEnergyMonitor = AppleEnergyMonitor  # type: ignore[attr-defined]
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    monkeypatch.setitem(sys.modules, apple.MODULE, module)
    return told


def test_the_package_is_cpu_gpu_and_neural_engine_and_its_parts_are_told_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = set_in(monkeypatch, counter)
    told = install(
        monkeypatch, cpu_total_mj=1000, gpu_mj=100, gpu_sram_mj=10, ane_mj=0, dram_mj=500
    )
    meter = apple.open_meter(APPLE)
    before = meter.read()
    clock.advance(2.0)
    told.cpu_total_mj, told.gpu_mj, told.gpu_sram_mj = 31_000, 5100, 110
    told.ane_mj, told.dram_mj = 2000, 3500
    figures = energies(Phase.DECODE, (meter,), (before,), (meter.read(),))
    assert {energy.domain: energy.energy_j for energy in figures} == {
        "package": pytest.approx(30 + 5 + 0.1 + 2),
        "core": pytest.approx(30),
        "gpu": pytest.approx(5.1),
        "dram": pytest.approx(3),
    }


def test_what_a_chip_does_not_tell_is_missing_and_not_0(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, cpu_total_mj=1000, gpu_mj=100)
    meter = apple.open_meter(APPLE)
    assert meter.report().domains == ("package", "core", "gpu")
    assert [lost.domain for lost in meter.report().missing] == ["dram"]
    assert meter.read()["dram"].energy_j is None


def test_a_chip_that_stops_telling_gives_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    told = install(monkeypatch, cpu_total_mj=1000)
    meter = apple.open_meter(APPLE)
    told.cpu_total_mj = None
    assert "no longer tells its package energy" in meter.read()["package"].reason


def test_a_missing_library_gives_the_line_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    monkeypatch.setitem(sys.modules, apple.MODULE, None)
    report = apple.open_meter(APPLE).report()
    assert report.reason == "zeus_apple_silicon is not installed"
    assert report.remedy == 'pip install "odllm[zeus]"'


def test_another_machine_is_told_what_it_is() -> None:
    if (platform.system(), platform.machine()) == ("Darwin", "arm64"):
        pytest.skip("this is Apple silicon")
    report = apple.open_meter(APPLE).report()
    assert (report.domains, report.method) == ((), Method.UNAVAILABLE)
    assert platform.system() in report.reason
