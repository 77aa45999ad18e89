"""What the devices of a store are, what they do at most, and which power meters they have."""

import json
from pathlib import Path

import pandas as pd

from odllm_agent.contract import READ
from odllm_controller import store

_DEVICES = """
WITH reading AS (
    SELECT device_id, arg_max(threads, per_s) AS read_threads, max(per_s) AS read_bytes_s
    FROM latest_ceilings
    WHERE name = $read
    GROUP BY device_id
),
computing AS (
    SELECT device_id, arg_max(name, per_s) AS compute_type, max(per_s) AS compute_per_s
    FROM latest_ceilings
    WHERE name <> $read AND per_s IS NOT NULL
    GROUP BY device_id
),
resting AS (
    SELECT device_id, arg_max(idle_w, started_at) AS idle_w FROM idle_power GROUP BY device_id
),
latest AS (
    SELECT device_id, max(started_at) AS last_run_at
    FROM run_devices JOIN runs USING (run_id)
    GROUP BY device_id
)
SELECT
    devices.name AS device, device_id, kind, cpu, physical_cores, logical_cores, quota_cores,
    ram_bytes, system, read_bytes_s, read_threads, compute_per_s, compute_type, idle_w, engines,
    odllm_version, python_version, last_run_at
FROM devices
LEFT JOIN reading USING (device_id)
LEFT JOIN computing USING (device_id)
LEFT JOIN resting USING (device_id)
LEFT JOIN latest USING (device_id)
ORDER BY device, device_id
"""
_METERS = "SELECT name AS device, device_id, meters FROM devices ORDER BY name, device_id"
_METER = ("name", "domains", "method", "means", "reason", "remedy")


def devices(path: Path) -> pd.DataFrame:
    """A row per device as it was last seen.

    Args:
        path: The store.

    Returns:
        What the device is; the most bytes that it reads per second, and with how many threads; the
        most operations per second, and with which type; its watts at rest, as last measured. What
        was not measured is missing.

    Raises:
        StoreError: The store cannot be read.
    """
    return store.read(path, _DEVICES, {"read": READ})


def meters(path: Path) -> pd.DataFrame:
    """A row per device and power meter: what it reads and how, or why it cannot and what helps.

    Args:
        path: The store.

    Raises:
        StoreError: The store cannot be read.
    """
    found = store.read(path, _METERS)
    rows = [
        {"device": device, "device_id": device_id, **{key: meter.get(key, "") for key in _METER}}
        for device, device_id, reports in found.itertuples(index=False)
        for meter in json.loads(reports)
    ]
    columns = ["device", "device_id", *_METER]
    told = pd.DataFrame(rows, columns=columns)
    return told.assign(domains=told["domains"].map(", ".join)).rename(columns={"name": "meter"})
