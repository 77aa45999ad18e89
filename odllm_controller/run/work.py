"""Everything that one device is asked in a run, from what it has kept to its last order."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from odllm_agent.clock import now
from odllm_agent.contract import (
    AgentApi,
    Cooldown,
    Device,
    Entry,
    Event,
    EventKind,
    Failure,
    Forecast,
    Hindrance,
    Limits,
    ModelFile,
    ModelRequest,
    Order,
    QualityCheck,
    RepeatPolicy,
    Rest,
    Result,
    Tag,
    Trial,
)
from odllm_agent.errors import DataMissing, DispatchError, StoreHeld, UsageError
from odllm_agent.files.size import bytes_text
from odllm_agent.trials.schedule import Schedule, Terms
from odllm_controller.analysis.queries import speeds
from odllm_controller.experiment.config import Experiment
from odllm_controller.experiment.selection import Selection, told
from odllm_controller.planning import plan
from odllm_controller.planning.estimate import round_deadline_s
from odllm_controller.run.admission import nobody
from odllm_controller.run.asking import Ask
from odllm_controller.run.device_activity import Pause
from odllm_controller.run.dispatch import Agent, Work
from odllm_controller.run.receipts import Receipts
from odllm_controller.run.record import Recorder
from odllm_controller.run.retrying import ATTEMPTS, UNDERWAY, Asking, sure
from odllm_controller.store import START_PATIENCE_S, Store

T = TypeVar("T")

# A day: models of 30 GB come over slow lines. An agent that dies is noticed without it.
_FETCH_TIMEOUT_S = 24 * 3600
_ANSWER_TIMEOUT_S = 120.0
_LOOK_AGAIN_S = 30.0
# How often the end of a run, or its plan, looks whether whoever holds the store is gone.
_STORE_LOOKS, _STORE_LOOK_S = 60, 1.0


class DeviceDisplay(Protocol):
    """Where people see what a device does."""

    def started(self, device: Device, what: str) -> None:
        """Shows what a device does now."""

    def said(self, device: Device, line: str) -> None:
        """Says what is to be known of a device before it begins."""

    def planned(self, device: Device, left: int) -> None:
        """Shows how many orders a device is to be given."""

    def finished(self, device: Device, result: Result, left: int) -> None:
        """Counts a result, and tells how many orders are left."""


@dataclass(frozen=True, slots=True)
class Participants:
    """The devices of a run, and what each has to do.

    Which take part shows as they come.

    Attributes:
        experiment: What is run.
        store: Where results lie.
        recorder: Who writes new ones down.
        display: Where it is shown.
        chosen: The devices that take part, by id.
        others: The devices that do not, a line each.
    """

    experiment: Experiment
    store: Store
    recorder: Recorder
    display: DeviceDisplay
    chosen: dict[str, Device] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)

    def work(self, agent: Agent) -> Work | None:
        """What an agent's device has to do, or `None` if the experiment leaves it out.

        Raises:
            UsageError: The experiment's choice of devices makes no sense on this one.
        """
        select = self.experiment.fleet.select
        if select and not Selection(select).includes(agent.device, agent.labels):
            self.others.append(told(agent.device, agent.labels))
            return None
        self.chosen[agent.device.id] = agent.device
        self.recorder.joined(agent.device)
        return Job(self.experiment, agent.device, self.store, self.recorder, self.display).asks()

    def expected(self) -> tuple[Device, ...]:
        """The joined laptops that an earlier run of the experiment did not finish with."""
        asked = self.experiment.fleet
        if asked.kind != "ray":
            return ()
        patient = replace(self.store, patience_s=START_PATIENCE_S)
        found = patient.unfinished_devices(self.experiment.name)
        # Their labels are not known, so one that is chosen by its label is not missed.
        chosen = Selection(asked.select) if asked.select else None
        return tuple(each for each in found if chosen is None or chosen.includes(each, {}))

    def check(self) -> None:
        """Checks that some device took part.

        Raises:
            UsageError: There are devices, and none was chosen.
            DispatchError: There is no device.
        """
        if self.chosen:
            return
        if self.others:
            raise UsageError(
                f"fleet.select={self.experiment.fleet.select!r} chooses no device",
                "\n  ".join(self.others),
            )
        raise nobody()


@dataclass(frozen=True, slots=True)
class Job:
    """What a run has for one device to do.

    Attributes:
        experiment: What is run.
        device: The device.
        store: Where results lie.
        recorder: Who writes new ones down.
        display: Where it is shown.
        receipts: What the device keeps until the next order tells it that it is stored.
    """

    experiment: Experiment
    device: Device
    store: Store
    recorder: Recorder
    display: DeviceDisplay
    receipts: Receipts = field(init=False)

    def __post_init__(self) -> None:
        receipts = Receipts(lambda entry_id: self.recorder.has_stored((self.device.id, entry_id)))
        object.__setattr__(self, "receipts", receipts)

    def asks(self) -> Asking[None]:
        """All that the device is asked, one after another; see `dispatch.Work`.

        Raises:
            UsageError: The device finds out that what is asked for is wrong.
            StoreError: The store cannot be read or written.
        """
        yield from self._finished_before()
        schedule = yield from self._planned()
        self.display.planned(self.device, len(schedule))
        yield from self.work_off(schedule)

    def work_off(self, schedule: Schedule) -> Asking[None]:
        """The orders of a schedule, each until its result is stored."""
        while (order := schedule.next_order()) is not None:
            result = yield from self._carried_out(order)
            for left_out in schedule.learn(result):
                self.recorder.left_out(self.device, left_out)
            self.display.finished(self.device, result, len(schedule))
        yield from self._all_stored()

    def _finished_before(self) -> Asking[None]:
        """Stores what the device did for an earlier run that was not there to take it."""
        underway = yield from sure(UNDERWAY)
        if underway:
            self.display.started(self.device, f"{underway.what}, for an earlier run")
        yield from self._collected()

    def _planned(self) -> Asking[Schedule]:
        forecasts = yield from self._forecasts()
        skips = plan.skips(self.device, forecasts)
        self.recorder.skipped(self.device, skips)
        if download_bytes := plan.download_bytes(forecasts):
            self.display.said(self.device, f"fetches {bytes_text(download_bytes)} of models")
        files = yield from self._files(plan.runnable(self.device, forecasts))
        trials = plan.without(plan.trials(self.experiment, self.device, files), skips)
        self.recorder.plan(trials)
        self.recorder.notes += plan.fallbacks(self.experiment, self.device, files)
        yield from self._ceilings(trials)
        checks = plan.of_trials((yield from self._checks(files)), trials)
        lines = plan.beyond_context(trials, checks)
        self.recorder.notes += [f"{self.device.label}: {line}" for line in lines]
        return (yield from self._read(lambda: self._schedule(trials, checks)))

    def _schedule(self, trials: Sequence[Trial], checks: Sequence[QualityCheck]) -> Schedule:
        """What is left to do by what is stored."""
        checked = self.store.finished_checks([check.id for check in checks])
        return Schedule(
            steps=self._steps(trials),
            checks=[check for check in checks if check.id not in checked],
            terms=self._terms(trials),
            earlier_decode_tok_s=self.store.earlier_decode_tok_s([trial.id for trial in trials]),
        )

    def _forecasts(self) -> Asking[Sequence[Forecast]]:
        self.display.started(self.device, "looking ahead")
        asked = plan.candidates(self.experiment, self.device)
        ask = Ask.of(AgentApi.forecast, asked, self.experiment.power.meters, True)
        return (yield from sure(ask.within(_FETCH_TIMEOUT_S)))

    def _steps(self, trials: Sequence[Trial]) -> Sequence[plan.Step | Rest]:
        asked, power = self.experiment, self.experiment.power
        finished = self.store.finished_rounds([trial.id for trial in trials])
        steps = plan.steps(trials, asked.rounds, asked.seed, finished, asked.rounds_at_most)
        return plan.rested(steps, self.device, power.meters, power.idle_s)

    def _terms(self, trials: Sequence[Trial]) -> Terms:
        asked = self.experiment
        known = speeds.load(self.store.path, self.device.id)
        return Terms(
            policy=RepeatPolicy(**asked.repeats.model_dump()),
            meters=asked.power.meters,
            deadline_s=asked.deadline_s,
            cooldown=Cooldown(**asked.cooldown.model_dump()),
            deadlines_s={
                trial.id: round_deadline_s(
                    trial, self.device, known, asked.repeats, asked.deadline_s
                )
                for trial in trials
            },
        )

    def _files(self, requests: Sequence[ModelRequest]) -> Asking[list[ModelFile]]:
        files = []
        for request in requests:
            prepared = yield from self._prepared(request)
            if isinstance(prepared, Failure):
                self.recorder.unprepared(self.device, request, prepared)
            else:
                files.append(prepared)
        return files

    def _prepared(self, request: ModelRequest) -> Asking[ModelFile | Failure]:
        self.display.started(self.device, f"preparing {request.label}")
        ask = Ask.of(AgentApi.prepare, request)
        return (yield from sure(ask.within(_FETCH_TIMEOUT_S)))

    def _ceilings(self, trials: Sequence[Trial]) -> Asking[None]:
        if self.experiment.ceilings == "never":
            return
        again = self.experiment.ceilings == "again"
        known = () if again else (yield from self._read(self.store.known_ceilings))
        for order in plan.ceilings(self.device, trials, known):
            yield from self._carried_out(order)

    def _checks(self, files: Sequence[ModelFile]) -> Asking[tuple[QualityCheck, ...]]:
        subjects = yield from self._subjects()
        prepared = {}
        for request in plan.base_requests(self.experiment):
            prepared[request] = yield from self._prepared(request)
        bases = plan.bases(prepared.items())
        return plan.checks(self.experiment, self.device, files, subjects, bases)

    def _subjects(self) -> Asking[list[plan.QualitySubject]]:
        """What the files are checked on, its content known by its checksum."""
        self.display.started(self.device, "preparing the quality checks")
        quality = self.experiment.quality
        exams: list[plan.QualitySubject] = []
        for exam in plan.exams(quality):
            ask = Ask.of(AgentApi.look_up, exam, _FETCH_TIMEOUT_S)
            exams.append(_had((yield from sure(ask.within(_FETCH_TIMEOUT_S)))))
        if not quality.metrics:
            return exams
        asked = Ask.of(AgentApi.text_sha256, quality.text)
        text = yield from sure(asked.within(_FETCH_TIMEOUT_S))
        return [plan.reading(quality, _had(text)), *exams]

    def _carried_out(self, order: Order) -> Asking[Result]:
        """The result of an order, which is stored; a failure if the agent is lost each time."""
        self.display.started(self.device, order.told)
        losses: list[str] = []
        while len(losses) < ATTEMPTS:
            try:
                found: Entry | Hindrance = yield self._sent(order)
            except DispatchError as error:
                losses.append(error.message)
                kept = yield from self._kept(order)
                if kept is None:
                    continue
                return kept
            self.receipts.arrived()
            if isinstance(found, Hindrance):
                yield from self._over(found)
            else:
                self._take([found])
                if found.result:
                    return found.result
        gone = DispatchError(
            f"the agent was lost {ATTEMPTS} times over this: {losses[-1]}",
            "see what ends it there, such as want of memory, and run the same command again",
        )
        result = order.failed(Failure.of(gone))
        self.recorder.result(result)
        return result

    def _sent(self, order: Order) -> Ask[Entry | Hindrance]:
        """An order on its way, with what was stored since the last."""
        self.recorder.event(Event(now(), EventKind.DISPATCHED, self.device.id, order.told))
        tag = Tag(self.recorder.store_id, self.recorder.run_id)
        ask = Ask.later(AgentApi.carry_out, order, tag, self._limits, latest=self.receipts.stored)
        return ask.within(order.longest_s + _ANSWER_TIMEOUT_S)

    def _over(self, found: Hindrance) -> Asking[None]:
        """Waits until what keeps the device from measuring is over.

        Raises:
            DispatchError: It never is.
        """
        while found.reason:
            if found.for_good:
                raise DispatchError(found.reason)
            yield Pause(found.reason, _LOOK_AGAIN_S)
            ask = Ask.of(AgentApi.hindrance, self._limits)
            found = yield from sure(ask.within(_ANSWER_TIMEOUT_S))

    def _kept(self, order: Order) -> Asking[Result | None]:
        """The result that an agent kept of an order though it was lost, once it is back."""
        yield UNDERWAY
        entries = yield from self._collected()
        return next((each.result for each in entries if each.answers(order)), None)

    def _collected(self) -> Asking[list[Entry]]:
        """Stores what lies in the device's journal, and has it forgotten there."""
        found: list[Entry] = []
        while True:
            after = found[-1].id if found else ""
            asked = Ask.of(AgentApi.collect, self.recorder.store_id, after)
            collected = yield from sure(asked.within(_FETCH_TIMEOUT_S))
            self.recorder.damaged(self.device, collected.damaged)
            self._take(collected.entries)
            yield from self._acknowledged()
            found += collected.entries
            if not collected.more:
                return found

    def _take(self, entries: Sequence[Entry]) -> None:
        for entry in self.receipts.new(entries):
            self.recorder.entry(self.device, entry)

    def _acknowledged(self) -> Asking[None]:
        """Has the device forget what is stored of what came in."""
        if self.receipts:
            ask = Ask.later(AgentApi.acknowledge, latest=self.receipts.stored)
            yield from sure(ask.within(_ANSWER_TIMEOUT_S))
            self.receipts.arrived()

    def _all_stored(self) -> Asking[None]:
        """Has the device forget everything, once whoever holds the store is gone, if ever."""
        yield from self._acknowledged()
        for _ in range(_STORE_LOOKS):
            if not self.receipts:
                return
            yield Pause(self.recorder.waiting, _STORE_LOOK_S)
            self.recorder.look_again()
            yield from self._acknowledged()

    def _read(self, question: Callable[[], T]) -> Asking[T]:
        """What the store tells, once all is in it and nobody else holds it.

        Raises:
            DispatchError: Somebody holds it on and on.
        """
        told = ""
        for _ in range(_STORE_LOOKS):
            self.recorder.look_again()
            told = self.recorder.waiting
            if not told:
                try:
                    return question()
                except StoreHeld as held:
                    told = f"the store is held by {held.holder}"
            yield Pause(told, _STORE_LOOK_S)
        raise DispatchError(f"it could not be planned: {told}", "run the same command again")

    @property
    def _limits(self) -> Limits:
        return Limits(**self.experiment.fleet.limits.model_dump())


def _had(found: T | Failure) -> T:
    """What an agent found, its failure raised again as the error that it was.

    Raises:
        UsageError: What was asked for is wrong, on every device.
        DispatchError: It cannot be had on this one.
    """
    if not isinstance(found, Failure):
        return found
    kind = DispatchError if found.kind == DataMissing.__name__ else UsageError
    raise kind(found.message, found.remedy)
