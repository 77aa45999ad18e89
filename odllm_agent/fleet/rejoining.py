"""Staying in a fleet: joining, and joining again after whatever ended it."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_when_event_set,
    wait_random_exponential,
)

from odllm_agent.clock import monotonic_ns, now, seconds_since
from odllm_agent.contract import Event, EventKind
from odllm_agent.errors import DispatchError, JoinRefused
from odllm_agent.files.folders import state_error
from odllm_agent.files.lock import Claim
from odllm_agent.fleet.handshake import knock
from odllm_agent.fleet.membership import Membership
from odllm_agent.fleet.process import NodeProcess, clear_up
from odllm_agent.host.versions import Versions
from odllm_agent.trials.journal import Journal

# Random, so that a fleet whose head comes back does not join in one moment.
_LONGEST_WAIT_S = 30.0
_TICK_S = 1.0
# A busy machine may be late by some seconds; Ray forgives a node that is silent for longer.
_ASLEEP_S = 10.0
_STARTING_S = 120.0
# A node that was in the fleet for so long is tried again at once.
_SETTLED_S = 60.0


class Supervisor:
    """Keeps this device in a fleet until it is told to leave.

    Args:
        membership: How it takes part.
        folder: Where the agent keeps its state.
        say: Is told each change of state, in a line.
    """

    def __init__(self, membership: Membership, folder: Path, say: Callable[[str], None]) -> None:
        self._membership = membership
        self._environment = membership.environment()
        self._folder = folder
        self._journal = Journal(folder / "journal")
        self._say = say
        self._leaving = threading.Event()
        self._told = ""

    def leave(self) -> None:
        """Has `run` leave the fleet and return; a signal handler may call it."""
        self._leaving.set()

    def run(self) -> None:
        """Joins, and joins again, until `leave` is called.

        Raises:
            JoinRefused: The head does not take this device, or it has joined already.
        """
        with self._alone():
            clear_up(self._folder)
            try:
                while not self._leaving.is_set():
                    self._join_with_patience()
            except JoinRefused as error:
                self._note(EventKind.REFUSED, error.message)
                raise
            finally:
                clear_up(self._folder)
        self._note(EventKind.LEFT, "told to leave")
        self._say("left the fleet")

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        claim = Claim(self._folder / "join.lock")
        try:
            taken = claim.take()
        except OSError as error:
            raise state_error(self._folder, error) from error
        if not taken:
            raise JoinRefused(
                f"this device has joined a fleet already, by {claim.holder}",
                "end the other `odllm-agent join` first",
            )
        try:
            yield
        finally:
            claim.release()

    def _join_with_patience(self) -> None:
        retrying = Retrying(
            retry=retry_if_exception_type(DispatchError),
            wait=wait_random_exponential(multiplier=1, max=_LONGEST_WAIT_S),
            stop=stop_when_event_set(self._leaving),
            sleep=sleep_using_event(self._leaving),
            before_sleep=self._tell_waiting,
            retry_error_callback=lambda _: None,
        )
        retrying(self._join_once)

    def _join_once(self) -> None:
        """Joins and stays as long as it goes.

        Raises:
            DispatchError: It did not last; trying again may help.
            JoinRefused: Trying again does not help.
        """
        clear_up(self._folder)
        self._check(knock(self._membership.head, self._environment).versions)
        if self._leaving.is_set():
            return
        node = self._start()
        try:
            self._enter(node)
            lasted_ns = monotonic_ns()
            why = self._stay(node)
        finally:
            node.end()
        if self._leaving.is_set():
            return
        self._told = why
        self._note(EventKind.LEFT, why)
        self._say(f"fell out of the fleet: {why}; joining again")
        if seconds_since(lasted_ns) < _SETTLED_S:
            raise DispatchError(why, "")

    def _check(self, head: Versions) -> None:
        differences = Versions.here().differences(head)
        if differences:
            raise JoinRefused(
                f"this device does not fit to the head at {self._membership.head}: "
                + ", ".join(differences),
                f"install {head.needed} here, then join again; without a fleet, by "
                "`odllm-agent run`, a device is measured with any Python",
            )

    def _start(self) -> NodeProcess:
        try:
            return NodeProcess(self._membership.options(), self._environment, self._folder)
        except OSError as error:
            # A full disk, such as the models of an experiment may leave behind.
            raise DispatchError(f"the Ray node does not start: {error}", "") from error

    def _enter(self, node: NodeProcess) -> None:
        started_ns = monotonic_ns()
        while not node.has_joined and not self._leaving.wait(_TICK_S / 4):
            if not node.is_running or seconds_since(started_ns) > _STARTING_S:
                raise DispatchError(f"the Ray node does not start: {node.last_words}", "")
        if not self._leaving.is_set():
            self._told = ""
            self._note(EventKind.JOINED, f"as {self._membership.name}")
            self._say(f"joined the fleet at {self._membership.head} as {self._membership.name}")

    def _stay(self, node: NodeProcess) -> str:
        """Watches the node.

        Returns:
            Why it is to be started anew.
        """
        seen = now()
        while not self._leaving.wait(_TICK_S):
            if not node.is_running:
                return "the Ray node has ended"
            asleep_s = (now() - seen).total_seconds() - _TICK_S
            if asleep_s > _ASLEEP_S and not self._is_member():
                return f"away for {asleep_s:.0f} s"
            seen = now()
        return "told to leave"

    def _is_member(self) -> bool:
        """Whether the head still counts on this device; a head out of reach may."""
        try:
            answer = knock(self._membership.head, self._environment)
        except DispatchError:
            return True
        return self._membership.device_id in answer.device_ids

    def _note(self, kind: EventKind, detail: str) -> None:
        """Keeps what happened until a controller collects it."""
        self._journal.add(Event(now(), kind, self._membership.device_id, detail))

    def _tell_waiting(self, attempt: RetryCallState) -> None:
        """Says why it waits, once for as long as the reason is the same."""
        error = attempt.outcome.exception() if attempt.outcome else None
        if isinstance(error, DispatchError) and error.message != self._told:
            self._told = error.message
            self._say(f"waiting: {error.message}")
