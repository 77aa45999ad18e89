"""Recording a run: what it was, and everything that it brings back."""

import contextlib
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import replace

from odllm_agent.clock import monotonic_ns, now, seconds_since
from odllm_agent.contract import (
    Device,
    Entry,
    Event,
    EventKind,
    Failure,
    ModelRequest,
    Result,
    Skip,
    Trial,
)
from odllm_agent.errors import StoreError
from odllm_agent.failures import Attempt, Failed, LeftOut, merged, told
from odllm_controller.experiment.config import Experiment
from odllm_controller.experiment.provenance import config_yaml, git_commit, versions
from odllm_controller.run import reasons
from odllm_controller.store import START_PATIENCE_S, EntryId, Outbox, Run, Store

# Bringing the view `results` up to date costs more than storing a round, of one trial or of many.
_CATCH_UP_EVERY_S = 5.0
# A store that is held only now.
_END_PATIENCE_S = 60.0
# Whoever interrupts a run does not want to wait for whoever holds its store.
_LAST_PATIENCE_S = 1.0
_EXPLORE = "`odllm explore` has all"


class Recorder:
    """Writes one run into a store, and remembers what was planned, failed or skipped.

    While another process holds the store, what was written waits; see `Outbox`.

    Args:
        store: Where to write.
        experiment: What is run.
        command: The command line that runs it.
    """

    def __init__(self, store: Store, experiment: Experiment, command: str = "") -> None:
        self._outbox = Outbox(store)
        self._experiment = experiment
        self._taken: list[tuple[str, Result]] = []
        self._events: list[tuple[str, Event]] = []
        self._entry_ids: list[EntryId] = []
        self._held: dict[str, tuple[Device, str]] = {}
        self._labels: dict[str, str] = {}
        self._failed: list[Failed] = []
        self._left_out: list[tuple[str, LeftOut]] = []
        self._caught_up_ns = monotonic_ns()
        patient = replace(store, patience_s=START_PATIENCE_S)
        self.store_id = patient.identity()
        self.run_id = f"{now():%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
        self.skips: list[str] = []
        self.notes: list[str] = []
        self.n_planned = 0
        patient.add_run(
            Run(
                id=self.run_id,
                started_at=now(),
                experiment=experiment.name,
                command=command,
                config_yaml=config_yaml(experiment),
                seed=experiment.seed,
                versions=versions(),
                git_commit=git_commit(),
            )
        )

    def joined(self, device: Device) -> None:
        """Records that a device takes part, and what it is."""
        self._labels[device.id] = device.label
        self._outbox.put(lambda store: store.add_device(self.run_id, device))

    def plan(self, trials: Sequence[Trial]) -> None:
        """Records what a device has to do."""
        asked = self._experiment
        how_often = asked.rounds, asked.rounds_at_most, asked.repeats.interval_target
        self._outbox.put(lambda store: store.add_plan(self.run_id, trials, *how_often))
        self.n_planned += len(trials)

    def skipped(self, device: Device, skips: Sequence[Skip]) -> None:
        """Records what is not tried on a device; what is alike is told in one line."""
        self._outbox.put(lambda store: store.add_skips(self.run_id, skips))
        self.skips += reasons.lines(
            (
                skip.model.label,
                f"{skip.engine.name} on {device.label}",
                skip.reason,
            )
            for skip in skips
        )

    def unprepared(self, device: Device, request: ModelRequest, failure: Failure) -> None:
        """Records that a model could not be made ready on a device."""
        self._failed.append(Failed(Attempt.of_request(request), failure, device.label))
        self._outbox.put(lambda store: store.add_failure(self.run_id, device.id, request, failure))

    def event(self, event: Event) -> None:
        """Takes an event of this run; it is stored with the next `flush`."""
        self._events.append((self.run_id, event))
        if event.kind is EventKind.REFUSED:
            self.notes.append(f"refused {event.detail}")

    def damaged(self, device: Device, lines: Sequence[str]) -> None:
        """Takes what could not be read of a device's journal."""
        for line in lines:
            self.event(Event(now(), EventKind.DAMAGED, device.id, line))
            self.notes.append(f"{device.label}: {line}")

    def entry(self, device: Device, entry: Entry) -> None:
        """Takes what a device kept, for the run that it was made for."""
        self._entry_ids.append((device.id, entry.id))
        if entry.unkept:
            self.notes.append(
                f"{device.label} could not keep a result, which came in: {entry.unkept}"
            )
        if entry.event:
            self._events.append((self.run_id, entry.event))
        if entry.result:
            self.result(entry.result, entry.tag.run_id if entry.tag else self.run_id)

    def result(self, result: Result, run_id: str = "") -> None:
        """Takes a result as it comes in; it is stored with the next `flush`.

        Args:
            result: What came in.
            run_id: The run that asked for it; this one unless told.
        """
        attempt, device_id = Attempt.of(result), result.device_id
        self._taken.append((run_id or self.run_id, result))
        self._events.append((self.run_id, Event(now(), EventKind.STORED, device_id, attempt.told)))
        if result.failure:
            label = self._labels.get(device_id, "")
            self._failed.append(Failed(attempt, result.failure, label))

    def left_out(self, device: Device, left_out: LeftOut) -> None:
        """Records what is not tried any more on a device, because its like failed."""
        self._outbox.put(lambda store: store.leave_out(self.run_id, left_out))
        self._left_out.append((device.label, left_out))

    def held(self, device: Device, reason: str) -> None:
        """Records that what is left of a device is not waited for."""
        self.flush()
        self.catch_up()
        self._held[device.id] = device, reason
        self._outbox.put(lambda store: store.hold(self.run_id, device.id, reason))

    def resumed(self, device: Device) -> None:
        """Records that a device whose trials were held is back."""
        _, reason = self._held.pop(device.id, (device, ""))
        self._outbox.put(lambda store: store.release(self.run_id, device.id, reason))

    @property
    def holds(self) -> list[str]:
        """The devices whose trials are held, a line each."""
        return [f"{device.label}: {reason}" for device, reason in self._held.values()]

    @property
    def failures(self) -> list[str]:
        """What went wrong: a text of a few lines for each cause."""
        return told(self._failed, _EXPLORE)

    @property
    def untried(self) -> list[str]:
        """What was not tried any more because its like failed, a line for each kind."""
        return merged(self._left_out)

    @property
    def waiting(self) -> str:
        """Who holds the store and what waits for it, in a line, or `""`."""
        return self._outbox.told

    def has_stored(self, entry_id: EntryId) -> bool:
        """Whether what came in an entry is stored, so that its device need not keep it."""
        return entry_id not in self._entry_ids and self._outbox.has_stored(entry_id)

    def flush(self) -> None:
        """Stores what was taken since the last time, results before what tells of them.

        While another process holds the store, it waits for the next time that something was taken.

        Raises:
            StoreError: The store cannot be written; what a device has kept is there still.
        """
        if self._taken or self._events or self._entry_ids:
            taken, events, entry_ids = self._taken, self._events, self._entry_ids
            self._taken, self._events, self._entry_ids = [], [], []
            self._outbox.put(
                lambda store: store.add(taken, events, summarise=False), len(taken), entry_ids
            )
            if not self.waiting and seconds_since(self._caught_up_ns) >= _CATCH_UP_EVERY_S:
                self.catch_up()

    def look_again(self) -> None:
        """Stores what waits, if the store is held no more; nothing new has to have come in.

        Raises:
            StoreError: The store cannot be written.
        """
        self._outbox.look_again()

    def end(self) -> None:
        """Records that the run is over.

        Raises:
            StoreHeld: Another process holds the store, and something is not stored.
            StoreError: The store cannot be written.
        """
        self.flush()
        # Whoever waits for the devices' results has waited long enough.
        patience_s = 0.0 if self.waiting else _END_PATIENCE_S
        self.catch_up()
        ended_at, status = now(), "failed" if self.failures or self.holds else "done"
        self._outbox.put(lambda store: store.end_run(self.run_id, ended_at, status))
        self._outbox.wait(patience_s)
        self._outbox.check_empty()

    def catch_up(self) -> None:
        """Brings the view `results` up to what is stored, which a run otherwise does now and then.

        Raises:
            StoreError: The store cannot be written.
        """
        self._outbox.put(Store.catch_up)
        self._caught_up_ns = monotonic_ns()


@contextlib.contextmanager
def recording(store: Store, experiment: Experiment, command: str = "") -> Iterator[Recorder]:
    """A run that is written down from its start to its end, however it ends.

    Args:
        store: Where to write.
        experiment: What is run.
        command: The command line that runs it.

    Raises:
        StoreHeld: Another process holds the store, and something is not stored.
        StoreError: The store cannot be written.
    """
    recorder = Recorder(store, experiment, command)
    try:
        yield recorder
    except BaseException as error:
        # A store that cannot be written any more cannot be told so either.
        with contextlib.suppress(StoreError):
            interrupted = isinstance(error, KeyboardInterrupt)
            _close(store, recorder.run_id, "interrupted" if interrupted else "failed")
        raise
    recorder.end()


def _close(store: Store, run_id: str, status: str) -> None:
    """Stores that a run broke off; what was not stored by then lies on the devices."""
    store = replace(store, patience_s=_LAST_PATIENCE_S)
    store.catch_up()
    store.end_run(run_id, now(), status)
