"""Reading in one process while another writes: neither ever meets a locked file."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
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
EXPLORER = """
import sys
from pathlib import Path
from odllm_controller.analysis.queries import results
from tests import support

path = Path(sys.argv[1])
print("ready", flush=True)
while sys.stdin.read(1):
    rounds = int(results.load(path)["rounds"].iloc[0])
    print(rounds, results.under_way(path, support.STARTED).experiment, flush=True)
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    begun = stores.begun(tmp_path / "odllm.duckdb")
    begun.add_plan("run-1", [support.trial()], ROUNDS)
    return begun


def writer(store: Store) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(store.path)],
        cwd=Path(__file__).parents[3],
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


@contextlib.contextmanager
def explorers(path: Path, count: int) -> Iterator[list["subprocess.Popen[str]"]]:
    """Processes that load all results, as the explorer does, once for each character written."""
    with contextlib.ExitStack() as stack:
        started = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", EXPLORER, str(path)],
                    cwd=Path(__file__).parents[3],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(count)
        ]
        for each in started:
            assert each.stdout
            assert each.stdout.readline() == "ready\n"
        yield started


def look(explorer: "subprocess.Popen[str]") -> int:
    """The rounds that an explorer sees now."""
    assert explorer.stdin
    assert explorer.stdout
    explorer.stdin.write("?")
    explorer.stdin.flush()
    rounds, experiment = explorer.stdout.readline().split()
    assert experiment == "sweep"
    return int(rounds)


def test_explorers_that_load_everything_again_and_again_stop_no_writer(store: Store) -> None:
    with explorers(store.path, 2) as readers, writer(store) as process:
        seen: list[Sequence[int]] = []
        while process.poll() is None:
            seen.append([look(each) for each in readers])
        _, errors = process.communicate()
        assert (process.returncode, errors) == (0, "")
        assert [look(each) for each in readers] == [ROUNDS] * len(readers)
        for each in readers:
            assert each.stdin
            each.stdin.close()
    for of_one in zip(*seen, strict=True):
        assert list(of_one) == sorted(of_one), "an explorer saw a round vanish"
    assert len({each for looks in seen for each in looks}) > 5
