"""The laptops that have joined the head on this machine."""

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError

from odllm_agent.clock import monotonic_ns, now, seconds_since
from odllm_agent.contract import Device, Event, EventKind
from odllm_agent.errors import DispatchError
from odllm_agent.fleet.actor import AgentActor
from odllm_agent.fleet.labels import DEVICE, NAME
from odllm_agent.terminal.ending import heeding_signals
from odllm_controller.backends.remote import RemoteAgent, answer, waited
from odllm_controller.head import Head
from odllm_controller.run.admission import why_refused
from odllm_controller.run.dispatch import Sighting

NAMESPACE = "odllm"

_LOOK_EVERY_S = 1.0
_ANSWER_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class _Coming:
    """A device whose agent was asked what it is.

    Attributes:
        labels: The labels that it joined with.
        actor: The agent's handle.
        device: The reference to the answer.
        since_ns: When it was asked.
    """

    labels: Mapping[str, str]
    actor: Any
    device: Any
    since_ns: int


class JoinedFleet:
    """The agents of all laptops that have joined, one on each.

    An agent is an actor that outlives the controller, so the next one finds what it was doing.

    Args:
        meters: Names of the power meters that an experiment reads.
    """

    def __init__(self, meters: tuple[str, ...]) -> None:
        self._meters = meters
        self._coming: dict[str, _Coming] = {}
        self._known: set[str] = set()
        self._looked_at_ns: int | None = None

    @property
    def settled(self) -> bool:
        """Whether no device is being asked what it is."""
        return self._looked_at_ns is not None and not self._coming

    def look(self) -> Sighting:
        """The devices that came, or came back, since the last look."""
        if self._looked_at_ns is None or seconds_since(self._looked_at_ns) >= _LOOK_EVERY_S:
            self._looked_at_ns = monotonic_ns()
            present = {labels[DEVICE]: labels for labels in alive()}
            for device_id in self._coming.keys() - present.keys():
                del self._coming[device_id]
            for device_id, labels in present.items():
                self._greet(device_id, labels)
        return self._arrived()

    def wait(self, tickets: Sequence[Any], timeout_s: float) -> Sequence[Any]:
        """Those tickets that are answered, once the first of them is or a device has come."""
        coming = [each.device for each in self._coming.values()]
        ready = waited([*tickets, *coming], timeout_s)
        return [each for each in ready if each not in coming]

    def answer(self, ticket: Any) -> Any:
        """The answer to a ticket; see `Fleet`."""
        return answer(ticket)

    def lost(self, device_id: str) -> None:
        """Has a device looked for anew: its agent may be another when it is back."""
        self._known.discard(device_id)

    def _greet(self, device_id: str, labels: Mapping[str, str]) -> None:
        if device_id in self._known or device_id in self._coming:
            return
        actor = _agent(device_id)
        device = actor.device.remote(self._meters)
        self._coming[device_id] = _Coming(labels, actor, device, monotonic_ns())

    def _arrived(self) -> Sighting:
        agents: list[RemoteAgent] = []
        refused: list[Event] = []
        asked = {each.device: device_id for device_id, each in self._coming.items()}
        for reference in waited(list(asked), 0) if asked else ():
            device_id = asked[reference]
            coming = self._coming.pop(device_id)
            self._known.add(device_id)
            try:
                agents.append(self._accepted(coming))
            except DispatchError as error:
                name = coming.labels.get(NAME, device_id)
                told = f"{name}: {error.message}"
                refused.append(Event(now(), EventKind.REFUSED, device_id, told))
        self._forget_silent()
        return Sighting(agents, refused)

    def _accepted(self, coming: _Coming) -> RemoteAgent:
        device: Device = answer(coming.device)
        reason = why_refused(device)
        if reason:
            raise DispatchError(reason)
        return RemoteAgent(device, coming.actor, self._meters, coming.labels)

    def _forget_silent(self) -> None:
        """Forgets devices that went away before they said what they are."""
        for device_id, coming in list(self._coming.items()):
            if seconds_since(coming.since_ns) > _ANSWER_TIMEOUT_S:
                del self._coming[device_id]


@contextlib.contextmanager
def opened(head: Head, meters: tuple[str, ...]) -> Iterator[JoinedFleet]:
    """The fleet of the head on this machine, for as long as the context lasts.

    Raises:
        DispatchError: The head does not answer.
    """
    connect(head.address)
    try:
        yield JoinedFleet(meters)
    finally:
        ray.shutdown()


def connect(address: str) -> None:
    """Makes this process a driver of the Ray at an address.

    Raises:
        DispatchError: It does not answer, or not to this token.
    """
    try:
        with heeding_signals():
            ray.init(
                address=address,
                namespace=NAMESPACE,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
    except (ConnectionError, TimeoutError, RuntimeError, RayError) as error:
        raise DispatchError(
            f"the head of the fleet at {address} does not answer: {error}",
            "see `odllm fleet status`, or start it with `odllm fleet up`",
        ) from error


def alive() -> list[Mapping[str, str]]:
    """The labels of every laptop that is in the fleet now."""
    nodes = ray.nodes()  # type: ignore[no-untyped-call]  # Ray's types lack it
    labels = [node["Labels"] for node in nodes if node["Alive"]]
    return [each for each in labels if each.get(DEVICE)]


def _agent(device_id: str) -> Any:
    """The agent of a device, placed there if it has none."""
    return AgentActor.options(  # type: ignore[attr-defined]
        name=f"agent-{device_id}",
        namespace=NAMESPACE,
        lifetime="detached",
        get_if_exists=True,
        max_restarts=-1,
        num_cpus=0,
        label_selector={DEVICE: device_id},
    ).remote()
