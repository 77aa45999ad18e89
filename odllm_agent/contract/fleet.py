"""What an agent and its controller tell each other."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from odllm_agent.contract.ceilings import Ceilings, CeilingsOrder
from odllm_agent.contract.quality import QualityCheck, QualityResult
from odllm_agent.contract.rest import Baseline, Rest
from odllm_agent.contract.round import Measurement, RoundResult


class EventKind(StrEnum):
    """What can happen in a fleet."""

    JOINED = "joined"
    LEFT = "left"
    REFUSED = "refused"
    DISPATCHED = "dispatched"
    STORED = "stored"
    HELD = "held"
    DAMAGED = "damaged"
    MODEL_ADDED = "model_added"
    MODEL_REMOVED = "model_removed"


Order = Measurement | QualityCheck | Rest | CeilingsOrder
"""What an agent can be told to do; its result is kept until it is stored."""


Result = RoundResult | QualityResult | Baseline | Ceilings
"""What comes of an order."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a fleet.

    Attributes:
        at: When, in UTC.
        kind: What.
        device_id: The device that it happened to.
        detail: The rest, in words.
    """

    at: datetime
    kind: EventKind
    device_id: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Tag:
    """For whom a result was made.

    Attributes:
        store_id: The store that it belongs in.
        run_id: The run that asked for it.
    """

    store_id: str
    run_id: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What an agent keeps on its device's disk until a controller has stored it.

    One of `measured`, `checked`, `rested`, `ceilings` and `event` is set.

    Attributes:
        id: Its name in the journal of its device; later ones sort behind earlier ones.
        tag: For whom it was made; `None` of an event, which whoever comes first stores.
        measured: The result of a `Measurement`.
        checked: The result of a `QualityCheck`.
        rested: The result of a `Rest`.
        ceilings: The result of a `CeilingsOrder`.
        event: What the device saw itself.
        unkept: Why it does not lie on the device's disk, or `""`.
    """

    id: str
    tag: Tag | None = None
    measured: RoundResult | None = None
    checked: QualityResult | None = None
    rested: Baseline | None = None
    ceilings: Ceilings | None = None
    event: Event | None = None
    unkept: str = ""

    @classmethod
    def of(cls, entry_id: str, content: Result | Event, tag: Tag | None) -> "Entry":
        """The entry that holds a result or an event."""
        return cls(entry_id, tag, **{_ENTRY_FIELDS[type(content)]: content})  # type: ignore[arg-type]

    @property
    def result(self) -> Result | None:
        """The result in it; `None` of an event."""
        return self.measured or self.checked or self.rested or self.ceilings

    def answers(self, order: Order) -> bool:
        """Whether this is what came of an order."""
        match order, self.result:
            case Measurement(), RoundResult(trial=trial, round=index):
                return (trial.id, index) == (order.trial.id, order.round)
            case QualityCheck(), QualityResult(check=check):
                return check.id == order.id
            case Rest(), Baseline(round=index):
                return index == order.round
            case CeilingsOrder(), Ceilings(order=asked):
                return asked == order
            case _:
                return False


_ENTRY_FIELDS = {
    RoundResult: "measured",
    QualityResult: "checked",
    Baseline: "rested",
    Ceilings: "ceilings",
    Event: "event",
}


@dataclass(frozen=True, slots=True)
class Collected:
    """What lies in a device's journal for one store.

    Attributes:
        entries: The oldest of it.
        more: Whether there is more than these.
        damaged: What could not be read and was set aside, a line each.
    """

    entries: tuple[Entry, ...] = ()
    more: bool = False
    damaged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Underway:
    """What an agent is doing.

    Attributes:
        what: In words.
        since: When it began, in UTC.
        tag: For whom.
    """

    what: str
    since: datetime
    tag: Tag


@dataclass(frozen=True, slots=True)
class Limits:
    """When a device may be measured on; what is not set does not matter.

    Attributes:
        hours: A time of the device's own day, such as `22:00-06:00`.
        on_mains: Whether it must not run on its battery.
        min_battery_percent: How full its battery must be, if it has one.
        max_temperature_c: How hot its CPU may be.
    """

    hours: str | None = None
    on_mains: bool = False
    min_battery_percent: float | None = None
    max_temperature_c: float | None = None


@dataclass(frozen=True, slots=True)
class Hindrance:
    """Why a device may not measure now.

    Attributes:
        reason: In words, or `""` if it may.
        for_good: Whether waiting does not help.
    """

    reason: str = ""
    for_good: bool = False
