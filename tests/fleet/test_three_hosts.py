"""Three laptops in one sweep: one is cut off and comes back, one is lost for good."""

import time
from collections.abc import Iterator

import pytest

from tests.fleet.books import Books
from tests.fleet.chaos import fleet_of
from tests.fleet.fleet import Fleet
from tests.fleet.network import why_not
from tests.fleet.process import Role
from tests.fleet.strike import SOME_FAILED, journal
from tests.fleet.waiting import wait_until

_SWEEP = (
    "model=[reference-1.6M,reference-2.8M,reference-7.6M]",
    "quantizations=[Q8_0,Q4_0]",
    "rounds=2",
    "fleet.grace_s=45",
)
_TRIALS_OF_A_DEVICE = 6
_BEGIN_TIMEOUT_S = 300
_CUT_OFF_S = 40
_SWEEP_TIMEOUT_S = 600


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with fleet_of(("ada", "bob", "cyd")) as made:
        yield made


@pytest.mark.chaos
@pytest.mark.timeout(1200)
def test_a_sweep_over_three_hosts_ends_complete_but_for_the_host_that_is_lost(fleet: Fleet) -> None:
    ada, bob, cyd = fleet.devices
    store = fleet.desk.results / "three.duckdb"
    sweep = fleet.sweep(store, *_SWEEP)
    _wait_for_workers(fleet)

    ada.link_down()
    bob.end()
    fleet.desk.kill(Role.CONTROLLER)
    sweep.wait()
    time.sleep(_CUT_OFF_S)
    ada.link_up()
    again = fleet.sweep(store, *_SWEEP)

    assert again.wait(_SWEEP_TIMEOUT_S) == SOME_FAILED, fleet.desk.said(again)
    found = Books.read(fleet.desk.seen(store))
    assert not found.wrongs(n_trials=len(fleet.devices) * _TRIALS_OF_A_DEVICE)
    assert {device for device, status in found.statuses if status != "done"} == {"bob"}
    assert "held: bob" in fleet.desk.said(again)
    assert not [file for device in (ada, cyd) for file in journal(device)]


def _wait_for_workers(fleet: Fleet) -> None:
    """Waits until each device was seen to measure, and so has its plan."""
    waiting = {device.name: device for device in fleet.devices}

    def none_is_left() -> bool:
        for name in [name for name, each in waiting.items() if each.processes(Role.MEASURING)]:
            del waiting[name]
        return not waiting

    wait_until(none_is_left, _BEGIN_TIMEOUT_S, "every device measures")
