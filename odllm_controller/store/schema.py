"""The schema's version, and the steps that lead to it from any older one.

Migrations change tables of raw values. Views hold no data, and summaries none of their own, so both
are made anew after every migration, and whenever the code that makes them is another one: a
migration need not know them, and an old one is never left on top of new tables.
"""

import hashlib
import inspect
from collections.abc import Callable, Collection, Sequence
from functools import cache
from pathlib import Path

import duckdb

from odllm_agent.clock import now
from odllm_agent.errors import StoreError
from odllm_agent.statistics import interval
from odllm_controller.metrics import all_columns
from odllm_controller.overrides import line
from odllm_controller.store import summaries
from odllm_controller.store.scripts import script

Migration = Callable[[duckdb.DuckDBPyConnection], None]


def _of_script(name: str) -> Migration:
    def migrate(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute(script(f"migrations/{name}.sql"))

    return migrate


# Released migrations never change: a file's version is the number of them that it went through.
MIGRATIONS: tuple[Migration, ...] = tuple(
    map(_of_script, ("1_tables", "2_quota", "3_builds", "4_context", "5_seed", "6_cards"))
)


def migrate(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    migrations: Sequence[Migration] = MIGRATIONS,
) -> None:
    """Brings a file to the newest version, from nothing or from an older one.

    Args:
        connection: To the file, inside a transaction.
        path: The file, for messages.
        migrations: From nothing to the newest version, in order.

    Raises:
        StoreError: The file is of a newer version, or is not an ODLLM store.
    """
    connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_versions"
        " (version INTEGER PRIMARY KEY, applied_at TIMESTAMP NOT NULL)"
    )
    version = _version(connection)
    _refuse_newer(version, len(migrations), path)
    if version == 0:
        _refuse_foreign(connection, path)
    if version == len(migrations) and _derived_by(connection, _tables(connection)) == _code():
        return
    _drop_views(connection)
    for number in range(version + 1, len(migrations) + 1):
        migrations[number - 1](connection)
        connection.execute(
            "INSERT INTO schema_versions (version, applied_at) VALUES (?, ?)",
            [number, now().replace(tzinfo=None)],
        )
    _derive(connection)


def check_current(
    connection: duckdb.DuckDBPyConnection, path: Path, newest: int = len(MIGRATIONS)
) -> None:
    """Checks that a file is of the newest version, without changing it.

    Raises:
        StoreError: It is not.
    """
    tables = _tables(connection)
    if "schema_versions" not in tables:
        _refuse_foreign(connection, path, allowed=frozenset())
        raise StoreError(f"the store {path} holds nothing yet", "Run an experiment into it first.")
    version = _version(connection)
    _refuse_newer(version, newest, path)
    if version < newest:
        raise StoreError(
            f"the store {path} has schema version {version}, older than this ODLLM's {newest}",
            f"Run any experiment with {line.typed('store.path', str(path))}: "
            "opening it for writing updates it.",
        )
    if _derived_by(connection, tables) != _code():
        raise StoreError(
            f"the figures of the store {path} were worked out by another version of ODLLM",
            f"Run any experiment with {line.typed('store.path', str(path))}: "
            "opening it for writing works them out anew.",
        )


def _derive(connection: duckdb.DuckDBPyConnection) -> None:
    """Makes all that is worked out from raw values, and notes which code did."""
    # Imported figures have a column for each metric, however new.
    for column in all_columns():
        connection.execute(f"ALTER TABLE imported ADD COLUMN IF NOT EXISTS {column} DOUBLE")
    connection.execute(script("rates.sql"))
    connection.execute(script("ceilings.sql"))
    summaries.make(connection)
    connection.execute(script("views.sql"))
    summaries.refresh_all(connection)
    connection.execute("CREATE OR REPLACE TABLE derivation AS SELECT ? AS code", [_code()])


@cache
def _code() -> str:
    """What tells the code that derives figures from any other: a hash of it."""
    texts = [script(name) for name in ("rates.sql", "ceilings.sql", "summaries.sql", "views.sql")]
    texts += [inspect.getsource(module) for module in (summaries, interval)]
    return hashlib.sha256("\0".join((*texts, *all_columns())).encode()).hexdigest()[:16]


def _derived_by(connection: duckdb.DuckDBPyConnection, tables: Collection[str]) -> str:
    if "derivation" not in tables:
        return ""
    [(code,)] = connection.execute("SELECT code FROM derivation").fetchall()
    return str(code)


def _refuse_newer(version: int, newest: int, path: Path) -> None:
    if version > newest:
        raise StoreError(
            f"the store {path} has schema version {version}, newer than this ODLLM's {newest}",
            "Update ODLLM, or name another file with --store or store.path.",
        )


def _refuse_foreign(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    allowed: frozenset[str] = frozenset({"schema_versions"}),
) -> None:
    foreign = _tables(connection) - allowed
    if foreign:
        raise StoreError(
            f"{path} is a DuckDB file of something else: it holds the table {min(foreign)}",
            "Name another file with --store or store.path.",
        )


def _drop_views(connection: duckdb.DuckDBPyConnection) -> None:
    rows = connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
    for (name,) in rows:
        connection.execute(f'DROP VIEW "{name}"')
    rows = connection.execute(
        "SELECT function_name, if(function_type = 'table_macro', 'TABLE', '')"
        " FROM duckdb_functions() WHERE function_type LIKE '%macro' AND NOT internal"
    ).fetchall()
    for name, kind in rows:
        connection.execute(f'DROP MACRO {kind} "{name}"')


def _version(connection: duckdb.DuckDBPyConnection) -> int:
    [(version,)] = connection.execute("SELECT max(version) FROM schema_versions").fetchall()
    return version or 0


def _tables(connection: duckdb.DuckDBPyConnection) -> set[str]:
    rows = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
    return {name for (name,) in rows}
