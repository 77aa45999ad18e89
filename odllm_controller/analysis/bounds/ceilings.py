"""What the devices of stored trials do at most."""

from pathlib import Path

import pandas as pd

from odllm_agent.contract import READ
from odllm_controller import store

_CEILINGS = """
SELECT devices.name AS device, ceilings.* REPLACE (nullif(engine_build, '') AS engine_build)
FROM latest_ceilings AS ceilings
JOIN devices USING (device_id)
WHERE per_s IS NOT NULL
ORDER BY device, engine, threads, ceilings.name <> $read, ceilings.name
"""
_KEY = ["device_id", "engine", "engine_version", "engine_build", "threads"]


def load(path: Path, results: pd.DataFrame) -> pd.DataFrame:
    """The latest ceilings that some trials are set against.

    Args:
        path: The store.
        results: Rows of the view `results`.

    Returns:
        A row per ceiling with the columns of the table and `device`, its name, and `label`.

    Raises:
        StoreError: The store cannot be read.
    """
    found = store.read(path, _CEILINGS, {"read": READ})
    labels = found["name"].map(lambda name: "read" if name == READ else f"multiply with {name}")
    return found.assign(label=labels).merge(results[_KEY].drop_duplicates(), on=_KEY)
