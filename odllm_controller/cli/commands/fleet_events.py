"""`odllm fleet events`: what happened in the fleet, by the store."""

from typing import Annotated

import pandas as pd
from rich.table import Table
from rich.text import Text

from odllm_agent.contract import EventKind
from odllm_agent.terminal.program import STORE, AsJson, StorePath, one_of, program
from odllm_controller import store
from odllm_controller.cli import table

_EVENTS = """
SELECT happened_at, events.kind, coalesce(devices.name, device_id) AS device, device_id, run_id,
    detail
FROM events LEFT JOIN devices USING (device_id)
WHERE ($kind IS NULL OR events.kind = $kind)
    AND ($device IS NULL OR device_id = $device OR devices.name = $device)
ORDER BY happened_at, event_id
"""


app = program("events")


@app.default
def events(
    *,
    device: Annotated[str | None, "D"] = None,
    kind: Annotated[EventKind | None, one_of(EventKind)] = None,
    as_json: AsJson = False,
    path: StorePath = STORE,
) -> int:
    """Tell what happened, oldest first.

    Args:
        device: only of this device, by its name or id
        kind: only of this kind
        as_json: answer as JSON, an object an event
        path: where the results are
    """
    found = store.read(path, _EVENTS, {"kind": kind, "device": device})
    if as_json:
        print(found.to_json(orient="records", date_format="iso", date_unit="us"))
    else:
        table.console().print(_table(found))
    return 0


def _table(found: pd.DataFrame) -> Table:
    shown = Table("time (UTC)", "event", "device", "detail", box=None, pad_edge=False)
    for at, *words in found[["happened_at", "kind", "device", "detail"]].to_numpy():
        # What a device says is text, and no markup.
        shown.add_row(f"{at:%Y-%m-%d %H:%M:%S}", *(Text(str(word)) for word in words))
    if found.empty:
        shown.add_row("nothing happened that is stored")
    return shown
