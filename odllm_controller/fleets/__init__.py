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
from odllm_agent.ray_environment import surround
from odllm_controller.config import FleetConfig
from odllm_controller.dispatch import Agent, Fleet
from odllm_controller.fleets import surroundings

_MODULES = {
    "local": "odllm_controller.fleets.local",
    "ray": "odllm_controller.fleets.joined",
    "virtual": "odllm_controller.fleets.virtual",
    "simulated": "odllm_controller.fleets.simulated",
}


@contextmanager
def opened(asked: FleetConfig, meters: Sequence[str]) -> Iterator[Fleet]:
    """A fleet, for as long as the context lasts.

    Args:
        asked: Which.
        meters: Names of the power meters that an experiment reads.

    Raises:
        DispatchError: It cannot be reached, or does not start.
        UsageError: This process has reached another fleet before.
    """
    _surround(surroundings.of(asked.kind))
    module = importlib.import_module(_MODULES[asked.kind])
    with module.opened(asked, tuple(meters)) as fleet:
        yield fleet


def agents_of(fleet: Fleet) -> tuple[Agent, ...]:
    """All agents of a fleet that are there now.

    Raises:
        DispatchError: One does not answer.
    """
    found: dict[str, Agent] = {}
    while True:
        found |= {agent.device.id: agent for agent in fleet.look().agents}
        if fleet.settled:
            return tuple(found.values())
        fleet.wait((), 1.0)


def _surround(environment: Mapping[str, str]) -> None:
    changed = any(os.environ.get(name) != value for name, value in environment.items())
    if changed and "ray" in sys.modules:
        raise UsageError(
            "one command reaches one fleet",
            "run an experiment on another fleet with a command of its own",
        )
    surround(environment)
