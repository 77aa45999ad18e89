"""NVIDIA's cards by a stand-in for their driver's library; its errors are the real package's."""

import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pynvml
import pytest

from odllm_agent.contract import Method, Phase
from odllm_agent.meters import energies, nvml
from odllm_agent.meters.energy import counter, integral
from odllm_agent.meters.request import Request
from tests.odllm_agent.meters.hand_clock import set_in

NVML = Request.parse("nvml")


class Driver(SimpleNamespace):
    """The functions that are called, over cards whose values a test sets.

    The values are made up, in the driver's units and of a size that cards have.
    """

    NVMLError = pynvml.NVMLError
    NVMLError_NotSupported = pynvml.NVMLError_NotSupported
    NVMLError_FunctionNotFound = pynvml.NVMLError_FunctionNotFound
    NVMLError_LibraryNotFound = pynvml.NVMLError_LibraryNotFound
    NVMLError_DriverNotLoaded = pynvml.NVMLError_DriverNotLoaded

    def __init__(self, energy_mj: list[int | None], power_mw: list[int | None]) -> None:
        super().__init__(energy_mj=energy_mj, power_mw=power_mw, n_open=0)

    def nvmlInit(self) -> None:  # noqa: N802
        self.n_open += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.n_open -= 1

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self.energy_mj)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        return index

    def nvmlDeviceGetTotalEnergyConsumption(self, card: int) -> int:  # noqa: N802
        return self._told(self.energy_mj[card])

    def nvmlDeviceGetPowerUsage(self, card: int) -> int:  # noqa: N802
        return self._told(self.power_mw[card])

    def _told(self, value: int | None) -> int:
        if value is None:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return value


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    """A driver with one card that counts."""
    stand_in = Driver([170_123_456_789], [65_432])
    monkeypatch.setitem(sys.modules, "pynvml", stand_in)
    yield stand_in
    assert stand_in.n_open == 0, "the library is closed with the meter"


def test_a_card_that_counts_is_measured_in_joules(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = set_in(monkeypatch, counter)
    meter = nvml.open_meter(NVML)
    before = meter.read()
    clock.advance(2.0)
    driver.energy_mj[0] += 130_864
    (energy,) = energies(Phase.DECODE, (meter,), (before,), (meter.read(),))
    assert (energy.domain, energy.method) == ("gpu", Method.MEASURED)
    assert energy.energy_j == pytest.approx(130.864)
    report = meter.report()
    assert (report.domains, report.means) == (("gpu",), "energy counter")
    assert (report.step_j, report.period_s) == (0.001, 0.1)


def test_a_card_without_a_counter_has_its_power_integrated_and_says_so(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = set_in(monkeypatch, integral)
    monkeypatch.setattr(integral, "_keep_reading", lambda reference, period_s: None)
    driver.energy_mj[0] = None
    meter = nvml.open_meter(NVML)
    assert meter.report().means == "integrated power"
    assert meter.report().method is Method.MEASURED
    before = meter.read()
    for _ in range(20):
        clock.advance(0.1)
        after = meter.read()
    (energy,) = energies(Phase.DECODE, (meter,), (before,), (after,))
    assert energy.energy_j == pytest.approx(2.0 * 65.432)


def test_cards_count_together_and_one_integrated_card_labels_the_sum(driver: Driver) -> None:
    driver.energy_mj.append(None)
    driver.power_mw.append(30_000)
    meter = nvml.open_meter(NVML)
    assert meter.report().means == "integrated power"
    assert meter.limits.most_w == 2 * nvml.MOST_W


def test_a_card_that_falls_off_the_bus_gives_its_reason(driver: Driver) -> None:
    meter = nvml.open_meter(NVML)
    driver._told = lambda value: (_ for _ in ()).throw(  # type: ignore[method-assign]
        pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
    )
    reading = meter.read()["gpu"]
    assert reading.energy_j is None
    assert "GPU is lost" in reading.reason


def test_a_card_that_tells_nothing_is_told_apart_and_hides_no_other(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = set_in(monkeypatch, counter)
    driver.energy_mj, driver.power_mw = [None, 170_123_456_789], [None, 65_432]
    meter = nvml.open_meter(NVML)
    before = meter.read()
    clock.advance(2.0)
    driver.energy_mj[1] = 170_123_456_789 + 130_864
    told = {
        each.domain: each for each in energies(Phase.DECODE, (meter,), (before,), (meter.read(),))
    }
    assert told["gpu"].energy_j == pytest.approx(130.864)
    assert "neither energy nor power" in told["gpu of card 0"].reason
    assert meter.limits.most_w == nvml.MOST_W


@pytest.mark.parametrize(("cards", "reason"), [([], "finds no card"), ([None], "neither energy")])
def test_a_driver_without_a_card_that_tells_says_so(
    driver: Driver, cards: list[int | None], reason: str
) -> None:
    driver.energy_mj, driver.power_mw = cards, cards
    report = nvml.open_meter(NVML).report()
    assert report.domains == ()
    assert reason in report.reason
    assert report.remedy


def test_a_device_without_a_driver_says_so() -> None:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        pass
    else:
        pytest.skip("this machine has NVIDIA's driver")
    report = nvml.open_meter(NVML).report()
    assert (report.domains, report.method) == ((), Method.UNAVAILABLE)
    assert report.reason == "there is no NVIDIA driver here: NVML Shared Library Not Found"
    assert report.remedy


def test_a_missing_package_gives_the_line_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    report = nvml.open_meter(NVML).report()
    assert report.reason == "nvidia-ml-py is not installed"
    assert report.remedy == 'pip install "odllm[nvidia]"'
