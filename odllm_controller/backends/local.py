"""This machine alone, with a Ray of its own for the time of a run."""

import contextlib
import logging
import subprocess
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import ray

from odllm_agent.errors import DispatchError
from odllm_agent.fleet.actor import AgentActor
from odllm_agent.network import ray_folder
from odllm_agent.terminal.ending import heeding_signals
from odllm_controller.backends.remote import RemoteAgent, answer, waited
from odllm_controller.experiment.config import FleetConfig
from odllm_controller.run.dispatch import Agent, Sighting

_OBJECT_STORE_BYTES = 100 * 2**20
# A device tries its engines before it first says what it is.
_DESCRIBED_TIMEOUT_S = 900
_KILLED_TIMEOUT_S = 10


class LocalFleet:
    """Agents on a Ray of this machine alone, all there from the start.

    Args:
        agents: The agents.
    """

    settled = True

    def __init__(self, agents: Sequence[Agent]) -> None:
        self._agents = tuple(agents)

    def look(self) -> Sighting:
        """All agents, once."""
        seen, self._agents = self._agents, ()
        return Sighting(seen)

    def wait(self, tickets: Sequence[Any], timeout_s: float) -> Sequence[Any]:
        """Those tickets that are answered, once the first of them is."""
        return waited(tickets, timeout_s)

    def answer(self, ticket: Any) -> Any:
        """The answer to a ticket; see `Fleet`."""
        return answer(ticket)

    def lost(self, device_id: str) -> None:
        """Ray starts it anew by itself."""


@contextlib.contextmanager
def opened(_: FleetConfig, meters: tuple[str, ...]) -> Iterator[LocalFleet]:
    """A Ray of this machine alone, with one agent, for as long as the context lasts.

    Raises:
        DispatchError: Ray or the agent does not start.
    """
    with started():
        yield LocalFleet([_start_agent(meters)])


@contextlib.contextmanager
def started() -> Iterator[None]:
    """A Ray of this machine alone, which this process drives as long as the context lasts.

    Raises:
        DispatchError: Ray does not start.
    """
    folder = ray_folder.make()
    try:
        with heeding_signals():
            _start_ray(folder)
        yield
    finally:
        _end_ray()
    ray_folder.remove(folder)


def _start_ray(folder: Path) -> None:
    try:
        ray.init(
            address="local",
            include_dashboard=False,
            log_to_driver=False,
            # What matters is raised, and told in our words.
            logging_level=logging.CRITICAL,
            _temp_dir=str(ray_folder.temp_dir(folder)),
            object_store_memory=_OBJECT_STORE_BYTES,
        )
    except (OSError, RuntimeError) as error:
        raise DispatchError(
            f"Ray did not start on this machine: {error}",
            f"Ray's logs lie in {folder} until the next start",
        ) from error


def _start_agent(meters: tuple[str, ...]) -> RemoteAgent:
    # Restarted without limit: an agent that is lost costs no more than what it was doing.
    actor = AgentActor.options(max_restarts=-1).remote()  # type: ignore[attr-defined]
    device = answer(actor.device.remote(meters), _DESCRIBED_TIMEOUT_S)
    return RemoteAgent(device, actor, meters)


def _end_ray() -> None:
    """Ends Ray with all of its processes; Ray itself waits a second for each that it has killed."""
    # There is no public way to them, and once they are killed Ray forgets them.
    node = ray._private.worker._global_node  # noqa: SLF001
    started: list[Any] = list(node.all_processes.values()) if node else []
    ray.shutdown()
    for each in chain.from_iterable(started):
        with contextlib.suppress(subprocess.TimeoutExpired):
            each.process.wait(_KILLED_TIMEOUT_S)
