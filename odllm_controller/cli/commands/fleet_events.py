"""`odllm fleet events`: what happened in the fleet, by the store."""

import argparse
from pathlib import Path
from typing import Any

import pandas as pd
from rich.table import Table
from rich.text import Text

from odllm_agent.contract import EventKind
from odllm_agent.files.typed_path import typed_path
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


def add_to(commands: Any) -> None:
    """Adds the command to those of `odllm fleet`.

    Args:
        commands: What `argparse.ArgumentParser.add_subparsers` gave.
    """
    parser = commands.add_parser("events", help="what happened, oldest first")
    parser.add_argument("--device", metavar="D", help="only of this device, by its name or id")
    parser.add_argument("--kind", choices=[*EventKind], type=EventKind, help="only of this kind")
    parser.add_argument("--json", action="store_true", help="answer as JSON, an object an event")
    parser.add_argument(
        "--store", type=typed_path, default=Path("results/odllm.duckdb"), help="(%(default)s)"
    )
    parser.set_defaults(command=_events)


def _events(options: argparse.Namespace) -> int:
    found = store.read(options.store, _EVENTS, {"kind": options.kind, "device": options.device})
    if options.json:
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
