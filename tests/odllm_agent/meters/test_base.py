from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.contract import Energy, Method, Phase
from odllm_agent.errors import UsageError
from odllm_agent.meters import energies, open_meters, read, reports
from odllm_agent.meters.base import MeterReading, Unavailable, WindowLimits, uncertainty_j, window
from tests.steady import Steady

LIMITS = WindowLimits(shortest_s=0.01, longest_s=100.0, most_w=500.0)


def after(seconds: float, energy_j: float | None, reason: str = "") -> MeterReading:
    """A reading so long after 0."""
    return MeterReading(int(seconds * 1e9), energy_j, reason)


def told(seconds: float, joules: float) -> tuple[float | None, str]:
    """What a window of this length and energy gives, on a counter that stood at 10 J."""
    return window(MeterReading(0, 10.0), after(seconds, 10.0 + joules), LIMITS)


def test_the_energy_of_a_window_is_the_difference_of_its_edges() -> None:
    assert told(1.0, 15.0) == (15.0, "")


@pytest.mark.parametrize(
    ("seconds", "joules", "reason"),
    [
        (0.001, 0.02, "a window of 1 ms is too short for the sensor, which needs 10 ms"),
        (0.02, 0.0, "the counter did not move in 20 ms"),
        (101.0, 10.0, "too long for the sensor, whose counter may wrap every 100 s"),
        (1.0, 501.0, "the counter jumped: 501 J in 1 s"),
        (1.0, -1.0, "the counter jumped: -1 J in 1 s"),
    ],
)
def test_what_a_counter_cannot_tell_has_a_reason(
    seconds: float, joules: float, reason: str
) -> None:
    energy_j, why = told(seconds, joules)
    assert energy_j is None
    assert reason in why


@given(st.floats(0, 1000), st.floats(-1000, 1e6))
def test_a_figure_is_never_zero_and_never_negative(seconds: float, joules: float) -> None:
    energy_j, reason = told(seconds, joules)
    assert (energy_j is None) == bool(reason)
    assert energy_j is None or energy_j > 0


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (MeterReading(0, None, "gone"), after(1, 5.0)),
        (MeterReading(0, 1.0), after(1, None, "gone")),
    ],
)
def test_a_reading_that_failed_at_either_edge_gives_its_reason(
    start: MeterReading, end: MeterReading
) -> None:
    assert window(start, end, LIMITS) == (None, "gone")


@pytest.mark.parametrize(("lost_at_s", "told"), [(0.5, False), (1.0, False), (0.0, True)])
def test_a_window_in_which_the_meter_lost_count_has_no_figure(lost_at_s: float, told: bool) -> None:
    end = MeterReading(int(1e9), 5.0, "", int(lost_at_s * 1e9), "the counter jumped")
    expected = (4.0, "") if told else (None, "the counter jumped")
    assert window(MeterReading(0, 1.0), end, LIMITS) == expected


def test_a_meter_that_is_not_there_gives_its_reason_for_every_phase() -> None:
    meters = (Unavailable("rapl", "package", "no powercap here", "use a real machine"),)
    before, later = read(meters), read(meters)
    assert energies(Phase.DECODE, meters, before, later) == (
        Energy(Phase.DECODE, "package", "rapl", Method.UNAVAILABLE, None, "no powercap here"),
    )


def test_auto_is_the_processors_meter_and_every_other_that_measures() -> None:
    opened = open_meters(("auto", "rapl", "auto"))
    assert opened[0].name == "rapl"
    assert all(meter.report().domains for meter in opened[1:])


def test_a_meter_that_is_named_is_there_though_it_measures_nothing() -> None:
    assert [meter.name for meter in open_meters(("apple", "rapl"))] == ["apple", "rapl"]


def test_the_reports_of_auto_are_of_every_meter_that_the_system_can_have() -> None:
    told = reports()
    assert [report.name for report in told] == ["rapl", "nvml", "hwmon", "battery"]
    assert all(report.domains or (report.reason and report.remedy) for report in told)


def test_an_estimate_is_never_a_part_of_auto() -> None:
    assert "estimated" not in [report.method for report in reports(("auto",))]


def test_a_meter_without_settings_refuses_one_by_name() -> None:
    with pytest.raises(UsageError, match="rapl has no setting tdp_w"):
        open_meters(("rapl:tdp_w=28",))


def test_no_names_are_no_meters() -> None:
    meters = open_meters(())
    assert energies(Phase.PREFILL, meters, read(meters), read(meters)) == ()


def test_an_unknown_meter_is_named_beside_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no power meter 'wattson'") as caught:
        reports(("rapl", "wattson"))
    assert caught.value.remedy.startswith("choose from auto, rapl, nvml, hwmon, battery, ")


def sampled(*steps: tuple[float, float], limits: WindowLimits = LIMITS) -> tuple[float | None, str]:
    """What a window of these seconds and joules on end gives."""
    at_s, total_j, readings = 0.0, 10.0, [MeterReading(0, 10.0)]
    for seconds, joules in steps:
        at_s, total_j = at_s + seconds, total_j + joules
        readings.append(after(at_s, total_j))
    return window(readings[0], readings[-1], limits, readings[1:-1])


def test_a_window_that_was_read_in_between_may_be_as_long_as_it_likes() -> None:
    assert sampled((60, 600.0), (60, 600.0)) == (1200.0, "")
    assert sampled((120, 1200.0))[0] is None


@pytest.mark.parametrize("jump_j", [-5.0, 600.0])
def test_a_jump_that_the_whole_window_hides_is_seen_in_between(jump_j: float) -> None:
    energy_j, reason = sampled((10, 1000.0), (1, jump_j), (10, 1000.0))
    assert energy_j is None
    assert f"the counter jumped: {jump_j:.3g} J in 1 s" in reason


def test_a_reading_that_failed_in_between_spoils_nothing() -> None:
    broken = after(0.5, None, "gone")
    assert window(MeterReading(0, 10.0), after(1, 30.0), LIMITS, [broken]) == (20.0, "")


def test_both_edges_may_be_off_by_a_period_and_a_step() -> None:
    limits = WindowLimits(0.01, 100, 500, step_j=0.001, period_s=0.002)
    assert uncertainty_j(40.0, 2.0, limits) == pytest.approx(2 * (20 * 0.002 + 0.001))


@given(st.floats(1.0, 400.0), st.floats(0.02, 10.0), st.floats(0, 1), st.floats(0, 1))
def test_the_true_energy_lies_within_the_uncertainty(
    watts: float, seconds: float, start_phase: float, end_phase: float
) -> None:
    limits = WindowLimits(0.01, 100, 500, step_j=2.0**-14, period_s=0.001)

    def shown_j(at_s: float, phase: float) -> float:
        """A counter that shows the energy of its last update, in whole steps."""
        updated_s = at_s - phase * limits.period_s
        return watts * updated_s // limits.step_j * limits.step_j

    told_j = shown_j(1 + seconds, end_phase) - shown_j(1, start_phase)
    margin_j = uncertainty_j(told_j, seconds, limits)
    # The margin is worked out from the figure itself, so it is off by a share of itself too.
    assert abs(told_j - watts * seconds) <= margin_j * (1 + 2 * limits.period_s / seconds) + 1e-9


def test_a_figure_carries_its_window_its_passes_and_how_far_off_it_may_be() -> None:
    meter = Steady()
    start = meter.read()
    (found,) = energies(
        Phase.PREFILL, (meter,), (start,), ({"package": later(start, 0.5, 10.0)},), passes=3
    )
    assert (found.energy_j, found.window_s, found.passes) == (10.0, 0.5, 3)
    assert found.uncertainty_j == pytest.approx(uncertainty_j(10.0, 0.5, meter.limits))


def later(readings: Mapping[str, MeterReading], seconds: float, joules: float) -> MeterReading:
    start = readings["package"]
    return MeterReading(start.at_ns + int(seconds * 1e9), (start.energy_j or 0.0) + joules)
