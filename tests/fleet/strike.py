"""One fault in one sweep, and what came of it."""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from odllm_agent.contract import Entry, from_json
from tests.fleet.books import Books
from tests.fleet.faults import FAULTS, Draw, Scene, happen
from tests.fleet.fleet import Fleet
from tests.fleet.host import Host
from tests.fleet.process import Role
from tests.fleet.waiting import wait_until

DONE, SOME_FAILED = 0, 3

_SWEEP_TIMEOUT_S = 600
_SETTLE_TIMEOUT_S = 150
_MOST_STARTS = 5


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

    Args:
        fleet: A fleet that is up, with every device in it.
        draw: The fault.
        calm_s: How long a sweep takes that nothing disturbs.
        name: What to call the sweep's store.
    """
    scene = Scene(fleet, fleet.devices[draw.device], fleet.desk.results / f"{name}.duckdb")
    outcome = Outcome()
    begun_s = time.monotonic()
    try:
        if FAULTS[draw.name].clock:
            _join_anew(scene, clock=True)
        begun_s = time.monotonic()
        sweep = fleet.sweep(scene.store)
        time.sleep(draw.at * calm_s)
        outcome.struck_s = time.monotonic() - begun_s
        happen(FAULTS[draw.name], scene)
        _carry_through(scene, sweep, outcome)
        outcome.wrongs += leftovers(fleet)
        if FAULTS[draw.name].clock:
            _join_anew(scene, clock=False)
        settle(fleet)
    except (AssertionError, OSError, RuntimeError, subprocess.TimeoutExpired) as error:
        outcome.wrongs.append(f"{type(error).__name__}: {error}")
    outcome.took_s = time.monotonic() - begun_s
    return outcome


def settle(fleet: Fleet) -> None:
    """Waits until every device is in the fleet again."""

    def are_back() -> bool:
        # The head may be starting.
        with contextlib.suppress(RuntimeError):
            return fleet.has_all()
        return False

    wait_until(are_back, _SETTLE_TIMEOUT_S, "every device is back")


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


def _carry_through(scene: Scene, sweep: subprocess.Popen[str], outcome: Outcome) -> None:
    """Starts the same command again until it ends with everything measured."""
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


def _join_anew(scene: Scene, *, clock: bool) -> None:
    scene.fleet.leave(scene.device)
    scene.fleet.join(scene.device, clock=clock)
