"""Files that are no store, and disks that take none: each gets one clear message."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from odllm_agent.errors import StoreError
from odllm_controller.store import Store, database, read
from tests import stores, support

HOLD = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


def say(error: pytest.ExceptionInfo[StoreError], *words: str) -> None:
    """Checks that a message holds all words, and a remedy."""
    for word in words:
        assert word in error.value.message, error.value.message
    assert error.value.remedy
    assert "\n" not in error.value.message


def write_text(path: Path) -> None:
    path.write_text("results\n" * 1000)


def write_nothing(path: Path) -> None:
    path.touch()


def write_sqlite(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE runs (run_id TEXT)")
    connection.close()


@pytest.mark.parametrize("write", [write_text, write_nothing, write_sqlite])
def test_a_file_that_is_not_duckdb(tmp_path: Path, write: Callable[[Path], None]) -> None:
    path = tmp_path / "notes.duckdb"
    write(path)
    content = path.read_bytes()
    with pytest.raises(StoreError) as opening:
        Store.open(path)
    say(opening, str(path), "not a DuckDB file")
    with pytest.raises(StoreError) as reading:
        read(path, "SELECT 1")
    say(reading, str(path), "not a DuckDB file")
    assert path.read_bytes() == content


def test_a_directory(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as opening:
        Store.open(tmp_path)
    say(opening, str(tmp_path), "is a directory")
    with pytest.raises(StoreError) as reading:
        read(tmp_path, "SELECT 1")
    say(reading, "is a directory")


@pytest.mark.parametrize("what", ["pipe", "device"])
def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path, what: str) -> None:
    path = Path("/dev/zero")
    if what == "pipe":
        path = tmp_path / "pipe"
        os.mkfifo(path)
    for attempt in (lambda: read(path, "SELECT 1"), lambda: Store.open(path)):
        with pytest.raises(StoreError) as refused:
            attempt()
        say(refused, str(path), "is no file")


def test_a_folder_whose_name_a_file_has(tmp_path: Path) -> None:
    (tmp_path / "results").touch()
    with pytest.raises(StoreError) as opening:
        Store.open(tmp_path / "results" / "odllm.duckdb")
    say(opening, str(tmp_path / "results"), "cannot be made")


def test_reading_a_missing_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as reading:
        read(tmp_path / "odllm.duckdb", "SELECT 1")
    say(reading, str(tmp_path / "odllm.duckdb"), "no store")
    assert not list(tmp_path.iterdir())


def test_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "odllm.duckdb"
    stores.measured(path, support.round_result())
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(StoreError) as opening:
        Store.open(path)
    say(opening, str(path), "cannot be used")


@pytest.mark.parametrize("share", [0.01, 0.3, 0.9])
def test_a_file_that_was_cut_off_anywhere(tmp_path: Path, share: float) -> None:
    path = tmp_path / "odllm.duckdb"
    stores.measured(path, support.round_result())
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(StoreError) as reading:
        read(path, "FROM results")
    say(reading, str(path), "cannot be used")


def test_a_file_with_bytes_that_nobody_wrote(tmp_path: Path) -> None:
    path = tmp_path / "odllm.duckdb"
    stores.measured(path, support.round_result())
    content = bytearray(path.read_bytes())
    content[12288::512] = bytes(byte ^ 0xFF for byte in content[12288::512])
    path.write_bytes(content)
    for attempt in (lambda: read(path, "FROM results"), lambda: Store.open(path)):
        with pytest.raises(StoreError) as damaged:
            attempt()
        say(damaged, str(path), "cannot be used")


def test_a_duckdb_file_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "sales.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE sales (id INTEGER)")
    with pytest.raises(StoreError) as opening:
        Store.open(path)
    say(opening, str(path), "sales")
    with pytest.raises(StoreError) as reading:
        read(path, "SELECT 1")
    say(reading, str(path), "sales")
    with duckdb.connect(str(path)) as connection:
        tables = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
    assert tables == [("sales",)], "it must be left as it was"


def test_reading_a_store_that_was_never_filled(tmp_path: Path) -> None:
    path = tmp_path / "odllm.duckdb"
    duckdb.connect(str(path)).close()
    with pytest.raises(StoreError) as reading:
        read(path, "SELECT 1")
    say(reading, str(path), "holds nothing")
    Store.open(path)
    assert read(path, "SELECT * FROM results").empty


def test_a_read_only_disk(small_disk: Callable[[int], Path]) -> None:
    disk = small_disk(16_000_000)
    path = disk / "odllm.duckdb"
    store = stores.measured(path, support.round_result())
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with pytest.raises(StoreError) as opening:
        Store.open(path)
    say(opening, str(path), "cannot be written")
    with pytest.raises(StoreError) as making:
        Store.open(disk / "new" / "odllm.duckdb")
    say(making, str(disk / "new"), "cannot be made")
    with pytest.raises(StoreError) as adding:
        store.add_round("run-1", support.round_result(None, 1))
    say(adding, str(path), "cannot be written")
    assert len(read(path, "SELECT * FROM results")) == 1, "reading needs no writing"


def test_a_file_that_may_not_be_written(tmp_path: Path) -> None:
    path = tmp_path / "odllm.duckdb"
    stores.begun(path)
    path.chmod(0o444)
    try:
        path.open("ab").close()
    except PermissionError:
        pass
    else:
        pytest.skip("this user may write every file")
    with pytest.raises(StoreError) as opening:
        Store.open(path)
    say(opening, str(path), "cannot be written")


def test_a_full_disk_loses_nothing_that_was_stored(small_disk: Callable[[int], Path]) -> None:
    disk = small_disk(8_000_000)
    path = disk / "odllm.duckdb"
    store = stores.measured(path, support.round_result(), rounds=500)
    with pytest.raises(StoreError) as adding:
        fill(store, disk)
    say(adding, str(path), "no room")

    (disk / "ballast").unlink()
    stored = read(path, "SELECT round FROM rounds ORDER BY round")["round"].tolist()
    assert stored == list(range(len(stored)))
    assert len(stored) > 1
    Store.open(path).add_round("run-1", support.round_result(None, 499))


def fill(store: Store, disk: Path) -> None:
    """Stores rounds while the room for them is taken away."""
    for index in range(1, 500):
        with contextlib.suppress(OSError), (disk / "ballast").open("ab") as file:
            file.write(b"0" * 1_000_000)
        store.add_round("run-1", support.round_result(None, index))


def test_a_file_that_vanished(tmp_path: Path) -> None:
    store = stores.begun(tmp_path / "odllm.duckdb")
    store.path.unlink()
    with pytest.raises(StoreError) as adding:
        store.add_round("run-1", support.round_result())
    say(adding, str(store.path), "vanished")
    assert not store.path.exists()


def test_a_file_that_another_process_keeps_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "READ_PATIENCE_S", 0.3)
    monkeypatch.setattr(database, "WRITE_PATIENCE_S", 0.3)
    path = tmp_path / "odllm.duckdb"
    store = stores.begun(path)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout
        holder.stdout.readline()
        for attempt in (
            lambda: Store.open(path),
            lambda: store.add_round("run-1", support.round_result()),
            lambda: read(path, "SELECT 1"),
        ):
            with pytest.raises(StoreError) as locked:
                attempt()
            say(locked, str(path), "held by PID", str(holder.pid))
        assert holder.stdin
        holder.stdin.close()
    store.add_round("run-1", support.round_result())


def test_a_mistake_in_a_query_is_not_blamed_on_the_file(tmp_path: Path) -> None:
    store = stores.begun(tmp_path / "odllm.duckdb")
    with pytest.raises(duckdb.BinderException):
        read(store.path, "SELECT speed FROM results")


@pytest.mark.parametrize("left_bytes", [0, 4096, 8192, 12288])
def test_a_store_that_could_not_be_made_can_be_once_there_is_room(
    small_disk: Callable[[int], Path], left_bytes: int
) -> None:
    disk = small_disk(1_000_000)
    filler = disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(disk).free - left_bytes))
    with pytest.raises(StoreError, match="no room"):
        Store.open(disk / "store.duckdb")

    filler.unlink()

    assert Store.open(disk / "store.duckdb").identity()
