"""Simulated devices on a Ray of this machine, many to an actor."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from odllm_agent.contract import AgentApi, Candidate, Device, Forecast
from odllm_agent.simulation.actor import SimulatedActor
from odllm_controller.backends import local
from odllm_controller.backends.local import LocalFleet
from odllm_controller.backends.remote import answer
from odllm_controller.experiment.config import FleetConfig
from odllm_controller.run.asking import Ask

_ANSWER_TIMEOUT_S = 120


@dataclass(frozen=True, slots=True)
class SimulatedAgentHandle:
    """The agent of one simulated device, asked over Ray.

    Attributes:
        device: What it is said to be.
        actor: The handle of the actor that it shares with others.
        number: Its number in the fleet.
        labels: It has none.
    """

    device: Device
    actor: Any
    number: int
    labels: Mapping[str, str] = field(default_factory=dict)

    def ask(self, ask: Ask[Any]) -> Any:
        """Asks it something, and returns Ray's reference to the answer at once."""
        return self.actor.ask.remote(self.number, ask.method, ask.arguments)

    def forecast(
        self, candidates: tuple[Candidate, ...], *, here: bool = True
    ) -> tuple[Forecast, ...]:
        """Tells what trials would need; nothing is made.

        Args:
            candidates: What to tell about.
            here: Whether the device's cache may have their files; it has none.

        Raises:
            DispatchError: The actor does not answer.
        """
        reference = self.ask(Ask.of(AgentApi.forecast, candidates, (), here))
        found: tuple[Forecast, ...] = answer(reference, _ANSWER_TIMEOUT_S)
        return found


@contextlib.contextmanager
def opened(asked: FleetConfig, _: tuple[str, ...]) -> Iterator[LocalFleet]:
    """A Ray of this machine alone with so many simulated devices, as long as the context lasts.

    Raises:
        DispatchError: Ray or an actor does not start.
    """
    with local.started():
        yield LocalFleet(agents(asked.devices or 1, asked.actors or 1))


def agents(devices: int, actors: int, seed: int = 0) -> list[SimulatedAgentHandle]:
    """The agents of simulated devices, dealt out to actors on the Ray that this process is in.

    Args:
        devices: How many devices.
        actors: How many processes they share.
        seed: What the fleet is drawn from.

    Raises:
        DispatchError: An actor does not start.
    """
    found: list[SimulatedAgentHandle] = []
    for first in range(min(actors, devices)):
        numbers = range(first, devices, actors)
        actor = SimulatedActor.options(  # type: ignore[attr-defined]
            max_restarts=-1, num_cpus=0, scheduling_strategy="SPREAD"
        ).remote(numbers, seed)
        ask = Ask.of(AgentApi.device, ())
        asked = [actor.ask.remote(number, ask.method, ask.arguments) for number in numbers]
        described = [answer(each, _ANSWER_TIMEOUT_S) for each in asked]
        found += map(SimulatedAgentHandle, described, [actor] * len(numbers), numbers)
    return sorted(found, key=lambda agent: agent.number)
