"""What can happen to a fleet while a sweep runs."""

import random
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests import family
from tests.fleet.fleet import Fleet, step_clock
from tests.fleet.host import Host
from tests.fleet.process import Role
from tests.fleet.waiting import wait_until

_AN_HOUR_S = 3600


class Missed(Exception):
    """The sweep was over before the fault could strike."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a fault strikes.

    Attributes:
        fleet: The fleet on which a sweep runs.
        device: The device that is struck, if it is not the desk.
        store: The sweep's store.
        sweep: The controller.
    """

    fleet: Fleet
    device: Host
    store: Path
    sweep: subprocess.Popen[str]

    def check(self) -> None:
        """Checks that the sweep goes on.

        Raises:
            Missed: It is over.
        """
        if self.sweep.poll() is not None:
            raise Missed


Act = Callable[[Scene], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that can happen.

    Attributes:
        strike: Lets it happen.
        heal: Takes it back.
        lasts_s: How long between the two.
        clock: Whether the device needs a wall clock that can be set.
    """

    strike: Act
    heal: Act
    lasts_s: float = 0.0
    clock: bool = False


@dataclass(frozen=True, slots=True)
class Draw:
    """A fault, where and when.

    Attributes:
        name: The fault's name in `FAULTS`.
        device: The number of the device that is struck.
        at: When, as a fraction of a calm sweep's time.
    """

    name: str
    device: int
    at: float

    @classmethod
    def nth(cls, seed: int, index: int, n_devices: int) -> "Draw":
        """The draw of a seed with an index, whatever was drawn before it.

        Every fault comes once before any comes again.
        """
        deck = list(FAULTS)
        random.Random(f"{seed}/{index // len(deck)}").shuffle(deck)
        drawn = random.Random(f"{seed}:{index}")
        return cls(deck[index % len(deck)], drawn.randrange(n_devices), drawn.random())


def _nothing(_: Scene) -> None:
    pass


def _kill_on_device(role: Role) -> Act:
    def kill(scene: Scene) -> None:
        def is_done() -> bool:
            scene.check()
            return bool(scene.device.kill(role))

        wait_until(is_done, family.PATIENCE_S, f"{role} to kill")

    return kill


def _kill_controller(scene: Scene) -> None:
    scene.fleet.desk.kill(Role.CONTROLLER)


def _kill_head(scene: Scene) -> None:
    scene.fleet.desk.kill(Role.HEAD)


def _second_controller(scene: Scene) -> None:
    """Starts the same command beside the first; it must be refused, and say so."""
    second = scene.fleet.sweep(scene.store)
    status = second.wait(family.PATIENCE_S)
    said = scene.fleet.desk.said(second)
    scene.check()
    assert status not in {0, 3}, f"a second controller was let in: {said}"
    assert "Traceback" not in said, said


def _down(scene: Scene) -> None:
    scene.device.link_down()


def _up(scene: Scene) -> None:
    scene.device.link_up()


FAULTS: Mapping[str, Fault] = {
    "worker killed": Fault(_kill_on_device(Role.WORKER), _nothing),
    "actor killed": Fault(_kill_on_device(Role.ACTOR), _nothing),
    "raylet killed": Fault(_kill_on_device(Role.RAYLET), _nothing),
    "agent killed": Fault(
        _kill_on_device(Role.AGENT), lambda scene: scene.fleet.join(scene.device), lasts_s=3
    ),
    "controller killed": Fault(_kill_controller, _nothing, lasts_s=1),
    "head killed": Fault(_kill_head, lambda scene: scene.fleet.up(), lasts_s=3),
    "link down for 5 s": Fault(_down, _up, lasts_s=5),
    "link down for 40 s": Fault(_down, _up, lasts_s=40),
    "link down for 120 s": Fault(_down, _up, lasts_s=120),
    "asleep for 60 s": Fault(
        lambda scene: scene.device.sleep(), lambda scene: scene.device.wake(), lasts_s=60
    ),
    "device's disk full": Fault(
        lambda scene: scene.device.fill(scene.device.state),
        lambda scene: scene.device.clear(scene.device.state),
        lasts_s=15,
    ),
    "controller's disk full": Fault(
        lambda scene: scene.fleet.desk.fill(scene.fleet.desk.results),
        lambda scene: scene.fleet.desk.clear(scene.fleet.desk.results),
        lasts_s=15,
    ),
    "clock an hour on": Fault(
        lambda scene: step_clock(scene.device, _AN_HOUR_S), _nothing, clock=True
    ),
    "clock an hour back": Fault(
        lambda scene: step_clock(scene.device, -_AN_HOUR_S), _nothing, clock=True
    ),
    "two controllers": Fault(_second_controller, _nothing),
}


def happen(fault: Fault, scene: Scene) -> None:
    """Lets a fault happen and takes it back.

    Raises:
        Missed: The sweep was over before it could strike.
    """
    scene.check()
    fault.strike(scene)
    try:
        time.sleep(fault.lasts_s)
    finally:
        fault.heal(scene)
