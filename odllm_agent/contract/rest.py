"""A device at rest: the order, and what it did meanwhile."""

from dataclasses import dataclass
from datetime import datetime

from odllm_agent.clock import now
from odllm_agent.contract.failure import Failure
from odllm_agent.contract.round import Energy


@dataclass(frozen=True, slots=True)
class Rest:
    """The order to watch a device while nothing is measured on it.

    Attributes:
        device_id: The device.
        round: The round of trials that comes next.
        meters: Names of the power meters to read.
        idle_s: For how long, if one of them measures; if none does, for a second at most.
    """

    device_id: str
    round: int
    meters: tuple[str, ...]
    idle_s: float

    @property
    def told(self) -> str:
        """What people are told that it asks for."""
        return f"at rest before round {self.round + 1}"

    @property
    def longest_s(self) -> float:
        """The most that it takes its device."""
        return self.idle_s

    def failed(self, failure: "Failure") -> "Baseline":
        """The result if it could not even be tried."""
        return Baseline(self.device_id, self.round, now(), 0.0, failure=failure)


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a device does while nothing is measured on it, with the agent and Ray there.

    Attributes:
        device_id: The device.
        round: The round of trials that came next.
        started_at: When the device was first looked at, in UTC.
        wall_s: For how long it was watched.
        own_cores: CPU seconds per second that the agent and Ray spent.
        own_bytes: Memory that would be free without them.
        busy_cores: CPU seconds per second that everything on the device spent.
        reason: Why something of the agent's and Ray's own is missing, or `""`.
        energy: Per domain.
        failure: Why the device could not be watched, or `None`.
    """

    device_id: str
    round: int
    started_at: datetime
    wall_s: float
    own_cores: float | None = None
    own_bytes: int | None = None
    busy_cores: float | None = None
    reason: str = ""
    energy: tuple[Energy, ...] = ()
    failure: Failure | None = None
