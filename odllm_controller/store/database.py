"""The file: opening it for reading or writing, waiting for others, and saying what is wrong.

DuckDB lets one process write or many read. So nobody keeps the file open: a writer opens it for
one transaction, a reader for one query, and whoever finds it taken tries again for a while.
"""

import os
import random
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa

from odllm_agent.clock import monotonic_ns, seconds_since
from odllm_agent.errors import StoreError, StoreHeld, ValueRefused
from odllm_controller.overrides import line
from odllm_controller.store import schema
from odllm_controller.store.interrupting import interruptible

READ_PATIENCE_S = 5.0
WRITE_PATIENCE_S = 10.0

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    # Or else DuckDB answers a SQLite file by downloading an extension for it.
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    # Every short transaction leaves blocks half full: small blocks make the file 8 times smaller.
    "default_block_size": "16384",
}
# Whoever waits for the file looks at random moments, at most so far apart; whoever had it leaves it
# alone for as long, so that nobody takes it again and again while others wait.
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.001, 0.003
_MAGIC = slice(8, 12)
_BROKEN = (duckdb.OperationalError, duckdb.InternalError, duckdb.FatalException)
_REFUSED = (duckdb.DataError, duckdb.IntegrityError, duckdb.InvalidInputException)


def read(
    path: Path,
    sql: str,
    parameters: Sequence[object] | Mapping[str, object] = (),
    patience_s: float | None = None,
) -> pd.DataFrame:
    """The answer to a query, also while another process writes.

    Args:
        path: The store.
        sql: One query, with `?` or `$name` where a parameter goes.
        parameters: The values for them.
        patience_s: How long to wait for a writer that has it open; some seconds unless told.

    Returns:
        A row per row of the answer.

    Raises:
        StoreError: There is no such file, or it is no store of this version.
        StoreHeld: A writer kept it open for seconds.
    """
    with _reading(path, patience_s) as connection:
        return connection.execute(sql, parameters or None).df()


def read_table(path: Path, sql: str, parameters: Mapping[str, object]) -> pa.Table:
    """The answer to a query with the store's own types, which data frames do not all have.

    Args:
        path: The store.
        sql: One query, with `$name` where a parameter goes.
        parameters: The values for them.

    Raises:
        StoreError: See `read`.
    """
    with _reading(path) as connection:
        return connection.sql(sql, params=parameters).to_arrow_table()


@contextmanager
def writing(path: Path, patience_s: float | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection inside one transaction, committed at the end and rolled back on an error.

    Args:
        path: The store.
        patience_s: How long to wait for another process that has it open; some seconds unless told.

    Raises:
        StoreError: The file cannot be written.
        StoreHeld: Another process kept it open for as long.
        ValueRefused: Something in the transaction is no value of its column.
    """
    patience_s = WRITE_PATIENCE_S if patience_s is None else patience_s
    with _opened(path, patience_s, read_only=False) as connection:
        connection.begin()
        try:
            yield connection
        except _REFUSED as error:
            connection.rollback()
            raise ValueRefused(
                f"the store cannot hold a value: {_reason(str(error))}",
                "Look at what was to be stored.",
            ) from error
        except BaseException:
            connection.rollback()
            raise
        connection.commit()


def check_file(path: Path) -> None:
    """Checks that a path leads to a DuckDB file, without opening it as one.

    Raises:
        StoreError: It does not.
    """
    if path.is_dir():
        raise StoreError(
            f"the store {path} is a directory",
            f"Name a file in it, such as {line.typed('store.path', str(path / 'odllm.duckdb'))}.",
        )
    if not path.exists():
        raise StoreError(
            f"there is no store at {path}",
            "Run an experiment first, such as `odllm run +experiment=sweep`, or name another file.",
        )
    if not path.is_file():
        # Opening a pipe waits for whoever writes into it.
        raise StoreError(
            f"the store {path} is no file", "Name a file, or one that is not there yet."
        )
    try:
        with path.open("rb") as file:
            start = file.read(_MAGIC.stop)
    except OSError as error:
        raise StoreError(
            f"the store {path} cannot be read: {error.strerror}",
            "Allow this user to read it, or name another file.",
        ) from error
    if start[_MAGIC] != b"DUCK":
        raise StoreError(
            f"{path} is not a DuckDB file",
            "Name another file with --store or store.path, or move this one away.",
        )


@contextmanager
def _reading(path: Path, patience_s: float | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    check_file(path)
    patience_s = READ_PATIENCE_S if patience_s is None else patience_s
    with _opened(path, patience_s, read_only=True) as connection:
        schema.check_current(connection, path)
        yield connection


@contextmanager
def _opened(
    path: Path, patience_s: float, *, read_only: bool
) -> Iterator[duckdb.DuckDBPyConnection]:
    try:
        with _ENGINE.attached(path, patience_s, read_only=read_only) as connection:
            yield connection
    except duckdb.Error as error:
        # Where a block of the file is not what was written, DuckDB has no kind of error for it.
        if isinstance(error, _BROKEN) or "Corrupt database file" in str(error):
            raise _explained(path, error) from error
        raise


class _Engine:
    """The one DuckDB of this process, to which a store is attached for a transaction or a query.

    Starting a DuckDB takes several times as long as attaching a file to one that runs. Threads take
    turns, since a file can be attached only once, and its lock keeps only other processes away.
    """

    def __init__(self) -> None:
        self._turn = threading.RLock()
        self._running: tuple[int, duckdb.DuckDBPyConnection] | None = None
        self._let_go_ns = 0

    @contextmanager
    def attached(
        self, path: Path, patience_s: float, *, read_only: bool
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection whose tables are those of a file."""
        with self._turn:
            connection = self._own().cursor()
            time.sleep(max(0.0, _LONGEST_PAUSE_S - seconds_since(self._let_go_ns)))
            try:
                _attach(connection, path, patience_s, read_only=read_only)
                with interruptible(connection):
                    yield connection
                    connection.execute(_DETACH)
            except BaseException:
                # What it held is let go with it, even after an error that leaves it unusable.
                self._stop()
                raise
            finally:
                connection.close()
                self._let_go_ns = monotonic_ns()

    def _own(self) -> duckdb.DuckDBPyConnection:
        """The running one; a process that was forked has none of its own yet."""
        if self._running is None or self._running[0] != os.getpid():
            self._running = os.getpid(), duckdb.connect(config=_CONFIG)
        return self._running[1]

    def _stop(self) -> None:
        if self._running:
            self._running[1].close()
            self._running = None


_ENGINE = _Engine()
_DETACH = "USE memory; DETACH store"
# What DuckDB says of it on Linux and macOS, and what Windows does.
_TAKEN = ("Could not set lock", "being used by another process")


def _attach(
    connection: duckdb.DuckDBPyConnection, path: Path, patience_s: float, *, read_only: bool
) -> None:
    literal = str(path.absolute()).replace("'", "''")
    mode = "READ_ONLY" if read_only else "READ_WRITE"
    statement = f"ATTACH '{literal}' AS store (TYPE duckdb, {mode}); USE store"
    start = monotonic_ns()
    while True:
        try:
            with interruptible(connection):
                connection.execute(statement)
            return
        except duckdb.IOException as error:
            if not _is_taken(error) or seconds_since(start) > patience_s:
                raise
        time.sleep(random.uniform(_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S))  # noqa: S311 - not a secret


def _is_taken(error: duckdb.Error) -> bool:
    """Whether another process holds the file."""
    return any(told in str(error) for told in _TAKEN)


def _explained(path: Path, error: duckdb.Error) -> StoreError:
    text = str(error)
    if _is_taken(error):
        holder = _holder(text)
        return StoreHeld(
            f"the store {path} is held by {holder}",
            "Wait for it or end it, then run the same command again.",
            holder,
        )
    if "No space left" in text:
        return StoreError(
            f"no room on the disk of the store {path}",
            "Make room, then run the same command again: it goes on from what is stored.",
        )
    if "Read-only file system" in text or "Permission denied" in text or "not permitted" in text:
        return StoreError(
            f"the store {path} cannot be written: {_reason(text)}",
            "Allow this user to write the file and its folder, or name another with --store or "
            "store.path.",
        )
    if "version number" in text:
        return StoreError(
            f"the store {path} was written by a newer DuckDB than {duckdb.__version__}",
            "Upgrade with `pip install --upgrade duckdb`.",
        )
    return StoreError(
        f"the store {path} cannot be used: {_reason(text)}",
        "Check the disk; if the file is damaged, put back a copy of it or name another.",
    )


def _holder(text: str) -> str:
    """The other process: its id and the program, without the folders that this lies in."""
    found = re.search(r"(?:held in|open in) (.+?) \(PID (\d+)\)", text, re.DOTALL)
    if not found:
        return "another process"
    program = re.split(r"[/\\]", found[1].strip())[-1]
    return f"PID {found[2]} ({program})"


def _reason(text: str) -> str:
    return text.splitlines()[0].rpartition(": ")[2]
