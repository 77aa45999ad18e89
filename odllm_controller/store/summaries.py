"""What the raw values of each trial come to, kept so that a look at many trials needs none of them.

A summary is derived: thrown away and worked out again it comes out the same. Whoever changes what
it rests on marks its trial as stale in the same transaction. Working out one summary costs more
than storing a round, and many hardly more than one: so a run catches up only now and then.
"""

from collections.abc import Collection, Sequence

import duckdb

from odllm_controller.metrics import RATES
from odllm_controller.store import rows
from odllm_controller.store.insert import insert
from odllm_controller.store.scripts import script

# Many at once share one look at every table, and their raw values must fit into memory.
_AT_ONCE = 2_000
# In the order of measuring, so that those taken up together lie together.
_MEASURED = "SELECT trial_id FROM rounds WHERE complete GROUP BY trial_id ORDER BY min(round_id)"
_MARK = "INSERT OR IGNORE INTO stale SELECT unnest(?::VARCHAR[])"
_STALE = "SELECT trial_id FROM stale ORDER BY trial_id"
_FRESH_TRIALS = """
CREATE OR REPLACE TEMP TABLE fresh_trials AS SELECT unnest(?::VARCHAR[]) AS trial_id
"""
_FRESH_RATES = """
CREATE OR REPLACE TEMP TABLE fresh_rates AS
FROM rates_of((SELECT list(trial_id) FROM fresh_trials))
"""
_FRESH_ENDS = """
CREATE OR REPLACE TEMP TABLE fresh_ends (
    trial_id VARCHAR, metric VARCHAR, low DOUBLE, high DOUBLE, reason VARCHAR
)
"""
_SAMPLES = f"""
SELECT trial_id, metric, list(repeats) AS rounds
FROM (
    SELECT trial_id, metric, round_id, list(value) AS repeats
    FROM (
        UNPIVOT fresh_rates
        ON {", ".join(RATES)}
        INTO NAME metric VALUE value
    )
    GROUP BY trial_id, metric, round_id
)
GROUP BY trial_id, metric
"""  # noqa: S608 - names of our own


def make(connection: duckdb.DuckDBPyConnection) -> None:
    """Makes the table anew, without rows."""
    _take_up(connection, ())
    connection.execute(f"CREATE OR REPLACE TABLE summaries AS {script('summaries.sql')}")


def refresh_all(connection: duckdb.DuckDBPyConnection) -> None:
    """Works out the summaries of all trials."""
    connection.execute("DELETE FROM summaries")
    _refresh(connection, [trial_id for (trial_id,) in connection.execute(_MEASURED).fetchall()])


def mark(connection: duckdb.DuckDBPyConnection, trial_ids: Collection[str]) -> None:
    """Notes that summaries are older than what they rest on."""
    if trial_ids:
        connection.execute(_MARK, [list(trial_ids)])


def catch_up(connection: duckdb.DuckDBPyConnection) -> None:
    """Works out the summaries that are stale."""
    found = [trial_id for (trial_id,) in connection.execute(_STALE).fetchall()]
    _refresh(connection, found)
    if found:
        connection.execute("DELETE FROM stale")


def _refresh(connection: duckdb.DuckDBPyConnection, wanted: Sequence[str]) -> None:
    """Works out the summaries of some trials, each in the place of an earlier one."""
    for start in range(0, len(wanted), _AT_ONCE):
        _take_up(connection, wanted[start : start + _AT_ONCE])
        connection.execute("DELETE FROM summaries WHERE trial_id IN (FROM fresh_trials)")
        connection.execute(f"INSERT INTO summaries BY NAME {script('summaries.sql')}")


def _take_up(connection: duckdb.DuckDBPyConnection, trial_ids: Sequence[str]) -> None:
    """Makes the tables that summaries are worked out from: rates of repeats, ends of intervals."""
    connection.execute(_FRESH_TRIALS, [trial_ids])
    connection.execute(_FRESH_RATES)
    connection.execute(_FRESH_ENDS)
    found = connection.execute(_SAMPLES).fetchall()
    insert(connection, "fresh_ends", [rows.of_ends(*each) for each in found])
