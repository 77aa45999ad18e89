"""llama-bench's SQL, read by SQLite in memory that may do nothing but take rows.

SQL is a program. What comes from a stranger must neither read nor write a file, nor compute for
ever, so SQLite is asked before each step of a statement, and all but creating llama-bench's table
and putting plain values into it is denied: no ATTACH, no PRAGMA, no function, no query.
"""

import re
import sqlite3

from odllm_agent.offline.logbook import Damage

BEGINNING = re.compile(r"\s*(?:CREATE TABLE|INSERT INTO) ", re.IGNORECASE)
"""How a line begins on which a statement of llama-bench's does."""

MOST_LINES = 1000
MOST_CHARACTERS = 100_000
"""How long a statement may be."""

# `test` until 2025; forks number theirs.
_TABLE = re.compile(r"(llama_bench|test)(_v\d+)?")
_CREATED = re.compile(
    rf"\s*CREATE TABLE (?:IF NOT EXISTS )?(?P<name>{_TABLE.pattern})\b", re.IGNORECASE
)
_SCHEMA = "sqlite_master"
_PLAIN = frozenset({sqlite3.SQLITE_CREATE_TABLE, sqlite3.SQLITE_INSERT})
_OF_SCHEMA = frozenset({sqlite3.SQLITE_INSERT, sqlite3.SQLITE_READ, sqlite3.SQLITE_UPDATE})
_REFUSED = (sqlite3.Error, sqlite3.Warning, ValueError)


class SqlTables:
    """llama-bench's tables, and who may write into them; to be closed at the end."""

    def __init__(self) -> None:
        self._opened: sqlite3.Connection | None = None

    def close(self) -> None:
        """Forgets all of it."""
        if self._opened:
            self._opened.close()

    def taken(self, statement: str) -> list[object]:
        """The rows that a statement brings, or the damage that it is."""
        kept = self._connection
        kept.execute("BEGIN")
        # Another version's table of the same name may have other columns; this one is empty.
        if created := _CREATED.match(statement):
            kept.execute(f"DROP TABLE IF EXISTS {created['name']}")
        try:
            self._do_guarded(statement)
        except _REFUSED as error:
            kept.execute("ROLLBACK")
            return [Damage(f"SQLite says: {error}")]
        kept.execute("COMMIT")
        return self._moved_out()

    def _do_guarded(self, statement: str) -> None:
        self._connection.set_authorizer(_allowed)
        try:
            self._connection.execute(statement)
        finally:
            self._connection.set_authorizer(None)

    @property
    def _connection(self) -> sqlite3.Connection:
        """Opened once there is SQL, which most files have none of."""
        if self._opened is None:
            self._opened = sqlite3.connect(":memory:", isolation_level=None)
            self._opened.row_factory = sqlite3.Row
        return self._opened

    def _moved_out(self) -> list[object]:
        """All rows that are there, each only once."""
        kept = self._connection
        tables = kept.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        found: list[object] = []
        for (name,) in tables:
            found += map(dict, kept.execute(f"SELECT * FROM {name}").fetchall())  # noqa: S608 - a name that `_TABLE` allows
            kept.execute(f"DELETE FROM {name}")  # noqa: S608 - the same
        return found


def is_whole(statement: str) -> bool:
    """Whether a statement ends with these lines."""
    # What SQLite cannot be told ends nothing.
    plain = statement.encode("utf-8", "replace").decode().replace("\0", "?")
    return plain.rstrip().endswith(";") and sqlite3.complete_statement(plain)


def _allowed(
    action: int, first: str | None, _second: str | None, _base: str | None, _trigger: str | None
) -> int:
    if action in _OF_SCHEMA and first == _SCHEMA:
        return sqlite3.SQLITE_OK
    if action in _PLAIN and _TABLE.fullmatch(first or ""):
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY
