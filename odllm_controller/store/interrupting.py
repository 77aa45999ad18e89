"""Signals that come while DuckDB works.

Between its tasks DuckDB has Python handle them, and gives a query up at what a handler raises; now
and then it then waits for ever for a task that nobody does (version 2.0.0: 5 of 25 times). A query
that is interrupted by DuckDB's own way ends each time.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import duckdb

from odllm_agent.terminal import ending


@contextmanager
def interruptible(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Has a signal that asks this process to end interrupt a connection's query.

    Its handler is called once the context is left, whether or not there was a query to interrupt.
    Python calls handlers in the main thread only, and elsewhere there is nothing to do.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[tuple[int, FrameType | None]] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        came.append((number, frame))
        connection.interrupt()

    handlers = ending.handlers()
    for number in handlers:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for came_number, frame in came:
            handlers[signal.Signals(came_number)](came_number, frame)
