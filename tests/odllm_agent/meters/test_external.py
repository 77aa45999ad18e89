"""A meter's file, written by a test on a clock of its own and by a real process on the real one."""

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.contract import Energy, Method, Phase
from odllm_agent.errors import UsageError
from odllm_agent.meters import energies, external, open_meters, read
from odllm_agent.meters.external import Sample
from tests.odllm_agent.meters.hand_clock import HandClock, set_in

START = datetime(2026, 11, 1, 12, 0, 0, tzinfo=UTC)


class Lab:
    """A wall-plug meter that writes a line a second, and the clocks of the machine beside it."""

    def __init__(self, path: Path, clock: HandClock) -> None:
        self.path = path
        self.wall = START
        self._clock = clock
        path.write_text("time,watts\n")

    def pass_s(self, seconds: int, watts: float | None) -> None:
        """Lets time pass; with watts the meter writes a line at the end of every second."""
        for _ in range(seconds):
            self.wall += timedelta(seconds=1)
            self._clock.advance(1.0)
            if watts is not None:
                self.write(f"{self.wall.timestamp()},{watts}")

    def write(self, line: str) -> None:
        """Writes a line."""
        with self.path.open("a") as file:
            file.write(f"{line}\n")

    def open(self) -> None:
        """Opens the meter."""
        self._meters = open_meters((f"external:path={self.path}",))
        self._before = read(self._meters)

    def told(self) -> Energy:
        """The energy since the last call, or since the meter was opened."""
        after = read(self._meters)
        (energy,) = energies(Phase.DECODE, self._meters, self._before, after)
        self._before = after
        return energy


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Lab:
    """A meter that has run for a minute at 30 W and was then opened."""
    lab = Lab(tmp_path / "power.csv", set_in(monkeypatch, external))
    monkeypatch.setattr(external, "now", lambda: lab.wall)
    lab.pass_s(60, 30.0)
    lab.open()
    return lab


def test_a_known_power_at_the_wall_is_measured(lab: Lab) -> None:
    lab.pass_s(20, 40.0)
    energy = lab.told()
    assert (energy.domain, energy.method) == ("wall", Method.MEASURED)
    # The step from 30 W to 40 W lies somewhere in the first second.
    assert energy.energy_j == pytest.approx(20 * 40, abs=5)
    lab.pass_s(20, 40.0)
    assert lab.told().energy_j == pytest.approx(20 * 40)


def test_a_line_that_is_not_written_yet_is_made_good_within_a_period(lab: Lab) -> None:
    lab.pass_s(10, 30.0)
    lab.pass_s(1, None)
    assert lab.told().energy_j == pytest.approx(11 * 30)


def test_a_gap_spoils_every_window_that_holds_it_and_no_other(lab: Lab) -> None:
    lab.pass_s(10, 30.0)
    lab.pass_s(5, None)
    lab.pass_s(10, 30.0)
    spoilt = lab.told()
    assert (spoilt.energy_j, spoilt.method) == (None, Method.UNAVAILABLE)
    assert spoilt.reason == "its lines are 6 s apart"
    lab.pass_s(10, 30.0)
    assert lab.told().energy_j == pytest.approx(300)


def test_a_meter_that_stopped_writing_gives_nothing(lab: Lab) -> None:
    lab.pass_s(12, None)
    assert lab.told().reason == "its last line is 12 s old"


@pytest.mark.parametrize("step_s", [-2, 3600])
def test_a_clock_that_is_set_spoils_the_window(lab: Lab, step_s: int) -> None:
    lab.pass_s(10, 30.0)
    lab.wall += timedelta(seconds=step_s)
    lab.pass_s(10, 30.0)
    energy = lab.told()
    assert energy.energy_j is None
    assert f"{step_s} s" in energy.reason or "apart" in energy.reason


def test_a_line_that_is_none_spoils_the_window_and_is_shown(lab: Lab) -> None:
    lab.pass_s(10, 30.0)
    lab.write("overload")
    lab.pass_s(10, 30.0)
    energy = lab.told()
    assert energy.energy_j is None
    assert "'overload' is not time,watts" in energy.reason


def test_a_file_that_is_cut_short_spoils_the_window(lab: Lab) -> None:
    lab.pass_s(10, 30.0)
    lab.told()
    lab.path.write_text("")
    lab.pass_s(10, 30.0)
    assert lab.told().energy_j is None


def test_a_window_of_fewer_than_ten_lines_is_too_short(lab: Lab) -> None:
    lab.pass_s(9, 30.0)
    assert "too short for the sensor, which needs 1e+04 ms" in lab.told().reason


def test_the_resolution_is_that_of_the_file(lab: Lab) -> None:
    (meter,) = open_meters((f"external:path={lab.path}",))
    report = meter.report()
    assert (report.domains, report.period_s) == (("wall",), 1.0)
    assert report.name == f"external:path={lab.path}"


@given(
    st.timedeltas(timedelta(0), timedelta(days=365)).map(START.__add__),
    st.floats(0, 4000),
)
def test_times_are_seconds_or_iso_8601(at: datetime, watts: float) -> None:
    expected = Sample(at.timestamp(), watts)
    assert Sample.parse(f"{at.timestamp()!r},{watts!r}") == expected
    assert Sample.parse(f" {at.isoformat()} , {watts!r}") == expected


@pytest.mark.parametrize(
    "line",
    ["", "1", "1,", ",30", "1,-5", "1,nan", "inf,30", "2026-11-01T12:00:00,30", "1,30,40", "a,b"],
)
def test_a_line_that_is_no_sample_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        Sample.parse(line)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "there is no file"),
        ("time,watts\n1,30\n2,30\n", "has 2 lines, and needs 3"),
        ("1,30\n2,30\n3,30 W\n", "'3,30 W' is not time,watts"),
        ("1,30\n3,30\n2,30\n", "not in the order of their times"),
    ],
)
def test_a_file_that_is_no_meter_says_why(tmp_path: Path, text: str | None, reason: str) -> None:
    path = tmp_path / "power.csv"
    if text is not None:
        path.write_text(text)
    (meter,) = open_meters((f"external:path={path}",))
    report = meter.report()
    assert report.domains == ()
    assert reason in report.reason
    assert report.remedy


def test_only_the_end_of_a_long_file_is_read(lab: Lab) -> None:
    lab.path.write_text("0,nonsense\n" + "".join(f"{second},30\n" for second in range(10**4)))
    assert external.PowerFile(lab.path).period_s == 1.0


def test_a_meter_without_a_file_is_refused() -> None:
    with pytest.raises(UsageError, match="external names no file"):
        open_meters(("external",))


WRITER = """\
import time
while True:
    print(f"{time.time()},25.0", flush=True)
    time.sleep(0.03)
"""


def test_what_a_real_program_writes_is_measured_on_the_real_clock(tmp_path: Path) -> None:
    path = tmp_path / "power.csv"
    command = [sys.executable, "-c", WRITER]
    with path.open("a") as file, subprocess.Popen(command, stdout=file) as writer:
        while path.read_text().count("\n") < 9:
            time.sleep(0.02)
        meters = open_meters((f"external:path={path}",))
        # A busy machine may hold the writer up, which is told; it does not every time.
        for _ in range(20):
            before = read(meters)
            time.sleep(0.4)
            after = read(meters)
            (energy,) = energies(Phase.DECODE, meters, before, after)
            if energy.energy_j is not None:
                break
        writer.kill()
    seconds = (after[0]["wall"].at_ns - before[0]["wall"].at_ns) / 1e9
    assert energy.energy_j is not None, energy.reason
    assert energy.energy_j / seconds == pytest.approx(25.0, rel=0.01)
