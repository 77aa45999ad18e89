"""`odllm fleet status`: the devices of the fleet, as they are now."""

import contextlib
import importlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from rich.live import Live
from rich.table import Table
from rich.text import Text

from odllm_agent.clock import now
from odllm_agent.contract import to_json
from odllm_agent.errors import StoreError
from odllm_agent.network.ray_environment import surround
from odllm_agent.terminal import streams
from odllm_agent.terminal.program import STORE, AsJson, StorePath, exclusive, program
from odllm_controller.cli import table
from odllm_controller.head.device_status import (
    AgentReport,
    DeviceStatus,
    device_statuses,
    newest_nodes,
)
from odllm_controller.head.head import Head
from odllm_controller.head.stored_progress import StoredProgress, standings

_EVERY_S = 2.0
_ANSWER_S = 5.0


app = program("status")
_shown = exclusive()


@app.default
def status(
    *,
    as_json: Annotated[AsJson, _shown] = False,
    watch: Annotated[bool, _shown] = False,
    store: StorePath = STORE,
) -> int:
    """Tell of the devices, as they are now.

    Args:
        as_json: answer as JSON, an object a device
        watch: again every two seconds, till Ctrl-C
        store: where trials done and left come from
    """
    head = Head.load()
    surround(head.environment())
    # Ray reads its environment when it is imported.
    fleet = importlib.import_module("odllm_controller.backends.joined")
    fleet.connect(head.address)
    console = table.console()
    if as_json:
        print("[" + ",\n ".join(map(to_json, _look(store))) + "]")
    elif watch:
        with Live(_table(_look(store)), console=console, auto_refresh=False) as live:
            while streams.is_read():
                time.sleep(_EVERY_S)
                live.update(_table(_look(store)), refresh=True)
    else:
        console.print(_table(_look(store)))
    return 0


def _look(store: Path) -> Sequence[DeviceStatus]:
    ray = importlib.import_module("ray")
    nodes = ray.nodes()
    alive = [device_id for device_id, node in newest_nodes(nodes).items() if node["Alive"]]
    known: Mapping[str, StoredProgress] = {}
    # There may be no store yet; each missing value says that it is not in the store.
    with contextlib.suppress(StoreError):
        known = standings(store)
    return device_statuses(nodes, _asked(ray, alive), known, now())


def _asked(ray: Any, device_ids: Sequence[str]) -> dict[str, AgentReport]:
    """What the agents say that answer within some seconds; those who have none are left out."""
    asked = {}
    for device_id in device_ids:
        try:
            actor = ray.get_actor(f"agent-{device_id}")
        except ValueError:
            continue
        asked[device_id] = (actor.underway.remote(), actor.state.remote())
    references = [each for pair in asked.values() for each in pair]
    if references:
        ray.wait(references, num_returns=len(references), timeout=_ANSWER_S)
    return {device_id: _told(ray, *pair) for device_id, pair in asked.items()}


def _told(ray: Any, underway: Any, state: Any) -> AgentReport:
    try:
        return AgentReport(*ray.get([underway, state], timeout=0))
    except ray.exceptions.GetTimeoutError:
        return AgentReport(reason=f"its agent did not answer within {_ANSWER_S:.0f} s")
    except ray.exceptions.RayError as error:
        # Ray, and what stands on it, is imported once it is connected.
        return AgentReport(
            reason=importlib.import_module("odllm_controller.backends.remote").why(error)
        )


def _table(found: Sequence[DeviceStatus]) -> Table:
    columns = (
        "device",
        "state",
        "trial",
        "done",
        "left",
        "odllm",
        "meters",
        "battery",
        "°C",
        "seen",
    )
    shown = Table(*columns, box=None, pad_edge=False)
    for each in found:
        cells = (table.MISSING if cell is None else str(cell) for cell in _cells(each))
        # What a device says is text, and no markup.
        shown.add_row(*map(Text, cells))
    if not found:
        shown.add_row("no device has joined")
    return shown


def _cells(each: DeviceStatus) -> tuple[object, ...]:
    charge = each.battery_percent
    battery = None if charge is None else f"{charge:.0f} %{', in use' if each.on_battery else ''}"
    return (
        each.name,
        each.state,
        each.trial,
        each.n_done,
        each.n_left,
        each.odllm_version,
        ", ".join(each.meters) or "none" if each.meters is not None else None,
        battery,
        None if each.temperature_c is None else f"{each.temperature_c:.0f}",
        each.last_seen and f"{each.last_seen:%Y-%m-%d %H:%M:%S}",
    )
