"""A run whose store another program holds, for a while or for good."""

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from odllm_agent.contract import Entry
from odllm_agent.errors import StoreError, StoreHeld
from odllm_controller import store
from odllm_controller.run import work
from odllm_controller.run.dispatch import Dispatch
from odllm_controller.run.record import Recorder, recording
from odllm_controller.run.work import Participants
from odllm_controller.store import Outbox, Store, outbox
from tests import support
from tests.odllm_controller.configs import experiment
from tests.odllm_controller.run.test_work import ASKED, PlanningAgent, agent, statuses
from tests.odllm_controller.world import Display, World

HOLD = """
import sys, time, duckdb
while True:
    try:
        connection = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "reading")
        break
    except duckdb.IOException:
        time.sleep(0.01)
print("held", flush=True)
sys.stdin.read()
"""
DONE = [("laptop", "Q4_0", "done"), ("laptop", "Q8_0", "done")]


_HOLDERS: list["Holder"] = []


class Holder:
    """A program that keeps a store open, such as a notebook."""

    def __init__(self, path: Path, how: str = "writing") -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(path), how],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout
        assert self._process.stdout.readline() == b"held\n"
        self.pid = self._process.pid

        _HOLDERS.append(self)

    def let_go(self) -> None:
        if self._process.returncode is None:
            self._process.communicate()


@contextmanager
def held(path: Path, how: str = "writing") -> Iterator[Holder]:
    holder = Holder(path, how)
    yield holder
    holder.let_go()


@dataclass
class Shown(Display):
    """What was told of the store, each text once as long as it lasts."""

    told: list[str] = field(default_factory=list)

    def store_held(self, told: str) -> None:
        if told != (self.told[-1] if self.told else ""):
            self.told.append(told)


@dataclass
class Watcher:
    """Holds the store from one order on, and lets go at another."""

    path: Path
    laptop: PlanningAgent
    hold_at: int
    let_go_at: int | None = None
    how: str = "writing"
    holder: Holder | None = None

    def __call__(self, _: World) -> None:
        n_measured = len(self.laptop.carried_out)
        if n_measured >= self.hold_at and self.holder is None:
            self.holder = Holder(self.path, self.how)
        if self.let_go_at is not None and n_measured >= self.let_go_at and self.holder:
            self.holder.let_go()
            self.let_go_at = None

    def end(self) -> None:
        if self.holder:
            self.holder.let_go()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "odllm.duckdb"


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "_PATIENCE_S", 0.05)
    monkeypatch.setattr(store.database, "READ_PATIENCE_S", 0.05)
    monkeypatch.setattr(work, "_STORE_LOOKS", 3)
    monkeypatch.setattr(work, "_STORE_LOOK_S", 0.0)


@pytest.fixture(autouse=True)
def _all_let_go() -> Iterator[None]:
    yield
    while _HOLDERS:
        _HOLDERS.pop().let_go()


def run(path: Path, world: World, display: Shown | None = None) -> Shown:
    """Runs an experiment over agents, as the command does."""
    opened, wanted, display = Store.open(path), experiment(*ASKED), display or Shown()
    with recording(opened, wanted) as recorder:
        participants = Participants(wanted, opened, recorder, display)
        Dispatch(world, participants.work, recorder, display, 600.0).run()
        participants.check()
    return display


@pytest.mark.parametrize("how", ["writing", "reading"])
def test_a_run_waits_for_a_store_that_is_held_from_the_start(
    path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(store.database, "WRITE_PATIENCE_S", 0.05)
    Store.open(path)
    told: list[str] = []
    with held(path, how) as holder:
        timer = threading.Timer(3.0, holder.let_go)
        timer.start()
        with (
            store.controlling(path, told.append) as opened,
            recording(opened, experiment(*ASKED)) as recorder,
        ):
            assert recorder.store_id == opened.identity()
        timer.join()
    (line,) = told
    assert re.search("held by .*; it is waited for, a minute at most", line)


@pytest.mark.parametrize("how", ["writing", "reading"])
@pytest.mark.parametrize(("hold_at", "let_go_at"), [(1, 2), (1, 3), (1, 4), (3, 4)])
def test_a_run_measures_on_while_its_store_is_held_and_stores_once_it_is_free(
    path: Path, hold_at: int, let_go_at: int, how: str
) -> None:
    laptop = agent()
    watcher = Watcher(path, laptop, hold_at, let_go_at, how)
    display = run(path, World([laptop], on_wait=watcher))
    assert statuses(path) == DONE
    assert len(store.read(path, "SELECT * FROM rounds")) == len(laptop.carried_out) == 4
    (ended,) = store.read(path, "SELECT status FROM runs")["status"]
    assert ended == "done"
    assert laptop.journal == {}
    assert watcher.holder
    assert all(f"held by PID {watcher.holder.pid} (python" in each for each in display.told[:-1])
    assert display.told[-1:] in ([""], [])


def test_the_board_tells_who_holds_the_store_and_how_many_results_wait(path: Path) -> None:
    laptop = agent()
    watcher = Watcher(path, laptop, hold_at=1, let_go_at=4)
    display = run(path, World([laptop], on_wait=watcher))
    assert watcher.holder
    waiting = [each.rpartition("; ")[2] for each in display.told]
    assert waiting == ["1 result waits", "2 results wait", "3 results wait", ""]


def test_a_store_that_never_comes_free_is_told_and_the_devices_keep_what_they_measured(
    path: Path,
) -> None:
    laptop = agent()
    watcher = Watcher(path, laptop, hold_at=1)
    with pytest.raises(StoreHeld) as told:
        run(path, World([laptop], on_wait=watcher))
    assert watcher.holder
    assert f"held by PID {watcher.holder.pid}" in told.value.message
    assert "3 results are not stored" in told.value.message
    assert "same command again" in told.value.remedy
    assert len(laptop.carried_out) == 4
    watcher.end()
    again = agent(journal=laptop.journal, n_entries=laptop.n_entries)
    run(path, World([again]))
    assert again.carried_out == []
    assert again.journal == {}
    assert statuses(path) == DONE


@pytest.mark.parametrize("kill_at", [1, 2, 3])
def test_nothing_is_lost_if_the_run_is_killed_while_its_store_is_held(
    path: Path, kill_at: int
) -> None:
    laptop = agent()
    watcher = Watcher(path, laptop, hold_at=1)

    def killed(world: World) -> None:
        watcher(world)
        if len(laptop.carried_out) > kill_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(path, World([laptop], on_wait=killed))
    watcher.end()
    n_measured = len(laptop.carried_out)
    assert len(laptop.journal) >= n_measured - 1
    again = agent(journal=laptop.journal, n_entries=laptop.n_entries)
    run(path, World([again]))
    assert len(again.carried_out) == 4 - n_measured
    assert again.journal == {}
    assert len(store.read(path, "SELECT * FROM rounds")) == 4
    assert statuses(path) == DONE


def test_a_device_that_comes_while_the_store_is_held_is_planned_once_it_is_free(
    path: Path,
) -> None:
    laptop, display = agent(), Shown()
    watcher = Watcher(path, laptop, hold_at=0)

    def let_go_once_it_waits(world: World) -> None:
        watcher(world)
        if any("held by PID" in status.reason for status in display.statuses):
            watcher.end()

    run(path, World([laptop], on_wait=let_go_once_it_waits), display)
    assert statuses(path) == DONE
    assert len(laptop.carried_out) == 4
    assert laptop.journal == {}
    assert display.told[-1] == ""


def test_a_plan_that_cannot_be_made_ends_the_run_in_words(path: Path) -> None:
    laptop = agent()
    watcher = Watcher(path, laptop, hold_at=0)
    with pytest.raises(StoreHeld) as told:
        run(path, World([laptop], on_wait=watcher))
    watcher.end()
    assert "what became of it is not stored" in told.value.message
    assert laptop.carried_out == []
    again = agent()
    run(path, World([again]))
    assert statuses(path) == DONE


def test_a_store_that_is_held_only_at_the_very_end_is_waited_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder: list[Holder] = []

    def let_go(_: float) -> None:
        holder[0].let_go()

    monkeypatch.setattr(outbox, "time", SimpleNamespace(sleep=let_go))
    with recording(Store.open(path), experiment()):
        holder.append(Holder(path))
    assert store.read(path, "SELECT status FROM runs")["status"].tolist() == ["done"]


def test_what_waits_is_stored_in_the_order_in_which_it_came(path: Path) -> None:
    done: list[int] = []

    def write(number: int, into: Store) -> None:
        into.catch_up()
        done.append(number)

    waiting = Outbox(Store.open(path))
    with held(path):
        for number in range(3):
            assert not waiting.put(partial(write, number))
    assert done == []
    assert waiting.look_again()
    assert done == [0, 1, 2]
    assert waiting.told == ""


def test_what_is_wrong_for_another_reason_ends_the_run_as_before(path: Path) -> None:
    waiting = Outbox(Store.open(path))
    path.unlink()
    with pytest.raises(StoreError, match="vanished"):
        waiting.put(Store.catch_up)


def test_an_entry_counts_as_stored_only_once_it_is(path: Path) -> None:
    recorder = Recorder(Store.open(path), experiment(*ASKED))
    laptop = support.device()
    kept = Entry.of("e-1", support.round_result(), None)
    with held(path):
        recorder.entry(laptop, kept)
        assert not recorder.has_stored((laptop.id, "e-1"))
        recorder.flush()
        assert not recorder.has_stored((laptop.id, "e-1"))
        assert recorder.has_stored(("another", "e-1"))
    recorder.look_again()
    assert recorder.has_stored((laptop.id, "e-1"))


def test_who_waits_for_a_notebook_ends_without_waiting_long_when_interrupted(path: Path) -> None:
    run_: Any = recording(Store.open(path), experiment())
    run_.__enter__()
    with held(path):
        assert not run_.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
