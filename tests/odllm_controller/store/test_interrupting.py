"""Signals that come while a store is read or written."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from odllm_agent.terminal import ending
from odllm_controller import store
from odllm_controller.store import Store, database
from tests.family import PATIENCE_S

ENDLESS = "SELECT sum(range % 7) FROM range(1000000000000)"
INTERRUPTED = f"""
import os, signal, sys, threading
from pathlib import Path
from odllm_controller import store
from odllm_controller.store import Store

# A shell has what it starts in the background ignore the signal.
signal.signal(signal.SIGINT, signal.default_int_handler)
path = Path(sys.argv[1])
Store.open(path)
threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
try:
    store.read(path, "{ENDLESS}")
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    Store.open(tmp_path / "odllm.duckdb")
    return tmp_path / "odllm.duckdb"


@pytest.fixture(autouse=True)
def _as_in_a_new_process() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def notes(path: Path) -> list[str]:
    return [str(each) for each in store.read(path, "SELECT note FROM kept")["note"]]


def soon(number: signal.Signals) -> threading.Timer:
    timer = threading.Timer(0.2, os.kill, (os.getpid(), number))
    timer.start()
    return timer


@pytest.mark.parametrize("attempt", range(4))
def test_ctrl_c_ends_a_query_each_time(path: Path, attempt: int) -> None:
    command = [sys.executable, "-c", INTERRUPTED, str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert ended.stdout == "interrupted\n", (attempt, ended.stderr)


def test_a_query_that_writes_is_rolled_back(path: Path) -> None:
    with database.writing(path) as connection:
        connection.execute("CREATE TABLE kept (note TEXT)")

    def written() -> None:
        with database.writing(path) as connection:
            connection.execute("INSERT INTO kept VALUES ('half')")
            soon(signal.SIGINT)
            connection.execute(ENDLESS)

    with pytest.raises(KeyboardInterrupt):
        written()
    assert notes(path) == []
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_between_two_queries_what_was_begun_is_finished_first(path: Path) -> None:

    def written() -> None:
        with database.writing(path) as connection:
            connection.execute("CREATE TABLE kept (note TEXT)")
            signal.raise_signal(signal.SIGINT)
            connection.execute("INSERT INTO kept VALUES ('whole')")

    with pytest.raises(KeyboardInterrupt):
        written()
    assert notes(path) == ["whole"]


def test_a_signal_that_is_not_heeded_any_more_interrupts_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "_heeded", [])
    ending.heed_signals()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
    sent = soon(signal.SIGTERM)
    counted = store.read(path, "SELECT max(range % 7) AS n FROM range(300000000)")
    # The handlers of this test must be there still when it comes.
    sent.join()
    assert counted["n"].tolist() == [6]


def test_a_thread_leaves_the_handlers_alone(path: Path) -> None:
    seen: list[object] = []

    def read() -> None:
        with database.writing(path):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]
