"""llama-bench's SQL, read by SQLite in memory that may do nothing but take rows.

SQL is a program. What comes from a stranger must neither read nor write a file, nor compute for
ever, so SQLite is asked before each step of a statement, and all but creating llama-bench's table
and putting plain values into it is denied: no ATTACH, no PRAGMA, no function, no query.
"""

import re
import sqlite3
from collections.abc import Iterator

from odllm_agent.logbook import Damage
from odllm_controller.exchange.lines import Numbered

# `test` until 2025; forks number theirs.
_TABLE = re.compile(r"(llama_bench|test)(_v\d+)?")
_INSERT = "INSERT INTO "
_SCHEMA = "sqlite_master"
_MOST_STATEMENT_CHARACTERS = 100_000
_PLAIN = frozenset({sqlite3.SQLITE_CREATE_TABLE, sqlite3.SQLITE_INSERT})
_OF_SCHEMA = frozenset({sqlite3.SQLITE_INSERT, sqlite3.SQLITE_READ, sqlite3.SQLITE_UPDATE})
_REFUSED = (sqlite3.Error, sqlite3.Warning, ValueError)


def sql_rows(text: str) -> Numbered:
    """The rows that a file of SQL puts into llama-bench's table, with the line of each statement.

    Args:
        text: The file.
    """
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.row_factory = sqlite3.Row
    try:
        for number, statement in _statements(text):
            yield from ((number, row) for row in _taken(connection, statement))
    finally:
        connection.close()


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Statements with the number of the line on which each begins.

    The last one is what is left, or what is so long that the rest is not read.
    """
    begun, pending = 1, ""
    for number, line in enumerate(text.splitlines(keepends=True), start=1):
        if pending.strip() and line.startswith(_INSERT):
            # llama-bench does not double a quote inside a name, and what follows would be lost too.
            yield begun, pending
            pending = ""
        if not pending.strip():
            begun, pending = number, ""
        pending += line
        if len(pending) > _MOST_STATEMENT_CHARACTERS:
            break
        if sqlite3.complete_statement(pending):
            yield begun, pending
            pending = ""
    if pending.strip():
        yield begun, pending


def _taken(connection: sqlite3.Connection, statement: str) -> list[object]:
    """The rows of a statement, or the damage that it is."""
    if len(statement) > _MOST_STATEMENT_CHARACTERS:
        told = f"the statement is longer than {_MOST_STATEMENT_CHARACTERS} characters"
        return [Damage(f"{told}; the rest is not read")]
    connection.set_authorizer(_allowed)
    try:
        connection.execute(statement)
    except _REFUSED as error:
        return [Damage(f"SQLite says: {error}")]
    finally:
        connection.set_authorizer(None)
    return _moved_out(connection)


def _allowed(
    action: int, first: str | None, _second: str | None, _base: str | None, _trigger: str | None
) -> int:
    if action in _OF_SCHEMA and first == _SCHEMA:
        return sqlite3.SQLITE_OK
    if action in _PLAIN and _TABLE.fullmatch(first or ""):
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def _moved_out(connection: sqlite3.Connection) -> list[object]:
    """All rows that are there, each only once."""
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    found: list[object] = []
    for (name,) in tables:
        found += map(dict, connection.execute(f"SELECT * FROM {name}").fetchall())  # noqa: S608 - a name that `_TABLE` allows
        connection.execute(f"DELETE FROM {name}")  # noqa: S608 - the same
    return found
