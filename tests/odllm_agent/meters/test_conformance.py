"""What every power meter of the table keeps to; a new one is tried by being in it."""

from pathlib import Path

import pytest

from odllm_agent import meters
from odllm_agent.contract import Method, Phase
from odllm_agent.errors import UsageError
from odllm_controller.experiment.selection import METERS

each_meter = pytest.mark.parametrize("name", meters._MODULES)


@pytest.fixture
def text(name: str, tmp_path: Path) -> str:
    """How an experiment asks for a meter, with the settings that it needs."""
    (tmp_path / "power.csv").write_text("")
    needed = {"external": f"path={tmp_path / 'power.csv'}", "estimate": "tdp_w=15"}
    return f"{name}:{needed[name]}" if name in needed else name


@each_meter
def test_it_reads_something_or_says_why_not_and_what_to_do(name: str, text: str) -> None:
    (report,) = meters.reports([text])
    assert report.name == text
    if report.domains:
        assert report.method is not Method.UNAVAILABLE
        assert report.means
    else:
        assert report.reason
        assert report.remedy


@each_meter
def test_a_window_has_joules_or_a_reason_and_never_nothing(name: str, text: str) -> None:
    opened = [each for each in meters.open_meters([text]) if each.name == text]
    readings = [meters.read(opened) for _ in range(2)]
    figures = meters.energies(Phase.DECODE, opened, *readings)
    assert figures
    for each in figures:
        assert each.meter == text
        assert (each.energy_j is None) == bool(each.reason)


@each_meter
def test_a_setting_that_it_does_not_know_is_refused_by_name(name: str) -> None:
    with pytest.raises(UsageError, match="colour"):
        meters.reports([f"{name}:colour=red"])


@each_meter
def test_a_laptop_can_be_selected_by_it(name: str) -> None:
    assert name in METERS
