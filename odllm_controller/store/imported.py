"""Figures that were not measured by a run of this store, and the samples that came with them."""

import statistics
from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from typing import TypeAlias

import duckdb

from odllm_agent.statistics.interval import Rounds, interval_of
from odllm_controller.store.insert import upsert
from odllm_controller.store.rows import Row

_ROUNDS = """
SELECT row_id, prompt_tokens, output_tokens, list(windows) AS rounds, max(started_at)
FROM (
    SELECT row_id, round, list(window_s) AS windows, max(started_at) AS started_at
    FROM imported_samples
    WHERE list_contains(?, row_id)
    GROUP BY row_id, round
)
JOIN imported USING (row_id)
GROUP BY row_id, prompt_tokens, output_tokens
"""

_LEAVE = """
DELETE FROM imported_samples
WHERE (row_id, round) IN (SELECT (unnest($row_ids), unnest($rounds)))
"""
_EMPTY = """
DELETE FROM imported
WHERE row_id IN (SELECT unnest(?)) AND row_id NOT IN (SELECT row_id FROM imported_samples)
"""
KNOWN = """
SELECT round, min(row_id) AS row_id
FROM imported_samples
WHERE round IN (SELECT unnest(?))
GROUP BY round
"""
"""Of rounds, the rows that hold their samples."""

AKIN = """
SELECT count(DISTINCT wanted.row_id) AS n
FROM (SELECT unnest($row_ids) AS row_id) AS wanted
JOIN imported ON starts_with(imported.row_id, left(wanted.row_id, $n_common))
WHERE imported.row_id NOT IN (SELECT unnest($row_ids))
"""
"""How many rows have others beside them whose ids begin alike."""

REPLACED = """
SELECT count(*) AS n
FROM (SELECT unnest($row_ids) AS row_id, unnest($origins) AS origin) AS wanted
JOIN imported USING (row_id)
WHERE imported.origin <> wanted.origin
"""
"""How many rows are there already, of another origin."""

Place: TypeAlias = tuple[str, str]
"""A row, and a round of it."""

Speeds: TypeAlias = Mapping[str, Rounds]
"""Of each metric the values of its repeats, by round."""


def add(
    connection: duckdb.DuckDBPyConnection,
    rows: Sequence[Row],
    samples: Sequence[Row],
    left: Sequence[Place] = (),
) -> None:
    """Adds rows and samples, each in the place of one with the same key, and works out speeds.

    Args:
        connection: Where to.
        rows: Rows of the table `imported`.
        samples: Rows of the table `imported_samples`.
        left: Where some of them were until now; a row goes with the last of its samples.
    """
    for alike in _by_columns(rows):
        upsert(connection, "imported", {row["row_id"]: row for row in alike}.values())
    keyed = {(row["row_id"], row["round"], row["repeat"]): row for row in samples}
    upsert(connection, "imported_samples", keyed.values())
    left_rows = [row_id for row_id, _ in left]
    if left:
        rounds = [round_ for _, round_ in left]
        connection.execute(_LEAVE, {"row_ids": left_rows, "rounds": rounds})
        connection.execute(_EMPTY, [left_rows])
    if keyed or left:
        _work_out(connection, {*(str(row["row_id"]) for row in keyed.values()), *left_rows})


def _by_columns(rows: Sequence[Row]) -> Collection[list[Row]]:
    """Rows in groups of the same columns, as one statement takes them."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row), []).append(row)
    return groups.values()


def _work_out(connection: duckdb.DuckDBPyConnection, row_ids: Collection[str]) -> None:
    """Works out the figures of rows from all their samples."""
    found = connection.execute(_ROUNDS, [list(row_ids)]).fetchall()
    for row_id, prompt_tokens, output_tokens, rounds, started_at in found:
        figures: Row = {
            "repeats": sum(map(len, rounds)),
            "rounds": len(rounds),
            "run_started_at": started_at,
        }
        for metric, speeds in _speeds(prompt_tokens, output_tokens, rounds).items():
            interval = interval_of(speeds, row_id)
            figures |= {
                metric: interval.middle,
                f"{metric}_low": interval.low,
                f"{metric}_high": interval.high,
                f"{metric}_mean": statistics.fmean(chain.from_iterable(speeds)),
                "interval_reason": interval.reason or None,
            }
        columns = ", ".join(f"{name} = ${name}" for name in figures)
        connection.execute(
            f"UPDATE imported SET {columns} WHERE row_id = $row_id",  # noqa: S608 - our own names
            figures | {"row_id": row_id},
        )


def _speeds(prompt_tokens: int, output_tokens: int, rounds: Rounds) -> Speeds:
    """What windows of so many tokens mean."""
    if prompt_tokens:
        return {"prefill_tok_s": [[prompt_tokens / each for each in one] for one in rounds]}
    return {
        "decode_tok_s": [[output_tokens / each for each in one] for one in rounds],
        "tpot_s": [[each / output_tokens for each in one] for one in rounds],
    }
