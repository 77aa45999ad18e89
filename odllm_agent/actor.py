"""The agent as a Ray actor: what a controller may ask of a device."""

from collections.abc import Sequence

import ray

from odllm_agent import baseline, device, models, state, worker
from odllm_agent.clock import now
from odllm_agent.contract import (
    Baseline,
    Candidate,
    Ceilings,
    CeilingsOrder,
    Device,
    Event,
    EventKind,
    Exam,
    Failure,
    Forecast,
    Holding,
    Measurement,
    ModelFile,
    ModelRequest,
    Progress,
    QualityCheck,
    QualityResult,
    Rest,
    RoundResult,
)
from odllm_agent.errors import OdllmError
from odllm_agent.forecast import forecast
from odllm_agent.quality.text import text_sha256


@ray.remote(concurrency_groups={"telling": 1})  # type: ignore[call-overload]  # Ray's types lack it
class AgentActor:
    """One device's agent; it does one thing at a time, and can tell meanwhile how far that is.

    A failure travels as data, because an exception may not survive the way between processes.

    Args:
        meters: Names of the power meters that the device is described with.
    """

    def __init__(self, meters: Sequence[str]) -> None:
        self._meters = tuple(meters)
        self._cache: models.Cache | None = None
        self._progress: Progress | None = None
        self._events: list[Event] = []

    # Harmless to ask again, so that whoever lost an agent can wait for it here.
    @ray.method(max_task_retries=-1)
    def device(self) -> Device:
        """What this device is."""
        return device.describe(meters=self._meters)

    def text_sha256(self, name: str) -> str | Failure:
        """The checksum of a text that quality is computed on."""
        try:
            return text_sha256(name)
        except OdllmError as error:
            return Failure.of(error)

    def forecast(
        self, candidates: tuple[Candidate, ...], *, here: bool = True
    ) -> tuple[Forecast, ...]:
        """Tells what trials would need, here or on a device like this; nothing is made."""
        try:
            cache = self._own_cache() if here else None
        except OdllmError as error:
            return tuple(Forecast(each, failure=Failure.of(error)) for each in candidates)
        return forecast(candidates, cache, self._meters, state.available_bytes())

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

    def take_events(self) -> tuple[Event, ...]:
        """What happened to this device's models since this was last asked; it is forgotten here."""
        taken, self._events = tuple(self._events), []
        return taken

    @ray.method(concurrency_group="telling")
    def progress(self) -> Progress | None:
        """How far the file is that `prepare` fetches or makes; `None` while it does neither."""
        return self._progress

    def ceilings(self, order: CeilingsOrder) -> Ceilings:
        """Finds out what this device does at most."""
        return worker.run_ceilings(order)

    def measure(self, order: Measurement) -> RoundResult:
        """Measures one trial in one round."""
        return worker.run_round(order)

    def check(self, order: QualityCheck) -> QualityResult:
        """Carries out one quality check."""
        return worker.run_check(order)

    def rest(self, order: Rest) -> Baseline:
        """Watches the device while nothing is measured on it."""
        return baseline.watch(order)

    def _own_cache(self) -> models.Cache:
        """This device's cache, kept because it remembers which models it has given out.

        It is opened only when it is asked for, so that a limit that is no size becomes data.
        """
        self._cache = self._cache or models.Cache.of_this_device(self._note, self._report)
        return self._cache

    def _note(self, progress: Progress) -> None:
        self._progress = progress

    def _report(self, kind: EventKind, detail: str) -> None:
        self._events.append(Event(now(), kind, device.describe(meters=()).id, detail))
