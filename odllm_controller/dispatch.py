"""Sending orders to the agents of a fleet and bringing their results back, over Ray."""

import contextlib
import logging
import os
import secrets
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeVar

# Ray reads these once, when it is imported. It runs its workers at niceness 15 unless told
# otherwise, and what a benchmark measures must not yield to everything else on the machine. Its
# memory monitor would end the agent for the memory of the model that is being measured.
os.environ.update(
    RAY_AUTH_MODE="token",
    RAY_AUTH_TOKEN=secrets.token_hex(32),
    RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0",
    RAY_USAGE_STATS_ENABLED="0",
    RAY_memory_monitor_refresh_ms="0",
    RAY_worker_niceness="0",
)

import ray
from ray.exceptions import RayError

from odllm_agent.actor import AgentActor
from odllm_agent.agenda import Agenda, Task
from odllm_agent.clock import now
from odllm_agent.contract import (
    Baseline,
    Candidate,
    Ceilings,
    CeilingsOrder,
    Device,
    Exam,
    Failure,
    Forecast,
    Measurement,
    ModelFile,
    ModelRequest,
    Progress,
    QualityResult,
    Rest,
    Result,
    RoundResult,
)
from odllm_agent.errors import DataMissing, DispatchError, UsageError

_OBJECT_STORE_BYTES = 100 * 2**20
# A day: models of 30 GB come over slow lines. An agent that dies is noticed without it.
_FETCH_TIMEOUT_S = 24 * 3600
_ANSWER_TIMEOUT_S = 120
_SHOWN_EVERY_S = 1.0
_KILLED_TIMEOUT_S = 10

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RemoteAgent:
    """An agent that answers over Ray.

    Attributes:
        device: What its device is.
        actor: The handle of its actor.
    """

    device: Device
    actor: Any

    def forecast(
        self, candidates: tuple[Candidate, ...], *, here: bool = True
    ) -> tuple[Forecast, ...]:
        """Tells what trials would need; nothing is made or fetched.

        Args:
            candidates: What to tell about.
            here: Whether they would run on the agent's device, whose cache may have their files.
        """
        found: tuple[Forecast, ...] = _answer(
            self.actor.forecast.remote(candidates, here=here), _FETCH_TIMEOUT_S
        )
        return found

    def prepare(
        self, request: ModelRequest, show: Callable[[Progress], None] | None = None
    ) -> ModelFile | Failure:
        """Gets a model file ready on the agent's device.

        Args:
            request: The file.
            show: Is told every second how far it is, while it is fetched or made.
        """
        reference = self.actor.prepare.remote(request)
        while show and not ray.wait([reference], timeout=_SHOWN_EVERY_S)[0]:
            progress = _answer(self.actor.progress.remote(), _ANSWER_TIMEOUT_S)
            if progress:
                show(progress)
        prepared: ModelFile | Failure = _answer(reference, _FETCH_TIMEOUT_S)
        return prepared

    def ceilings(self, order: CeilingsOrder) -> Ceilings:
        """Finds out what the agent's device does at most."""
        found: Ceilings = _answer(
            self.actor.ceilings.remote(order), order.deadline_s + _ANSWER_TIMEOUT_S
        )
        return found

    def text_sha256(self, name: str) -> str:
        """The checksum of a text on the agent's device.

        Raises:
            UsageError: There is no such text.
            DataMissing: It cannot be fetched.
        """
        found: str | Failure = _answer(self.actor.text_sha256.remote(name), _FETCH_TIMEOUT_S)
        return _raised(found)

    def look_up(self, exam: Exam) -> Exam:
        """An exam with the checksum of its content on the agent's device.

        Raises:
            UsageError: The task is unknown or wrong, or runs code without leave.
            DataMissing: Its questions cannot be had.
        """
        found: Exam | Failure = _answer(
            self.actor.look_up.remote(exam, _FETCH_TIMEOUT_S), _FETCH_TIMEOUT_S
        )
        return _raised(found)


@contextlib.contextmanager
def local_fleet(meters: Sequence[str]) -> Iterator[tuple[RemoteAgent, ...]]:
    """A Ray of this machine alone, with one agent, for as long as the context lasts.

    Raises:
        DispatchError: Ray or the agent does not start.
    """
    try:
        yield (_start_agent(meters),)
    finally:
        _end_ray()


def dispatch(
    agents: Sequence[RemoteAgent],
    agendas: Mapping[str, Agenda],
    started: Callable[[Device, Task], None],
) -> Iterator[Result]:
    """Works off every device's agenda, one order per device at a time.

    A device gets its next order only when its last result has been taken out of this iterator,
    so that on a fleet of one machine nothing is stored or drawn while something is measured.

    Args:
        agents: The agents.
        agendas: What each has to do, by device id.
        started: Called when a device has been sent an order.

    Yields:
        Every result as it is made.
    """
    running: dict[Any, tuple[RemoteAgent, Task]] = {}

    def start(agent: RemoteAgent) -> None:
        order = agendas[agent.device.id].next_order()
        if order is not None:
            started(agent.device, order)
            running[_send(agent, order)] = (agent, order)

    for agent in agents:
        start(agent)
    while running:
        (ready, *_), _ = ray.wait(list(running), num_returns=1)
        agent, order = running.pop(ready)
        result = _result(ready, order, agent)
        agendas[agent.device.id].learn(result)
        yield result
        start(agent)


def _end_ray() -> None:
    """Ends Ray with all of its processes; Ray itself waits a second for each that it has killed."""
    # There is no public way to them, and once they are killed Ray forgets them.
    node = ray._private.worker._global_node  # noqa: SLF001
    started: list[Any] = list(node.all_processes.values()) if node else []
    ray.shutdown()
    for each in chain.from_iterable(started):
        with contextlib.suppress(subprocess.TimeoutExpired):
            each.process.wait(_KILLED_TIMEOUT_S)


def _start_agent(meters: Sequence[str]) -> RemoteAgent:
    try:
        ray.init(
            address="local",
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=_OBJECT_STORE_BYTES,
        )
    except (ConnectionError, TimeoutError, RuntimeError) as error:
        raise DispatchError(
            f"Ray did not start on this machine: {error}",
            "its logs are in the newest session folder of Ray's temporary folder",
        ) from error
    # Restarted without limit: an agent that is lost costs one trial, not the run.
    actor = AgentActor.options(max_restarts=-1).remote(tuple(meters))  # type: ignore[attr-defined]
    return RemoteAgent(_answer(actor.device.remote(), _ANSWER_TIMEOUT_S), actor)


def _send(agent: RemoteAgent, order: Task) -> Any:
    if isinstance(order, Measurement):
        return agent.actor.measure.remote(order)
    if isinstance(order, Rest):
        return agent.actor.rest.remote(order)
    return agent.actor.check.remote(order)


def _result(ready: Any, order: Task, agent: RemoteAgent) -> Result:
    try:
        result: Result = ray.get(ready)
    except RayError as error:
        # An order that is sent while the agent is started anew would be lost too.
        _answer(agent.actor.device.remote(), _ANSWER_TIMEOUT_S)
        failure = Failure.of(DispatchError(f"the agent was lost: {error}", "run the command again"))
        if isinstance(order, Measurement):
            return RoundResult(order.trial, order.round, now(), 0.0, failure=failure)
        if isinstance(order, Rest):
            return Baseline(order.device_id, order.round, now(), 0.0, failure=failure)
        return QualityResult(order, failure=failure)
    return result


def _raised(found: T | Failure) -> T:
    """What an agent found, its failure raised again as the error that it was."""
    if isinstance(found, Failure):
        kind = DataMissing if found.kind == DataMissing.__name__ else UsageError
        raise kind(found.message, found.remedy)
    return found


def _answer(reference: Any, timeout_s: float) -> Any:
    try:
        return ray.get(reference, timeout=timeout_s)
    except RayError as error:
        raise DispatchError(
            f"the agent does not answer: {error}", "run the command again"
        ) from error
