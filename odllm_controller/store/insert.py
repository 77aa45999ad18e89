"""Putting rows into the store's tables, many with one statement."""

from collections.abc import Iterable
from functools import cache

import duckdb

from odllm_agent.contract import Trial
from odllm_controller.store import rows
from odllm_controller.store.rows import Row


def insert(connection: duckdb.DuckDBPyConnection, table: str, new: Iterable[Row]) -> None:
    """Adds rows of the same columns."""
    _write(connection, "INSERT", table, list(new))


def upsert(connection: duckdb.DuckDBPyConnection, table: str, new: Iterable[Row]) -> None:
    """Adds rows of the same columns, each in the place of one with the same key."""
    _write(connection, "INSERT OR REPLACE", table, list(new))


def upsert_trials(connection: duckdb.DuckDBPyConnection, trials: Iterable[Trial]) -> None:
    """Adds trials and their models."""
    trials = list(trials)
    models = {trial.model.sha256: rows.of_model(trial.model) for trial in trials}
    upsert(connection, "models", models.values())
    upsert(connection, "trials", map(rows.of_trial, trials))


def _write(connection: duckdb.DuckDBPyConnection, verb: str, table: str, new: list[Row]) -> None:
    if new:
        columns = {name: [row[name] for row in new] for name in new[0]}
        connection.execute(_statement(verb, table, tuple(columns)), columns)


@cache
def _statement(verb: str, table: str, columns: tuple[str, ...]) -> str:
    """One statement for any number of rows: each parameter is a whole column.

    Rows one by one would cost ten times as much. Only names written in this package get into the
    text; every value is a parameter.
    """
    values = ", ".join(f"unnest(${column})" for column in columns)
    return f"{verb} INTO {table} ({', '.join(columns)}) SELECT {values}"
