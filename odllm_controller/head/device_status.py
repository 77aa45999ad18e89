"""How a device of the fleet is now, from what Ray, its agent and the store say."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from odllm_agent.contract import DeviceState, Underway
from odllm_agent.fleet import labels
from odllm_controller.head.stored_progress import StoredProgress


class State(StrEnum):
    """What a device does."""

    MEASURING = "measuring"
    IDLE = "idle"
    JOINED = "joined"
    SILENT = "silent"
    AWAY = "away"


@dataclass(frozen=True, slots=True)
class AgentReport:
    """What an agent says of its device.

    Attributes:
        underway: What it is doing, or `None`.
        state: How the device is; `None` if it did not answer.
        reason: Why it said nothing, or `""`.
    """

    underway: Underway | None = None
    state: DeviceState | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """How a device is now; what is `None` has its reason in `reasons`, by the same name.

    Attributes:
        device_id: Its id.
        name: What it is called.
        state: What it does.
        trial: What it measures.
        n_done: Trials of the newest run that are done.
        n_left: Trials of the newest run that are left.
        odllm_version: Its version of ODLLM; those of Ray and Python are the head's.
        meters: The power meters that can read something there.
        on_battery: Whether it runs on its battery.
        battery_percent: How full its battery is.
        temperature_c: Its hottest CPU sensor.
        last_seen: When it was last there, in UTC.
        reasons: Why a value is missing.
    """

    device_id: str
    name: str
    state: State
    trial: str | None
    n_done: int | None
    n_left: int | None
    odllm_version: str | None
    meters: tuple[str, ...] | None
    on_battery: bool | None
    battery_percent: float | None
    temperature_c: float | None
    last_seen: datetime | None
    reasons: Mapping[str, str] = field(default_factory=dict)


def newest_nodes(nodes: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The node of each device: the one that is alive, or the last of those that were.

    Args:
        nodes: What `ray.nodes()` gives.
    """
    found: dict[str, Mapping[str, Any]] = {}
    for node in nodes:
        device_id = node["Labels"].get(labels.DEVICE)
        if device_id and (node["Alive"] or not found.get(device_id, {}).get("Alive")):
            found[device_id] = node
    return found


def device_statuses(
    nodes: Iterable[Mapping[str, Any]],
    told: Mapping[str, AgentReport],
    known: Mapping[str, StoredProgress],
    moment: datetime,
) -> Sequence[DeviceStatus]:
    """How each device is, in the order of their names.

    Args:
        nodes: What `ray.nodes()` gives.
        told: What each agent says, by device id; those without an agent are not in it.
        known: What the store knows, by device id.
        moment: When that was.
    """
    found = [
        _status(device_id, node, told.get(device_id), known.get(device_id), moment)
        for device_id, node in newest_nodes(nodes).items()
    ]
    return sorted(found, key=lambda each: (each.name, each.device_id))


def _status(
    device_id: str,
    node: Mapping[str, Any],
    told: AgentReport | None,
    known: StoredProgress | None,
    moment: datetime,
) -> DeviceStatus:
    alive = bool(node["Alive"])
    state = told.state if told else None
    silence = _silence(node, told)
    values: dict[str, Any] = {
        "trial": told.underway.what if told and told.underway else None,
        "n_done": known.n_done if known else None,
        "n_left": known.n_left if known else None,
        "odllm_version": node["Labels"].get(labels.VERSION),
        "meters": known.meters if known else None,
        "on_battery": state.on_battery if state else None,
        "battery_percent": state.battery_percent if state else None,
        "temperature_c": state.temperature_c if state else None,
        "last_seen": moment if alive else known and known.last_seen,
    }
    reasons = {
        "trial": silence or "it measures nothing",
        "n_done": "the newest run of the store has nothing of it",
        "n_left": "the newest run of the store has nothing of it",
        "odllm_version": "it has no label of ODLLM",
        "meters": "it is not in the store",
        "on_battery": silence or "it has no battery",
        "battery_percent": silence or "it has no battery",
        "temperature_c": silence or "no sensor tells",
        "last_seen": "it is not in the store",
    }
    return DeviceStatus(
        device_id,
        str(node["Labels"].get(labels.NAME, device_id)),
        _state(alive, told),
        **values,
        reasons={name: reasons[name] for name, value in values.items() if value is None},
    )


def _silence(node: Mapping[str, Any], told: AgentReport | None) -> str:
    """Why an agent said nothing, or `""`."""
    if not node["Alive"]:
        return str(node.get("DeathReasonMessage") or "it is away")
    return told.reason if told else "no controller has used it yet"


def _state(alive: bool, told: AgentReport | None) -> State:
    if not alive:
        return State.AWAY
    if told is None:
        return State.JOINED
    if told.state is None:
        return State.SILENT
    return State.MEASURING if told.underway else State.IDLE
