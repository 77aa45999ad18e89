"""What a device does at most: the order, and what was found."""

from dataclasses import dataclass
from datetime import datetime

from odllm_agent.clock import now
from odllm_agent.contract.failure import Failure
from odllm_agent.contract.trial import Engine

READ = "read"
"""The name of the ceiling of bytes read from memory per second."""


@dataclass(frozen=True, slots=True)
class CeilingsOrder:
    """The order to find out the most that a device does with an engine and so many threads.

    Attributes:
        device_id: The device.
        engine: The engine with its settings.
        names: The ceilings wanted: `read`, and the types of weights to multiply with.
        deadline_s: The time after which the worker is ended.
    """

    device_id: str
    engine: Engine
    names: tuple[str, ...]
    deadline_s: float = 300.0

    @property
    def told(self) -> str:
        """What people are told that it asks for."""
        return f"what it does at most with {self.engine.name}"

    @property
    def longest_s(self) -> float:
        """The most that it takes its device."""
        return self.deadline_s

    def failed(self, failure: "Failure") -> "Ceilings":
        """The result if it could not even be tried."""
        return Ceilings(self, now(), failure=failure)


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The most that a device does of one thing.

    Attributes:
        name: `read`, or the type of the weights of a matrix product by the engine's name.
        per_s: Bytes read, or operations, per second: the best of several passes, or `None`.
        method: How it was measured.
        reason: Why there is no figure; empty where there is one.
    """

    name: str
    per_s: float | None
    method: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Ceilings:
    """What a device does at most.

    Attributes:
        order: What was asked.
        measured_at: When, in UTC.
        found: One per name of the order, unless it failed.
        failure: Why there are none, or `None`.
    """

    order: CeilingsOrder
    measured_at: datetime
    found: tuple[Ceiling, ...] = ()
    failure: Failure | None = None

    @property
    def device_id(self) -> str:
        """Where."""
        return self.order.device_id


@dataclass(frozen=True, slots=True)
class CeilingKey:
    """What a ceiling is one of; one that is known need not be measured again.

    Attributes:
        device_id: The device.
        engine: The engine's name.
        engine_version: Its version.
        threads: The threads that it was told to use.
        name: `read`, or the type of the weights that are multiplied.
        engine_build: The id of its build, or `""`.
    """

    device_id: str
    engine: str
    engine_version: str
    threads: int
    name: str
    engine_build: str = ""
