"""What a controller may ask of an agent, whoever answers: a laptop's actor, a simulated device.

A failure travels as data, because an exception may not survive the way between processes.
"""

from collections.abc import Sequence
from typing import Protocol

from odllm_agent.contract.device import Device
from odllm_agent.contract.failure import Failure
from odllm_agent.contract.fleet import (
    Collected,
    Entry,
    Hindrance,
    Limits,
    Order,
    Tag,
    Underway,
)
from odllm_agent.contract.forecast import Candidate, Forecast
from odllm_agent.contract.model import Holding, ModelFile, ModelRequest, Progress
from odllm_agent.contract.quality import Exam
from odllm_agent.contract.round import DeviceState


class AgentApi(Protocol):
    """An agent that measures."""

    def device(self, meters: Sequence[str]) -> Device:
        """What the device is, with what the power meters of these names can read."""

    def text_sha256(self, name: str) -> str | Failure:
        """The checksum of a text that quality is computed on."""

    def forecast(
        self, candidates: tuple[Candidate, ...], meters: tuple[str, ...], here: bool
    ) -> tuple[Forecast, ...]:
        """What trials would need; `here` says whether the device's own cache may have files."""

    def look_up(self, exam: Exam, deadline_s: float) -> Exam | Failure:
        """An exam with the checksum of its content, fetched if it must be."""

    def prepare(self, request: ModelRequest) -> ModelFile | Failure:
        """A model file, got ready on the device."""

    def progress(self) -> Progress | None:
        """How far the file is that `prepare` fetches or makes; `None` while it does neither."""

    def hindrance(self, limits: Limits) -> Hindrance:
        """What keeps the device from measuring now."""

    def carry_out(
        self, order: Order, tag: Tag, limits: Limits, stored: Sequence[str]
    ) -> Entry | Hindrance:
        """The result of an order, kept on the device until it is acknowledged.

        Args:
            order: What is to be done.
            tag: For whom.
            limits: When the device may do it.
            stored: The ids of the entries that the store has taken since the last order, which the
                agent need keep no longer.
        """

    def collect(self, store_id: str, after: str) -> Collected:
        """What is kept for a store, from behind an entry on."""

    def acknowledge(self, entry_ids: Sequence[str]) -> None:
        """Forgets what is stored."""

    def underway(self) -> Underway | None:
        """What the agent is doing, or `None`."""

    def state(self) -> DeviceState:
        """How the device is."""


class ModelCacheApi(Protocol):
    """An agent whose device keeps model files."""

    def holdings(self) -> tuple[Holding, ...] | Failure:
        """Which models the device has."""

    def unneeded(self, requests: tuple[ModelRequest, ...]) -> tuple[Holding, ...] | Failure:
        """What the device has and does not need for what is asked for."""

    def remove(self, sha256s: tuple[str, ...]) -> tuple[str, ...] | Failure:
        """Takes models off the device; gives the checksums of those that are gone."""
