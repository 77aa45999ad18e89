"""One fault in one sweep, and what came of it."""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from odllm_agent.contract import Entry, from_json
from tests import family
from tests.fleet.books import Books
from tests.fleet.faults import FAULTS, Draw, Fault, Missed, Scene, happen
from tests.fleet.fleet import Fleet
from tests.fleet.host import Host
from tests.fleet.process import Role
from tests.fleet.waiting import wait_until

DONE, SOME_FAILED = 0, 3

_SWEEP_TIMEOUT_S = 600
_MOST_STARTS = 5
_MOST_MISSES, _SOONER = 9, 0.6


@dataclass(slots=True)
class Outcome:
    """What came of a fault; it is filled in while the sweep goes on.

    Attributes:
        struck_s: When it struck, since the sweep began.
        took_s: How long the sweep took, with all of its starts.
        statuses: The exit status of each start of the controller.
        reported: How many rounds the first start that ended by itself left out, with a reason.
        wrongs: What must not be.
    """

    struck_s: float = 0.0
    took_s: float = 0.0
    statuses: list[int] = field(default_factory=list)
    reported: int | None = None
    wrongs: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"struck {self.struck_s:5.1f} s, took {self.took_s:5.1f} s, ended {self.statuses}, "
            f"reported {self.reported}: {'; '.join(self.wrongs) or 'ok'}"
        )


def strike(fleet: Fleet, draw: Draw, calm_s: float, name: str) -> Outcome:
    """Lets a fault happen in a sweep, and starts the same command again until all is measured.

    A sweep that is over before the fault can strike is begun anew, and struck sooner.

    Args:
        fleet: A fleet that is up, with every device in it.
        draw: The fault.
        calm_s: How long a sweep takes that nothing disturbs.
        name: What to call the sweep's store.
    """
    fault, device = FAULTS[draw.name], fleet.devices[draw.device]
    outcome = Outcome()
    try:
        if fault.clock:
            _join_anew(fleet, device, clock=True)
        for misses in range(_MOST_MISSES):
            store = fleet.desk.results / f"{name}-{misses}.duckdb"
            with contextlib.suppress(Missed):
                _strike(fault, fleet, device, store, outcome, draw.at * calm_s * _SOONER**misses)
                break
        else:
            outcome.wrongs.append(f"{_MOST_MISSES} sweeps were over before it could strike")
        if fault.clock:
            _join_anew(fleet, device, clock=False)
        settle(fleet)
    except (AssertionError, OSError, RuntimeError, subprocess.TimeoutExpired) as error:
        outcome.wrongs.append(f"{type(error).__name__}: {error}")
    return outcome


def _strike(
    fault: Fault, fleet: Fleet, device: Host, store: Path, outcome: Outcome, after_s: float
) -> None:
    begun_s = time.monotonic()
    scene = Scene(fleet, device, store, fleet.sweep(store))
    try:
        time.sleep(after_s)
        outcome.struck_s = time.monotonic() - begun_s
        happen(fault, scene)
        _carry_through(scene, outcome)
        outcome.wrongs += leftovers(fleet)
    finally:
        outcome.took_s = time.monotonic() - begun_s


def settle(fleet: Fleet) -> None:
    """Waits until every device is in the fleet again."""

    def are_back() -> bool:
        # The head may be starting.
        with contextlib.suppress(RuntimeError):
            return fleet.has_all()
        return False

    wait_until(are_back, family.PATIENCE_S, "every device is back")


def leftovers(fleet: Fleet) -> list[str]:
    """What lies or runs on the hosts that must not, once a sweep is stored."""
    return [
        *(f"{path} lies in the journal" for each in fleet.devices for path in journal(each)),
        *(f"{each.command} still runs" for each in fleet.desk.processes(Role.CONTROLLER)),
        *(wrong for device in fleet.devices for wrong in _crowd(device)),
    ]


def journal(device: Host) -> list[Path]:
    """The files in a device's journal but what it saw itself, which the next run takes."""
    return [
        path
        for path in sorted(device.seen(device.state / "journal").glob("*"))
        if not _is_event(path)
    ]


def _is_event(path: Path) -> bool:
    _, line = path.read_bytes().splitlines()
    return from_json(Entry, line).event is not None


def _carry_through(scene: Scene, outcome: Outcome) -> None:
    """Starts the same command again until it ends with everything measured."""
    sweep = scene.sweep
    for _ in range(_MOST_STARTS):
        outcome.statuses.append(sweep.wait(_SWEEP_TIMEOUT_S))
        if outcome.statuses[-1] in {DONE, SOME_FAILED}:
            books = Books.read(scene.fleet.desk.seen(scene.store))
            if outcome.reported is None:
                outcome.reported = len(books.missing)
            # A run cannot miss a device that was struck before the run saw it.
            if len(books.planned) >= scene.fleet.n_trials:
                outcome.wrongs += books.wrongs(scene.fleet.n_trials)
                if not books.missing:
                    return
        settle(scene.fleet)
        sweep = scene.fleet.sweep(scene.store)
    scene.fleet.desk.kill(Role.CONTROLLER)
    outcome.wrongs.append(f"not measured in {_MOST_STARTS} starts")


def _crowd(device: Host) -> Iterator[str]:
    """Who is on a device that should not be, or should be alone."""
    for role, most in ((Role.WORKER, 0), (Role.ACTOR, 1), (Role.RAYLET, 1), (Role.AGENT, 1)):
        found = device.processes(role)
        if len(found) > most:
            yield f"{len(found)} of {role} on {device.name}"


def _join_anew(fleet: Fleet, device: Host, *, clock: bool) -> None:
    fleet.leave(device)
    fleet.join(device, clock=clock)
