"""Reading in one process while another writes: neither ever meets a locked file."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from odllm_controller.store import Store, read
from tests import stores, support

ROUNDS = 40
WRITER = f"""
import sys
from pathlib import Path
from odllm_controller.store import Store
from tests import support

store = Store(Path(sys.argv[1]))
for index in range({ROUNDS}):
    store.add_round("run-1", support.round_result(None, index))
print("stored", flush=True)
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    begun = stores.begun(tmp_path / "odllm.duckdb")
    begun.add_plan("run-1", [support.trial()], ROUNDS)
    return begun


def writer(store: Store) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(store.path)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def n_rounds(store: Store) -> int:
    return int(read(store.path, "SELECT rounds FROM results")["rounds"][0])


def test_readers_and_a_writer_never_meet_a_lock(store: Store) -> None:
    seen = []
    with writer(store) as process:
        while process.poll() is None:
            seen.append(n_rounds(store))
        _, errors = process.communicate()
    assert (process.returncode, errors) == (0, "")
    assert seen == sorted(seen), "a reader saw a round vanish"
    assert len(set(seen)) > 5, f"the reader saw too little of the writing: {seen}"
    assert n_rounds(store) == ROUNDS


def test_a_writer_killed_at_any_moment_leaves_whole_rounds(store: Store) -> None:
    with writer(store) as process:
        while n_rounds(store) < 3:
            assert process.poll() is None
        os.kill(process.pid, signal.SIGKILL)
    left = n_rounds(store)
    assert 3 <= left < ROUNDS
    repeats = read(store.path, "SELECT count(*) AS n FROM repeats")["n"][0]
    tokens = read(store.path, "SELECT count(*) AS n FROM token_times")["n"][0]
    assert (repeats, tokens) == (4 * left, 4 * 64 * left)

    again = Store.open(store.path)
    for index in range(ROUNDS):
        again.add_round("run-1", support.round_result(None, index))
    assert n_rounds(store) == ROUNDS
    assert len(read(store.path, "SELECT * FROM rounds")) == ROUNDS
