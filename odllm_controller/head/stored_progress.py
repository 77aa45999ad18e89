"""How far each device of a fleet is, by the store."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from odllm_controller import store

_STANDINGS = """
WITH newest AS (SELECT run_id FROM runs ORDER BY started_at DESC LIMIT 1),
counted AS (
    SELECT trials.device_id,
        count(DISTINCT rounds.round) FILTER (rounds.complete) >= any_value(planned.rounds)
            OR coalesce(bool_or(NOT rounds.complete AND rounds.run_id = newest.run_id), false)
            AS settled
    FROM planned
    JOIN newest USING (run_id)
    JOIN trials USING (trial_id)
    LEFT JOIN rounds USING (trial_id)
    GROUP BY trials.device_id, planned.trial_id
),
progress AS (
    SELECT device_id, count(*) FILTER (settled) AS n_done, count(*) FILTER (NOT settled) AS n_left
    FROM counted GROUP BY device_id
),
seen AS (
    SELECT device_id, max(moment) AS moment FROM (
        SELECT device_id, happened_at AS moment FROM events
        UNION ALL SELECT device_id, started_at FROM rounds JOIN trials USING (trial_id)
    ) GROUP BY device_id
)
SELECT devices.device_id, name, meters, n_done, n_left, moment
FROM devices LEFT JOIN progress USING (device_id) LEFT JOIN seen USING (device_id)
"""


@dataclass(frozen=True, slots=True)
class StoredProgress:
    """What the store knows of a device.

    Attributes:
        name: What it was called when it was last measured.
        meters: The power meters that could read something.
        n_done: Trials of the newest run that have all rounds or failed; `None` if it has none.
        n_left: Its other trials of that run.
        last_seen: When it last did something that is stored, in UTC.
    """

    name: str
    meters: tuple[str, ...]
    n_done: int | None
    n_left: int | None
    last_seen: datetime | None


def standings(path: Path) -> Mapping[str, StoredProgress]:
    """What the store knows of each device, by its id.

    Raises:
        StoreError: The file cannot be read.
    """
    rows = store.read(path, _STANDINGS).astype(object).itertuples(index=False)
    return {str(row.device_id): _standing(row) for row in rows}


def _standing(row: object) -> StoredProgress:
    name, meters, done, left, moment = (
        getattr(row, each) for each in ("name", "meters", "n_done", "n_left", "moment")
    )
    return StoredProgress(
        name=str(name),
        meters=tuple(each["name"] for each in json.loads(meters) if each["domains"]),
        n_done=None if pd.isna(done) else int(done),
        n_left=None if pd.isna(left) else int(left),
        last_seen=None if pd.isna(moment) else moment.to_pydatetime().replace(tzinfo=UTC),
    )
