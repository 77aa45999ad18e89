"""Working off what every device of a fleet has to do, whatever happens to the devices."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from odllm_agent.clock import monotonic_ns, now, seconds_since
from odllm_agent.contract import AgentApi, Candidate, Device, Event, EventKind, Forecast, Progress
from odllm_agent.errors import DispatchError
from odllm_controller.run.asking import Ask
from odllm_controller.run.device_activity import Activity, DeviceActivity, Pause
from odllm_controller.run.retrying import Asking

Work = Asking[None]
"""All that is asked of one device; what follows a lost ask reaches the agent once it is back."""

# How long one turn waits for an answer; changes of the fleet are looked for once a turn.
TURN_S = 1.0
_PROGRESS = Ask.of(AgentApi.progress)


class Agent(Protocol):
    """An agent that can be asked."""

    @property
    def device(self) -> Device:
        """What its device is."""

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels that it joined with."""

    def ask(self, ask: Ask[Any]) -> Any:
        """Asks it something, and returns a ticket for the answer at once."""

    def forecast(
        self, candidates: tuple[Candidate, ...], *, here: bool = True
    ) -> tuple[Forecast, ...]:
        """Tells what trials would need; waits for the answer."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """Who is new in a fleet.

    Attributes:
        agents: Those that can be asked; one that was lost and found is among them again.
        refused: Devices that may not take part, and why.
    """

    agents: Sequence[Agent] = ()
    refused: Sequence[Event] = ()


class Fleet(Protocol):
    """The agents that can be reached."""

    @property
    def settled(self) -> bool:
        """Whether it is known of every device that is there now whether it takes part."""

    def look(self) -> Sighting:
        """Who came since the last look."""

    def wait(self, tickets: Sequence[Any], timeout_s: float) -> Sequence[Any]:
        """Those of some tickets whose answers are there; waits for the first of them."""

    def answer(self, ticket: Any) -> Any:
        """The answer to a ticket.

        Raises:
            DispatchError: The agent was lost before it answered.
        """

    def lost(self, device_id: str) -> None:
        """Takes note that a device does not answer, so that it is looked for anew."""


class Books(Protocol):
    """Where everything that happens is written down."""

    def event(self, event: Event) -> None:
        """Takes an event."""

    def held(self, device: Device, reason: str) -> None:
        """Takes that what is left of a device is not waited for."""

    def resumed(self, device: Device) -> None:
        """Takes that a device whose trials were held is back."""

    def flush(self) -> None:
        """Stores what was taken since the last time, unless another process holds the store."""

    @property
    def waiting(self) -> str:
        """Who holds the store and what waits for it, in a line, or `""`."""


class FleetDisplay(Protocol):
    """Where people see what happens."""

    def status(self, device: Device, status: DeviceActivity) -> None:
        """Shows how a device stands."""

    def moved(self, device: Device, progress: Progress) -> None:
        """Shows how far the model file is that a device prepares."""

    def store_held(self, told: str) -> None:
        """Shows who holds the store and what waits for it; `""` once nothing does."""


@dataclass(slots=True)
class _Post:
    """One device in the loop: its agent, its work, and what it was asked last.

    A peek is what it is asked beside that, to show how far it is.
    """

    agent: Agent
    work: Work
    status: DeviceActivity = field(default_factory=DeviceActivity)
    ask: Ask[Any] | None = None
    ticket: Any = None
    peek: Any = None
    ask_at_s: float = 0.0
    peek_at_s: float = 0.0


class Dispatch:
    """The loop over a fleet.

    Each device is asked one thing at a time, and only after everything that came in before was
    written down: so nothing is stored or drawn while a fleet of one machine measures, and what an
    agent is told is stored really is. While another process holds the store, what came in waits,
    and the devices keep it.

    Args:
        fleet: The agents.
        work: What a device has to do, or `None` if it takes no part.
        books: Where everything is written down.
        display: Where it is shown.
        grace_s: How long a device that does not answer is waited for.
        expected: Devices that count as away, and not as strangers, while they are not there.
    """

    def __init__(
        self,
        fleet: Fleet,
        work: Callable[[Agent], Work | None],
        books: Books,
        display: FleetDisplay,
        grace_s: float,
        *,
        expected: Sequence[Device] = (),
    ) -> None:
        self._fleet = fleet
        self._work = work
        self._books = books
        self._display = display
        self._grace_s = grace_s
        self._posts: dict[str, _Post] = {}
        self._start_ns = monotonic_ns()
        away = DeviceActivity().lost("it is not in the fleet", 0.0, grace_s)
        self._missing = {device.id: (device, away) for device in expected}

    def run(self) -> None:
        """Goes on until every device has done everything, or is held."""
        while True:
            self._take_in(self._fleet.look())
            for post in self._posts.values():
                self._mind(post)
            self._mind_missing()
            self._books.flush()
            self._display.store_held(self._books.waiting)
            self._send_all()
            if self._fleet.settled and all(status.is_over for status in self._statuses()):
                return
            self._receive()

    def _statuses(self) -> Iterator[DeviceActivity]:
        yield from (post.status for post in self._posts.values())
        yield from (status for _, status in self._missing.values())

    def _take_in(self, seen: Sighting) -> None:
        for event in seen.refused:
            self._books.event(event)
        for agent in seen.agents:
            known = self._posts.get(agent.device.id)
            if known:
                self._renew(known, agent)
            elif (work := self._work(agent)) is None:
                self._missing.pop(agent.device.id, None)
            else:
                self._join(agent.device)
                post = self._posts[agent.device.id] = _Post(agent, work)
                self._go_on(post, None)

    def _renew(self, post: _Post, agent: Agent) -> None:
        """Takes the agent of a device that was lost for what it is now."""
        post.agent = agent
        # One that has answered meanwhile may be at an order, which must not be sent twice.
        if post.status.is_gone:
            post.ticket = None

    def _join(self, device: Device) -> None:
        self._tell(device, EventKind.JOINED)
        _, status = self._missing.pop(device.id, (device, None))
        if status and status.activity is Activity.HELD:
            self._books.resumed(device)

    def _mind_missing(self) -> None:
        at_s = self._now_s()
        for device, status in list(self._missing.values()):
            if status.is_due(at_s):
                self._missing[device.id] = (device, status.held(at_s, status.reason))
                self._report_hold(device, status.reason)

    def _mind(self, post: _Post) -> None:
        """Sees to a device whose time is over."""
        if not post.status.is_due(self._now_s()):
            return
        match post.status.activity:
            case Activity.WAITING:
                self._go_on(post, None)
            case Activity.RUNNING:
                self._lose(post, "it did not answer in time")
            case Activity.AWAY:
                self._hold(post, post.status.reason)
            case _:
                pass

    def _receive(self) -> None:
        posts = {post.ticket: post for post in self._posts.values() if post.ticket is not None}
        peeks = {post.peek: post for post in self._posts.values() if post.peek is not None}
        for ticket in self._fleet.wait([*posts, *peeks], TURN_S):
            if ticket in posts:
                self._take(posts[ticket])
            else:
                self._show(peeks[ticket])

    def _take(self, post: _Post) -> None:
        ticket, post.ticket = post.ticket, None
        try:
            answer = self._fleet.answer(ticket)
        except DispatchError as error:
            self._lose(post, error.message)
            return
        if post.status.is_gone:
            self._welcome(post)
        post.status = post.status.answered(self._now_s())
        self._go_on(post, answer)

    def _go_on(self, post: _Post, answer: Any) -> None:
        self._proceed(post, lambda: post.work.send(answer))

    def _proceed(self, post: _Post, step: Callable[[], Ask[Any] | Pause]) -> None:
        """Takes the next thing that a device's work asks for."""
        try:
            wanted = step()
        except StopIteration:
            post.ask, post.status = None, post.status.done(self._now_s())
        except DispatchError as error:
            post.ask = None
            self._hold(post, error.message)
        else:
            if isinstance(wanted, Pause):
                post.ask, post.status = None, post.status.paused(wanted, self._now_s())
            else:
                post.ask = wanted
        self._display.status(post.agent.device, post.status)

    def _lose(self, post: _Post, reason: str) -> None:
        self._fleet.lost(post.agent.device.id)
        post.ticket = post.peek = None
        post.ask_at_s = self._now_s() + TURN_S
        if post.status.is_gone:
            return
        post.status = post.status.lost(reason, self._now_s(), self._grace_s)
        self._tell(post.agent.device, EventKind.LEFT, reason)
        self._proceed(post, lambda: post.work.throw(DispatchError(reason)))

    def _hold(self, post: _Post, reason: str) -> None:
        post.status = post.status.held(self._now_s(), reason)
        self._report_hold(post.agent.device, reason)
        self._display.status(post.agent.device, post.status)

    def _report_hold(self, device: Device, reason: str) -> None:
        self._tell(device, EventKind.HELD, reason)
        self._books.held(device, reason)

    def _welcome(self, post: _Post) -> None:
        self._tell(post.agent.device, EventKind.JOINED, "it is back")
        if post.status.activity is Activity.HELD:
            self._books.resumed(post.agent.device)

    def _send_all(self) -> None:
        for post in self._posts.values():
            if post.ask is not None:
                self._send(post, post.ask, self._now_s())

    def _send(self, post: _Post, ask: Ask[Any], at_s: float) -> None:
        if post.ticket is None and (not post.status.is_gone or at_s >= post.ask_at_s):
            post.ticket = post.agent.ask(ask.settled())
            post.status = post.status.asked(ask, at_s)
            post.peek_at_s = at_s + TURN_S
        if ask.is_of(AgentApi.prepare) and post.peek is None and at_s >= post.peek_at_s:
            post.peek = post.agent.ask(_PROGRESS)
            post.peek_at_s = at_s + TURN_S

    def _show(self, post: _Post) -> None:
        ticket, post.peek = post.peek, None
        try:
            progress = self._fleet.answer(ticket)
        except DispatchError:
            return
        if progress:
            self._display.moved(post.agent.device, progress)

    def _tell(self, device: Device, kind: EventKind, detail: str = "") -> None:
        self._books.event(Event(now(), kind, device.id, detail))

    def _now_s(self) -> float:
        return seconds_since(self._start_ns)
