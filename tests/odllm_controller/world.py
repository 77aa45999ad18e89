"""A fleet that happens in memory: agents with journals, and losses at every moment."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from odllm_agent.contract import (
    AgentApi,
    Candidate,
    Collected,
    Device,
    Entry,
    Event,
    Forecast,
    Hindrance,
    Limits,
    Measurement,
    Order,
    Result,
    Tag,
)
from odllm_agent.errors import DispatchError
from odllm_controller.run.asking import Ask
from odllm_controller.run.device_activity import DeviceActivity
from odllm_controller.run.dispatch import Sighting
from tests import support


class Fate(StrEnum):
    """What becomes of one call."""

    ANSWERED = "answered"
    SLOW = "answered some turns later"
    LOST_BEFORE = "lost before it was carried out"
    LOST_AFTER = "lost after it was carried out and kept"
    SILENT = "never answered"


@dataclass
class Clock:
    """Time that passes only while the loop waits."""

    now_s: float = 0.0

    def seconds_since(self, _: int) -> float:
        return self.now_s


@dataclass(eq=False)
class Ticket:
    agent: "FakeAgent"
    ask: Ask[Any]
    fate: Fate
    turns: int = 0

    def is_ready(self) -> bool:
        self.turns += 1
        return self.fate is not Fate.SILENT and (self.fate is not Fate.SLOW or self.turns > 4)


@dataclass
class FakeAgent:
    """An agent that measures by making up a result, and keeps it as the real one does."""

    device: Device
    fates: Iterator[Fate]
    labels: Mapping[str, str] = field(default_factory=dict)
    journal: dict[str, Entry] = field(default_factory=dict)
    carried_out: list[tuple[str, int]] = field(default_factory=list)
    hindrances: list[Hindrance] = field(default_factory=list)
    gone: bool = False
    orders_out: int = 0
    n_entries: int = 0

    def ask(self, ask: Ask[Any]) -> Ticket:
        # An agent that was lost answers nothing until it is found, so that is never lost itself.
        fate = Fate.ANSWERED if ask.is_of(AgentApi.underway) else next(self.fates, Fate.ANSWERED)
        if ask.is_of(AgentApi.carry_out):
            assert not self.orders_out, "two orders at once on one device"
            self.orders_out += 1
        return Ticket(self, ask, Fate.SILENT if self.gone else fate)

    def forecast(
        self, candidates: tuple[Candidate, ...], *, here: bool = True
    ) -> tuple[Forecast, ...]:
        raise NotImplementedError

    def respond(self, ask: Ask[Any]) -> Any:
        return getattr(self, ask.method)(*ask.arguments)

    def underway(self) -> None:
        return None

    def hindrance(self, _: object) -> Hindrance:
        return self.hindrances.pop(0) if self.hindrances else Hindrance()

    def carry_out(
        self, order: Order, tag: Tag, limits: Limits, stored: Sequence[str]
    ) -> Entry | Hindrance:
        self.acknowledge(stored)
        found = self.hindrance(limits)
        if found.reason:
            return found
        self.n_entries += 1
        entry = Entry.of(f"{self.n_entries:04d}", self.result(order), tag)
        self.journal[entry.id] = entry
        return entry

    def result(self, order: Order) -> Result:
        assert isinstance(order, Measurement)
        self.carried_out.append((order.trial.id, order.round))
        return support.round_result(order.trial, order.round)

    def collect(self, store_id: str, after: str) -> Collected:
        found = [each for each in self.journal.values() if each.tag and each.id > after]
        assert all(each.tag and each.tag.store_id == store_id for each in found)
        return Collected(tuple(found[:1]), len(found) > 1)

    def acknowledge(self, entry_ids: Sequence[str]) -> None:
        for entry_id in entry_ids:
            self.journal.pop(entry_id, None)


@dataclass
class World:
    """A fleet of such agents; see `odllm_controller.run.dispatch.Fleet`."""

    agents: list[FakeAgent]
    clock: Clock = field(default_factory=Clock)
    settled: bool = True
    refused: list[Event] = field(default_factory=list)
    later: dict[float, FakeAgent] = field(default_factory=dict)
    on_wait: Callable[["World"], None] = lambda _: None
    everyone: list[FakeAgent] = field(default_factory=list)
    looks: int = 0
    found_again: list[tuple[int, FakeAgent]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.everyone = [*self.agents, *self.later.values()]

    def look(self) -> Sighting:
        due = [at_s for at_s in self.later if at_s <= self.clock.now_s]
        seen, self.agents = [*self.agents, *(self.later.pop(at_s) for at_s in due)], []
        self.looks += 1
        seen += [each for at_look, each in self.found_again if at_look <= self.looks]
        self.found_again = [each for each in self.found_again if each[0] > self.looks]
        refused, self.refused = self.refused, []
        return Sighting(seen, refused)

    def wait(self, tickets: Sequence[Ticket], timeout_s: float) -> Sequence[Ticket]:
        self.on_wait(self)
        ready = [each for each in tickets if each.is_ready()]
        if not ready:
            self.clock.now_s += timeout_s
        return ready[:1]

    def answer(self, ticket: Ticket) -> Any:
        if ticket.ask.is_of(AgentApi.carry_out):
            ticket.agent.orders_out -= 1
        if ticket.fate is Fate.LOST_BEFORE:
            raise DispatchError("the agent died")
        answer = ticket.agent.respond(ticket.ask)
        if ticket.fate is Fate.LOST_AFTER:
            raise DispatchError("the line was cut")
        return answer

    def lost(self, device_id: str) -> None:
        (agent,) = (each for each in self.everyone if each.device.id == device_id)
        agent.orders_out = 0
        # Found again only some turns later, when it may long have answered.
        self.found_again.append((self.looks + 6, agent))


@dataclass
class Books:
    """What was written down, as a recorder would; nothing lasts before it is flushed."""

    store_id: str = "store"
    run_id: str = "run"
    stored: list[Result] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    holds: dict[str, str] = field(default_factory=dict)
    taken: list[Result] = field(default_factory=list)
    whole: set[tuple[str, int]] = field(default_factory=set)
    unstored: set[tuple[str, str]] = field(default_factory=set)

    def event(self, event: Event) -> None:
        self.events.append(event)

    def entry(self, device: Device, entry: Entry) -> None:
        self.unstored.add((device.id, entry.id))
        if entry.result:
            self.result(entry.result)

    def result(self, result: Result) -> None:
        self.taken.append(result)

    def damaged(self, _: Device, lines: Sequence[str]) -> None:
        assert not lines

    def held(self, device: Device, reason: str) -> None:
        self.holds[device.id] = reason

    def resumed(self, device: Device) -> None:
        del self.holds[device.id]

    def flush(self) -> None:
        # As the store does: a round that is there whole is not stored again.
        for result in self.taken:
            key = (result.trial.id, result.round)  # type: ignore[union-attr]
            if key not in self.whole:
                self.stored.append(result)
            if not result.failure:
                self.whole.add(key)
        self.taken = []
        self.unstored.clear()

    @property
    def waiting(self) -> str:
        return ""

    def look_again(self) -> None:
        pass

    def has_stored(self, entry_id: tuple[str, str]) -> bool:
        return entry_id not in self.unstored

    def rounds(self) -> list[Any]:
        return list(self.stored)


@dataclass
class Display:
    """What was shown."""

    statuses: list[DeviceActivity] = field(default_factory=list)

    def status(self, _: Device, status: DeviceActivity) -> None:
        self.statuses.append(status)

    def moved(self, *_: object) -> None:
        pass

    def store_held(self, _: str) -> None:
        pass

    def started(self, *_: object) -> None:
        pass

    def said(self, *_: object) -> None:
        pass

    def planned(self, *_: object) -> None:
        pass

    def finished(self, *_: object) -> None:
        pass


def agent(name: str = "laptop", fates: Sequence[Fate] = (), **changes: Any) -> FakeAgent:
    """An agent, and what becomes of the first calls that reach it."""
    return replace(FakeAgent(support.device(name), iter(fates)), **changes)
