"""The agent as a Ray actor: what a controller may ask of a device."""

import os
from collections.abc import Sequence

import ray

from odllm_agent import clock, models
from odllm_agent.builds import builds
from odllm_agent.contract import (
    Candidate,
    Collected,
    Device,
    DeviceState,
    Entry,
    Event,
    EventKind,
    Exam,
    Failure,
    Forecast,
    Hindrance,
    Holding,
    Limits,
    ModelFile,
    ModelRequest,
    Order,
    Progress,
    Tag,
    Underway,
)
from odllm_agent.doctor import device
from odllm_agent.engines.fallback import UNTRIED
from odllm_agent.errors import OdllmError
from odllm_agent.files.folders import VIRTUAL_VARIABLE, state_root, why_no_state
from odllm_agent.files.lock import Claim
from odllm_agent.host import state
from odllm_agent.host.limits import hindrance
from odllm_agent.planning.forecast import forecast
from odllm_agent.texts.text import text_sha256
from odllm_agent.trials import worker
from odllm_agent.trials.journal import Journal

# An agent that was lost a moment ago may not have ended yet.
_PATIENCE_S = 15.0


@ray.remote(concurrency_groups={"telling": 1})  # type: ignore[call-overload]  # Ray's types lack it
class AgentActor:
    """One device's agent; it does one thing at a time, and can tell meanwhile what that is.

    A failure travels as data, because an exception may not survive the way between processes.
    """

    def __init__(self) -> None:
        folder = state_root()
        self._journal = Journal(folder / "journal")
        self._claim = Claim(folder / "agent.lock")
        self._cache: models.Cache | None = None
        self._progress: Progress | None = None
        self._underway: Underway | None = None

    # Harmless to ask again, so that whoever lost an agent can wait for it here.
    @ray.method(max_task_retries=-1)
    def device(self, meters: Sequence[str]) -> Device:
        """What this device is.

        Args:
            meters: Names of the power meters to report on.
        """
        return device.describe(meters=meters)

    def text_sha256(self, name: str) -> str | Failure:
        """The checksum of a text that quality is computed on."""
        try:
            return text_sha256(name)
        except OdllmError as error:
            return Failure.of(error)

    def forecast(
        self, candidates: tuple[Candidate, ...], meters: tuple[str, ...], here: bool
    ) -> tuple[Forecast, ...]:
        """Tells what trials would need; nothing is made or fetched.

        Args:
            candidates: What to tell about.
            meters: Names of the power meters that would be read.
            here: Whether they would run on this device, whose cache may have their files.
        """
        try:
            cache = self._own_cache() if here else None
        except OdllmError as error:
            return tuple(Forecast(each, failure=Failure.of(error)) for each in candidates)
        tried = builds().tried if here else UNTRIED
        return forecast(candidates, cache, meters, state.available_bytes(), tried)

    def look_up(self, exam: Exam, deadline_s: float) -> Exam | Failure:
        """An exam with the checksum of its content, fetched if it must be."""
        return worker.run_look_up(exam, deadline_s)

    def prepare(self, request: ModelRequest) -> ModelFile | Failure:
        """Gets a model file ready on this device."""
        try:
            return models.prepare(request, self._own_cache(), state.available_bytes())
        except OdllmError as error:
            return Failure.of(error)
        finally:
            self._progress = None

    def holdings(self) -> tuple[Holding, ...] | Failure:
        """Which models this device has."""
        try:
            return models.holdings(self._own_cache())
        except OdllmError as error:
            return Failure.of(error)

    def unneeded(self, requests: tuple[ModelRequest, ...]) -> tuple[Holding, ...] | Failure:
        """What this device has and does not need for what is asked for; see `models.unneeded`."""
        try:
            return models.unneeded(requests, self._own_cache())
        except OdllmError as error:
            return Failure.of(error)

    def remove(self, sha256s: tuple[str, ...]) -> tuple[str, ...] | Failure:
        """Takes models off this device; see `models.removed`."""
        try:
            return models.removed(sha256s, self._own_cache())
        except OdllmError as error:
            return Failure.of(error)

    def hindrance(self, limits: Limits) -> Hindrance:
        """What keeps this device from measuring now."""
        obstacle = self._obstacle()
        if obstacle:
            return Hindrance(obstacle, for_good=True)
        return hindrance(limits, state.read_state(), clock.local_now().time())

    def carry_out(
        self, order: Order, tag: Tag, limits: Limits, stored: Sequence[str]
    ) -> Entry | Hindrance:
        """Does what an order says and keeps the result, unless the device may not do it now."""
        self._journal.remove(stored)
        found = self.hindrance(limits)
        if found.reason:
            return found
        self._underway = Underway(order.told, clock.now(), tag)
        try:
            return self._journal.add(worker.perform(order), tag)
        finally:
            self._underway = None

    def collect(self, store_id: str, after: str) -> Collected:
        """What lies in the journal for a store; see `Journal.collect`.

        An order that is under way is waited for, so that its result is among it.
        """
        return self._journal.collect(store_id, after)

    def acknowledge(self, entry_ids: Sequence[str]) -> None:
        """Forgets what is stored."""
        self._journal.remove(entry_ids)

    @ray.method(concurrency_group="telling")
    def progress(self) -> Progress | None:
        """How far the file is that `prepare` fetches or makes; `None` while it does neither."""
        return self._progress

    @ray.method(concurrency_group="telling")
    def state(self) -> DeviceState:
        """How this device is."""
        return state.read_state()

    # Harmless to ask again, so that whoever lost an agent can wait for it here.
    @ray.method(concurrency_group="telling", max_task_retries=-1)
    def underway(self) -> Underway | None:
        """What this agent is doing, or `None`."""
        return self._underway

    def _obstacle(self) -> str:
        """Why this agent may not have the device, or `""` once it has."""
        try:
            if self._claim.take(_PATIENCE_S):
                return ""
        except OSError as error:
            return why_no_state(state_root(), error)
        return f"{self._claim.holder} measures on this device for another run: wait for it"

    def _own_cache(self) -> models.Cache:
        """This device's cache, kept because it remembers which models it has given out.

        It is opened only when it is asked for, so that a limit that is no size becomes data.
        """
        self._cache = self._cache or models.Cache.of_this_device(self._note, self._report)
        return self._cache

    def _note(self, progress: Progress) -> None:
        self._progress = progress

    def _report(self, kind: EventKind, detail: str) -> None:
        here = device.device_id(os.environ.get(VIRTUAL_VARIABLE, ""))
        self._journal.add(Event(clock.now(), kind, here, detail))
