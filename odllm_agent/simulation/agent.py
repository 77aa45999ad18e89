"""The agent of one simulated device: it answers what a real one does."""

from collections.abc import Sequence
from itertools import count

from odllm_agent.contract import (
    Candidate,
    CeilingsOrder,
    Collected,
    Device,
    DeviceState,
    Entry,
    Exam,
    Failure,
    Forecast,
    Hindrance,
    Limits,
    Measurement,
    ModelFile,
    ModelRequest,
    Order,
    Progress,
    QualityCheck,
    Rest,
    Result,
    Tag,
    Underway,
)
from odllm_agent.errors import EngineError, UsageError
from odllm_agent.host.memory_fit import assumed_available_bytes
from odllm_agent.simulation import measuring
from odllm_agent.simulation.laptop import REASON, Laptop
from odllm_agent.simulation.outlines import Outlines


class SimulatedAgent:
    """One simulated device's agent; see `AgentApi`.

    Its journal lies in memory: what is lost with its process costs nothing to do again.

    Args:
        laptop: What the device is said to be.
        outlines: Where its models are described.
    """

    def __init__(self, laptop: Laptop, outlines: Outlines) -> None:
        self._laptop = laptop
        self._outlines = outlines
        self._kept: dict[str, Entry] = {}
        self._numbers = count()

    def device(self, meters: Sequence[str]) -> Device:  # noqa: ARG002 - it has no meters
        """What the device is said to be."""
        return self._laptop.describe()

    def forecast(
        self,
        candidates: tuple[Candidate, ...],
        meters: tuple[str, ...],  # noqa: ARG002 - it has no meters
        here: bool,  # noqa: ARG002 - it has no cache
    ) -> tuple[Forecast, ...]:
        """Tells what trials would need."""
        return tuple(map(self._forecast, candidates))

    def text_sha256(self, name: str) -> Failure:
        """Refuses to read a text."""
        return Failure.of(UsageError(f"{name} cannot be read: {REASON}", "set quality=none"))

    def look_up(self, exam: Exam, deadline_s: float) -> Failure:  # noqa: ARG002 - at once
        """Refuses to answer questions."""
        return Failure.of(UsageError(f"{exam.task} cannot be asked: {REASON}", "set quality=none"))

    def prepare(self, request: ModelRequest) -> ModelFile | Failure:
        """Describes a model file; nothing is written."""
        return self._outlines.of(request)

    def progress(self) -> Progress | None:
        """Nothing: a file is described in one go."""
        return None

    def underway(self) -> Underway | None:
        """Nothing: everything is done at once."""
        return None

    def hindrance(self, limits: Limits) -> Hindrance:  # noqa: ARG002 - it has no battery, nor heat
        """Nothing keeps a formula from being worked out."""
        return Hindrance()

    def carry_out(
        self,
        order: Order,
        tag: Tag,
        limits: Limits,  # noqa: ARG002 - it has no battery, nor heat
        stored: Sequence[str],
    ) -> Entry:
        """Works out what an order asks for; there is no quality, and no rest to watch."""
        self.acknowledge(stored)
        entry = Entry.of(f"{next(self._numbers):012}", self._result(order), tag)
        self._kept[entry.id] = entry
        return entry

    def collect(self, store_id: str, after: str) -> Collected:
        """What is kept for a store."""
        kept = (each for each in self._kept.values() if each.tag and each.tag.store_id == store_id)
        return Collected(tuple(entry for entry in kept if entry.id > after))

    def acknowledge(self, entry_ids: Sequence[str]) -> None:
        """Forgets what is stored."""
        for entry_id in entry_ids:
            self._kept.pop(entry_id, None)

    def state(self) -> DeviceState:
        """How the device is said to be."""
        return measuring.state(self._laptop)

    def _forecast(self, candidate: Candidate) -> Forecast:
        available_bytes = assumed_available_bytes(self._laptop.ram_bytes)
        found = self._outlines.of(candidate.request)
        if isinstance(found, Failure):
            return Forecast(candidate, available_bytes=available_bytes, failure=found)
        return Forecast(candidate, found, reason=REASON, available_bytes=available_bytes)

    def _result(self, order: Order) -> Result:
        match order:
            case Measurement():
                return measuring.measure(self._laptop, order)
            case CeilingsOrder():
                return measuring.ceilings(self._laptop, order)
            case Rest():
                return measuring.rest(order)
            case QualityCheck():
                refusal = EngineError(f"no quality: {REASON}", "set quality=none")
                return order.failed(Failure.of(refusal))
