"""The agent as a Ray actor: what a controller may ask of a device."""

from collections.abc import Callable, Sequence

import ray

from odllm_agent import baseline, clock, device, models, state, worker
from odllm_agent.claim import Claim
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
from odllm_agent.errors import DispatchError, OdllmError
from odllm_agent.forecast import forecast
from odllm_agent.journal import Journal
from odllm_agent.limits import hindrance
from odllm_agent.place import state_root
from odllm_agent.quality.text import text_sha256

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
        return forecast(candidates, cache, meters, state.available_bytes())

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

    def hindrance(self, limits: Limits) -> Hindrance:
        """What keeps this device from measuring now."""
        if not self._claim.take(_PATIENCE_S):
            return Hindrance(_taken(self._claim.holder).message, for_good=True)
        return hindrance(limits, state.read_state(), clock.local_now().time())

    def ceilings(self, order: CeilingsOrder, tag: Tag) -> Entry:
        """Finds out what this device does at most."""
        return self._carry_out(order, tag, lambda: worker.run_ceilings(order))

    def measure(self, order: Measurement, tag: Tag) -> Entry:
        """Measures one trial in one round."""
        return self._carry_out(order, tag, lambda: worker.run_round(order))

    def check(self, order: QualityCheck, tag: Tag) -> Entry:
        """Carries out one quality check."""
        return self._carry_out(order, tag, lambda: worker.run_check(order))

    def rest(self, order: Rest, tag: Tag) -> Entry:
        """Watches the device while nothing is measured on it."""
        return self._carry_out(order, tag, lambda: baseline.watch(order))

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

    def _carry_out(self, order: Order, tag: Tag, action: Callable[[], Result]) -> Entry:
        """Does what an order says, unless another agent has this device, and keeps the result."""
        if not self._claim.take():
            return Entry.of("", order.failed(_taken(self._claim.holder)), tag)
        self._underway = Underway(order.told, clock.now(), tag)
        try:
            return self._journal.add(action(), tag)
        finally:
            self._underway = None

    def _own_cache(self) -> models.Cache:
        """This device's cache, kept because it remembers which models it has given out.

        It is opened only when it is asked for, so that a limit that is no size becomes data.
        """
        self._cache = self._cache or models.Cache.of_this_device(self._note)
        return self._cache

    def _note(self, progress: Progress) -> None:
        self._progress = progress


def _taken(holder: str) -> Failure:
    error = DispatchError(
        f"{holder} measures on this device for another fleet",
        "wait for it, or end it; two would disturb each other",
    )
    return Failure.of(error)
