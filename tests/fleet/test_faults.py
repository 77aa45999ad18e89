"""The quick ones of the faults; `make chaos` draws from all."""

import pytest

from tests.fleet.chaos import fleet_of
from tests.fleet.faults import FAULTS, Draw
from tests.fleet.network import why_not
from tests.fleet.strike import strike

_QUICK = ("actor killed", "controller killed")
_CALM_S = 15.0


@pytest.mark.ray
def test_nothing_is_lost_or_doubled() -> None:
    reason = why_not()
    if reason:
        pytest.skip(reason)

    with fleet_of(("ada", "bob")) as fleet:
        for name in _QUICK:
            outcome = strike(fleet, Draw(name, device=0, at=0.6), _CALM_S, name.replace(" ", "-"))

            assert not outcome.wrongs, f"{name}: {outcome}"


def test_each_fault_is_drawn_once_before_any_comes_again() -> None:
    names = [Draw.nth(7, index, 2).name for index in range(2 * len(FAULTS))]

    assert sorted(names[: len(FAULTS)]) == sorted(names[len(FAULTS) :]) == sorted(FAULTS)


def test_a_draw_depends_on_its_seed_and_number_alone() -> None:
    draws = [Draw.nth(7, index, 2) for index in range(20)]

    assert Draw.nth(7, 13, 2) == draws[13]
    assert Draw.nth(8, 13, 2) != draws[13]
