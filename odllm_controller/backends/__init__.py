"""The fleets that trials can be sent to, by the names that `fleet=` takes.

Ray reads its environment once, when it is imported, and each fleet needs another. So a fleet's
module, which imports Ray, is imported only after that environment is set.
"""

import importlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from odllm_agent.errors import UsageError
from odllm_agent.network.ray_environment import surround
from odllm_controller.backends import surroundings, virtual
from odllm_controller.experiment.config import FleetConfig
from odllm_controller.head import Head
from odllm_controller.run.admission import nobody
from odllm_controller.run.dispatch import Agent, Fleet

# Those whose Ray this process starts, and the one of a head that is there before.
_OWN = {
    "local": "odllm_controller.backends.local",
    "simulated": "odllm_controller.backends.simulated",
}
_JOINED = "odllm_controller.backends.joined"


@contextmanager
def opened(asked: FleetConfig, meters: Sequence[str]) -> Iterator[Fleet]:
    """A fleet, for as long as the context lasts.

    Args:
        asked: Which.
        meters: Names of the power meters that an experiment reads.

    Raises:
        DispatchError: It cannot be reached, or does not start.
        UsageError: This process has reached another fleet before, or this machine cannot be split
            into so many devices.
    """
    if asked.kind in _OWN:
        _surround(surroundings.own())
        module = importlib.import_module(_OWN[asked.kind])
        with module.opened(asked, tuple(meters)) as fleet:
            yield fleet
        return
    with _head(asked) as head:
        _surround(surroundings.of(head))
        module = importlib.import_module(_JOINED)
        with module.opened(head, tuple(meters)) as fleet:
            yield fleet


def agents_of(fleet: Fleet) -> tuple[Agent, ...]:
    """All agents of a fleet that are there now.

    Raises:
        DispatchError: There is none.
    """
    found: dict[str, Agent] = {}
    while True:
        found |= {agent.device.id: agent for agent in fleet.look().agents}
        if fleet.settled:
            break
        fleet.wait((), 1.0)
    if not found:
        raise nobody()
    return tuple(found.values())


@contextmanager
def _head(asked: FleetConfig) -> Iterator[Head]:
    if asked.kind == "virtual":
        with virtual.started(asked.devices or 1) as head:
            yield head
    else:
        yield Head.load()


def _surround(environment: Mapping[str, str]) -> None:
    changed = any(os.environ.get(name) != value for name, value in environment.items())
    if changed and "ray" in sys.modules:
        raise UsageError(
            "one command reaches one fleet",
            "run an experiment on another fleet with a command of its own",
        )
    surround(environment)
