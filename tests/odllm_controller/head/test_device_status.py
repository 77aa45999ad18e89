"""How a device is, from what Ray, its agent and the store say."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from odllm_agent.contract import Tag, Underway
from odllm_controller.head.device_status import AgentReport, DeviceStatus, State, device_statuses
from odllm_controller.head.stored_progress import StoredProgress
from tests import support

KNOWN = StoredProgress("lab-1", ("rapl",), n_done=3, n_left=5, last_seen=support.STARTED)


def node(device_id: str, *, alive: bool = True, why: str = "") -> Mapping[str, Any]:
    """A node as `ray.nodes()` tells it."""
    labels = {"odllm-device": device_id, "odllm-name": f"name of {device_id}"}
    return {
        "Alive": alive,
        "Labels": labels | {"odllm-version": "0.1.0"},
        "DeathReasonMessage": why,
    }


def one(
    *nodes: Mapping[str, Any], told: AgentReport | None = None, known: StoredProgress | None = None
) -> DeviceStatus:
    (found,) = device_statuses(
        nodes, {"a": told} if told else {}, {"a": known} if known else {}, support.STARTED
    )
    for each in fields(found):
        assert (getattr(found, each.name) is None) == (each.name in found.reasons)
    return found


def test_a_device_that_measures_tells_what_and_how_it_is() -> None:
    state = support.state(on_battery=True, battery_percent=80.0, temperature_c=71.0)
    told = AgentReport(Underway("model Q4_0, round 1", support.STARTED, Tag("s", "r")), state)
    found = one(node("a"), told=told, known=KNOWN)
    assert (found.state, found.trial) == (State.MEASURING, "model Q4_0, round 1")
    assert (found.n_done, found.n_left, found.meters) == (3, 5, ("rapl",))
    assert (found.on_battery, found.battery_percent, found.temperature_c) == (True, 80.0, 71.0)
    assert found.last_seen == support.STARTED


def test_a_device_that_measures_nothing_is_idle_and_says_why_a_value_is_missing() -> None:
    state = support.state(on_battery=None, battery_percent=None, temperature_c=None)
    found = one(node("a"), told=AgentReport(None, state))
    assert found.state is State.IDLE
    assert found.reasons["trial"] == "it measures nothing"
    assert found.reasons["temperature_c"] == "no sensor tells"
    assert found.reasons["battery_percent"] == "it has no battery"
    assert found.reasons["n_left"] == "the newest run of the store has nothing of it"


def test_a_device_without_an_agent_has_joined() -> None:
    found = one(node("a"))
    assert found.state is State.JOINED
    assert found.reasons["temperature_c"] == "no controller has used it yet"


def test_an_agent_that_does_not_answer_is_silent_with_the_reason() -> None:
    found = one(node("a"), told=AgentReport(reason="it hangs"))
    assert (found.state, found.reasons["trial"]) == (State.SILENT, "it hangs")


def test_a_device_that_is_gone_is_away_with_rays_reason_and_when_it_was_there() -> None:
    found = one(node("a", alive=False, why="health check failed"), known=KNOWN)
    assert (found.state, found.last_seen) == (State.AWAY, support.STARTED)
    assert found.reasons["temperature_c"] == "health check failed"


def test_a_device_that_came_back_is_one_and_others_than_devices_are_none() -> None:
    head = {"Alive": True, "Labels": {"odllm-role": "head"}}
    gone = node("a", alive=False)
    assert one(gone, node("a"), gone, head).state is State.JOINED


def test_devices_stand_in_the_order_of_their_names() -> None:
    found = device_statuses([node("b"), node("a")], {}, {}, support.STARTED)
    assert [each.name for each in found] == ["name of a", "name of b"]
