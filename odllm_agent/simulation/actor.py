"""Many simulated devices as one Ray actor, since an actor is a process."""

from collections.abc import Sequence
from typing import Any

import ray

from odllm_agent.simulation.agent import SimulatedAgent
from odllm_agent.simulation.laptop import Laptop
from odllm_agent.simulation.outlines import Outlines


@ray.remote
class SimulatedActor:
    """The agents of several simulated devices; each call names the device.

    Args:
        numbers: The devices' numbers in their fleet.
        seed: What the fleet is drawn from.
    """

    def __init__(self, numbers: Sequence[int], seed: int) -> None:
        outlines = Outlines()
        self._agents = {n: SimulatedAgent(Laptop.of(n, seed), outlines) for n in numbers}

    def ask(self, number: int, method: str, arguments: tuple[Any, ...]) -> Any:
        """What a device's agent answers; see `SimulatedAgent`."""
        return getattr(self._agents[number], method)(*arguments)
