"""The file of what a device did without a controller."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from odllm_agent.contract import Failure, ModelRequest, Source
from odllm_agent.errors import DiskFull, UsageError
from odllm_agent.offline.assignment import FORMAT
from odllm_agent.offline.logbook import (
    Closing,
    Damage,
    Entry,
    Logbook,
    Planned,
    RunStatus,
    Unprepared,
    entries,
)
from tests import support

ASKED = "0" * 64
RESULTS: list[Entry] = [
    support.opening(),
    Planned((support.trial(),), 2, 2, 0.02),
    Unprepared(ModelRequest("m", Source.FILE, "/m.gguf"), Failure("ModelMissing", "gone")),
    support.ceilings(read=2e10, Q4_0=None),
    support.baseline(idle_w=2.0),
    support.round_result(),
    support.failed_round(),
    support.quality_result(),
    Closing(support.STARTED, RunStatus.FAILED),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results.jsonl"


def write(path: Path, *found: Entry) -> None:
    with Logbook(path, ASKED) as book:
        for entry in found:
            book.add(entry)


def test_entries_come_back_as_they_were_with_their_lines(path: Path) -> None:
    write(path, *RESULTS)
    assert list(entries(path)) == list(enumerate(RESULTS, start=1))


def test_a_logbook_is_written_on_and_tells_what_was_there(path: Path) -> None:
    write(path, *RESULTS)
    with Logbook(path, ASKED) as book:
        assert book.earlier == RESULTS
        book.add(support.opening())
    assert len(list(entries(path))) == len(RESULTS) + 1


@pytest.mark.parametrize("kept", [1, 11, 200, -1])
def test_a_last_line_that_was_cut_off_is_removed(path: Path, kept: int) -> None:
    write(path, support.opening(), support.round_result())
    content = path.read_bytes()
    start = content.index(b"\n") + 1
    path.write_bytes(content[:start] + content[start:][:kept])
    with Logbook(path, ASKED) as book:
        assert book.earlier == [support.opening()]
        book.add(support.round_result())
    assert path.read_bytes() == content


def test_a_first_line_that_was_cut_off_is_removed(path: Path) -> None:
    write(path, support.opening())
    content = path.read_bytes()
    for kept in (5, 500, len(content) - 1):
        path.write_bytes(content[:kept])
        write(path, support.opening())
        assert path.read_bytes() == content


@pytest.mark.parametrize("content", [b"notes", b"notes\n", b'{"name":1}', b"{}\n", b"\xff\n"])
def test_a_file_of_something_else_is_refused_and_kept(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(UsageError, match="is no file of results"):
        Logbook(path, ASKED)
    assert path.read_bytes() == content


def test_results_of_another_assignment_are_refused_and_kept(path: Path) -> None:
    write(path, *RESULTS)
    content = path.read_bytes()
    with pytest.raises(UsageError, match="another assignment"):
        Logbook(path, "1" * 64)
    assert path.read_bytes() == content


def test_a_file_that_does_not_begin_with_an_opening_is_refused(path: Path) -> None:
    write(path, *RESULTS)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))
    with pytest.raises(UsageError, match="does not begin"):
        Logbook(path, ASKED)


def test_a_damaged_line_is_told_by_its_number_and_the_others_are_kept(path: Path) -> None:
    write(path, *RESULTS)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[5] = lines[5].replace(b'"prefill_s":', b'"prefill_s":NaN,"x":')
    path.write_bytes(b"".join(lines))
    with Logbook(path, ASKED) as book:
        assert book.damaged == [6]
        assert book.earlier == RESULTS[:5] + RESULTS[6:]


def test_a_file_of_another_format_is_refused_with_both(path: Path) -> None:
    write(path, replace(support.opening(), format=7))
    with pytest.raises(UsageError, match=f"is of format 7, and this ODLLM reads {FORMAT}"):
        list(entries(path))


def fill(book: Logbook) -> None:
    for _ in range(1000):
        book.add(support.round_result())


def test_a_full_disk_leaves_only_whole_lines(small_disk: Callable[[int], Path]) -> None:
    path = small_disk(64 * 2**10) / "results.jsonl"
    with Logbook(path, ASKED) as book:
        book.add(support.opening())
        with pytest.raises(DiskFull, match=r"results\.jsonl"):
            fill(book)
    found = dict(entries(path))
    assert len(found) > 2
    assert not [each for each in found.values() if isinstance(each, Damage)]


def test_what_was_written_is_there_after_a_kill(path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from odllm_agent.offline.logbook import Logbook\n"
        "from tests import support\n"
        f"book = Logbook(Path(sys.argv[1]), {ASKED!r})\n"
        "book.add(support.opening())\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert [entry for _, entry in entries(path)] == [support.opening()]
