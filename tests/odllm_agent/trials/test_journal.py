"""What an agent keeps on its device's disk."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odllm_agent.contract import (
    CeilingsOrder,
    Entry,
    Event,
    EventKind,
    Measurement,
    RepeatPolicy,
    Rest,
    Tag,
    from_json,
    to_json,
)
from odllm_agent.errors import UsageError
from odllm_agent.trials.journal import Journal
from tests import support

TAG = Tag("store-1", "run-1")
EVENT = Event(support.STARTED, EventKind.MODEL_ADDED, "id-of-laptop", "reference-1.6M Q4_0")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def journal(folder: Path) -> Journal:
    return Journal(folder)


def test_a_journal_whose_folder_cannot_be_read_says_so_and_what_to_do(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "glob", refuse)
    told = r"journal cannot be used: Permission denied; set ODLLM_STATE_DIR"
    with pytest.raises(UsageError, match=told):
        journal.collect(TAG.store_id)


@pytest.mark.parametrize("home", ["nothing", "a file"])
def test_a_journal_that_cannot_be_there_holds_nothing(tmp_path: Path, home: str) -> None:
    (tmp_path / "a file").touch()
    journal = Journal(tmp_path / home / "journal")
    assert journal.collect(TAG.store_id).entries == ()
    journal.remove([f"{support.STARTED:%Y%m%dT%H%M%S%f}-12345678"])


CONTENTS = [
    support.round_result(),
    support.failed_round(),
    support.quality_result(),
    support.baseline(idle_w=2.0),
    support.ceilings(read=1e9),
    EVENT,
]


@pytest.mark.parametrize("content", CONTENTS, ids=lambda each: type(each).__name__)
def test_what_is_kept_comes_back_as_it_was(journal: Journal, content: object) -> None:
    kept = journal.add(content, TAG)  # type: ignore[arg-type]
    assert kept.unkept == ""
    assert journal.collect(TAG.store_id).entries == (kept,)
    assert from_json(Entry, to_json(kept)) == kept
    assert (kept.result or kept.event) == content


def test_another_store_gets_nothing_of_it_but_the_events(journal: Journal) -> None:
    mine = journal.add(support.round_result(), TAG)
    event = journal.add(EVENT)
    assert journal.collect("store-2").entries == (event,)
    assert journal.collect(TAG.store_id).entries == (mine, event)


def test_only_what_is_stored_is_forgotten(journal: Journal) -> None:
    first, second = (journal.add(support.round_result(), TAG) for _ in range(2))
    journal.remove([first.id, "20260101T000000000000-00000000"])
    assert journal.collect(TAG.store_id).entries == (second,)


@given(st.text())
def test_no_id_leads_out_of_the_journal(tmp_path_factory: pytest.TempPathFactory, id_: str) -> None:
    folder = tmp_path_factory.mktemp("j")
    beside = folder / "beside.entry"
    beside.touch()
    Journal(folder / "journal").remove([id_, "../beside", str(folder / "beside")])
    assert beside.exists()


def test_it_comes_in_parts_in_the_order_in_which_it_was_kept(journal: Journal) -> None:
    kept = [journal.add(EVENT) for _ in range(5)]
    found: list[Entry] = []
    more = True
    while more:
        part = journal.collect("", after=found[-1].id if found else "", at_most=2)
        assert len(part.entries) <= 2
        found += part.entries
        more = part.more
    assert found == kept


@settings(max_examples=60)
@given(st.data())
def test_an_entry_that_was_damaged_anywhere_is_set_aside_told_once_and_costs_no_other(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("j")
    journal = Journal(folder)
    hurt, whole = journal.add(EVENT), journal.add(EVENT)
    path = folder / f"{hurt.id}.entry"
    raw = bytearray(path.read_bytes())
    cut = data.draw(st.integers(0, len(raw) - 2))
    if data.draw(st.booleans()):
        raw = raw[:cut]
    else:
        raw[cut] ^= data.draw(st.integers(1, 255))
    path.write_bytes(raw)
    found = journal.collect("")
    assert found.entries == (whole,)
    assert len(found.damaged) == 1
    assert hurt.id in found.damaged[0]
    assert (folder / f"{hurt.id}.damaged").read_bytes() == raw
    assert journal.collect("").damaged == ()


def test_a_write_that_was_cut_off_leaves_nothing_that_counts(
    journal: Journal, folder: Path
) -> None:
    folder.mkdir()
    (folder / "20260101T000000000000-00000000.part").write_bytes(b"half")
    assert journal.collect("") == type(journal.collect(""))()
    assert len(journal) == 0


def test_a_full_disk_is_told_and_the_result_is_there_all_the_same(
    small_disk: Callable[[int], Path],
) -> None:
    disk = small_disk(64 * 1024)
    journal = Journal(disk / "journal")
    kept: list[Entry] = []
    while not (entry := journal.add(support.round_result(), TAG)).unkept:
        kept.append(entry)
        assert len(kept) < 100
    assert "no room" in entry.unkept
    assert str(disk) in entry.unkept
    assert entry.measured == support.round_result()
    assert journal.collect(TAG.store_id).entries == tuple(kept)
    assert not list(disk.rglob("*.part"))


def test_a_disk_that_may_not_be_written_is_told(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: int) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "fsync", refuse)
    entry = journal.add(EVENT)
    assert "Read-only" in entry.unkept
    assert len(journal) == 0


def test_an_entry_is_on_the_disk_before_it_is_returned(
    journal: Journal, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[str] = []

    def note(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        flushed.append("folder" if is_folder else "file")
        assert bool(list(folder.glob("*.entry"))) == is_folder

    monkeypatch.setattr(os, "fsync", note)
    journal.add(EVENT)
    assert flushed == ["file", "folder"]


def test_an_entry_answers_its_order_and_no_other() -> None:
    trial = support.trial()
    order = Measurement(trial, 1, RepeatPolicy())
    entry = Entry.of("e", support.round_result(trial, 1), TAG)
    assert entry.answers(order)
    assert not entry.answers(Measurement(trial, 0, RepeatPolicy()))
    assert not entry.answers(Measurement(support.trial(threads=4), 1, RepeatPolicy()))
    assert not entry.answers(support.quality_check())
    assert not entry.answers(CeilingsOrder("id-of-laptop", support.engine(), ("read",)))
    assert Entry.of("e", support.baseline(1), TAG).answers(Rest("id-of-laptop", 1, (), 5.0))
    assert Entry.of("e", support.quality_result(), TAG).answers(support.quality_check())
    found = support.ceilings(read=1e9)
    assert Entry.of("e", found, TAG).answers(found.order)
