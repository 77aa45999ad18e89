import pytest

from odllm_agent.contract import Method, MissingDomain
from odllm_agent.meters.base import MeterReading, WindowLimits
from odllm_agent.meters.sensors import Sum, added, open_sensors

LIMITS = WindowLimits(0.01, 100.0, 500.0, 2.0**-14, 0.001)


class Still:
    """A sensor that always gives the same reading, and counts how often it was asked."""

    def __init__(self, reading: MeterReading) -> None:
        self._reading = reading
        self.n_reads = 0

    def read(self) -> MeterReading:
        self.n_reads += 1
        return self._reading


def test_parts_of_a_domain_count_together() -> None:
    assert Sum([Still(MeterReading(5, 1.0)), Still(MeterReading(7, 2.5))]).read() == MeterReading(
        7, 3.5
    )


def test_a_part_without_a_figure_takes_the_sums() -> None:
    total = added([MeterReading(5, 1.0), MeterReading(7, None, "gone", 7, "gone")])
    assert total == MeterReading(7, None, "gone", 7, "gone")


def test_the_latest_fault_of_any_part_is_the_sums_and_not_later_than_its_time() -> None:
    total = added([MeterReading(5, 1.0, "", 3, "jumped"), MeterReading(7, 1.0, "", 7, "went back")])
    assert (total.fault_ns, total.fault, total.at_ns) == (7, "went back", 7)


def test_a_meter_tells_its_resolution_and_what_a_reading_of_it_costs() -> None:
    sensor = Still(MeterReading(1, 1.0))
    report = open_sensors("m", "energy counter", LIMITS, {"package": sensor}).report()
    assert (report.step_j, report.period_s) == (2.0**-14, 0.001)
    assert report.means == "energy counter"
    assert sensor.n_reads > 1
    assert report.read_s is not None
    assert report.read_s > 0


def test_a_domain_that_is_missing_has_its_reason_in_every_reading() -> None:
    lost = MissingDomain("dram", "no such counter")
    meter = open_sensors("m", "c", LIMITS, {"package": Still(MeterReading(1, 1.0))}, missing=[lost])
    assert meter.read() == {
        "package": MeterReading(1, 1.0),
        "dram": MeterReading(0, None, "no such counter"),
    }
    assert meter.report().domains == ("package",)
    assert meter.report().missing == (lost,)


def test_without_a_sensor_there_is_the_first_reason() -> None:
    lost = [MissingDomain("package", "locked", "unlock it"), MissingDomain("dram", "none")]
    meter = open_sensors("m", "c", LIMITS, {}, missing=lost)
    report = meter.report()
    assert (report.domains, report.method) == ((), Method.UNAVAILABLE)
    assert (report.reason, report.remedy) == ("locked", "unlock it")
    assert meter.read()["package"].reason == "locked"


def test_without_a_sensor_or_a_reason_nothing_can_be_said() -> None:
    with pytest.raises(IndexError):
        open_sensors("m", "c", LIMITS, {})
