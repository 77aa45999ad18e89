"""What is known of models on a shelf: their forms, who holds them, when they were read."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from odllm_agent.cache import Cache
from odllm_agent.cache.cache import CachedFile, Conversion, Derivation
from odllm_agent.contract import Quantization
from odllm_agent.errors import DiskFull
from odllm_agent.files import checksum

SIZE = 1000
LONG_AGO_S = 10_000


def convert(cache: Cache, letter: str) -> CachedFile:
    """Makes a folder of two files of that letter."""

    def make(target: Path) -> None:
        target.mkdir()
        for name in ("openvino_model.xml", "openvino_model.bin"):
            (target / name).write_text(letter * (SIZE // 2))

    return cache.derived(Conversion(letter * 64, "1.0"), make, SIZE)


def derive(cache: Cache, letter: str) -> CachedFile:
    derivation = Derivation(letter * 64, Quantization("Q4_0"), "1")
    return cache.derived(derivation, lambda path: _write(path, letter), SIZE)


def _write(path: Path, letter: str) -> None:
    path.write_text(letter * SIZE)


def files_of(made: CachedFile) -> list[Path]:
    return sorted(made.path.iterdir()) if made.path.is_dir() else [made.path]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The files that are read through, by a process that has read none before."""
    found: list[str] = []
    digest = hashlib.file_digest

    def noted(file: Any, name: str) -> object:
        found.append(Path(file.name).name)
        return digest(file, name)

    monkeypatch.setattr(hashlib, "file_digest", noted)
    monkeypatch.setattr(checksum, "_known", {})
    # What was written just now could be changed again within a tick of the clock.
    monkeypatch.setattr(checksum, "_SETTLED_AFTER_S", -1.0)
    yield found
    assert found


def as_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checksum, "_known", {})


@pytest.mark.parametrize("make", [derive, convert])
def test_what_one_process_has_read_no_other_reads_again(
    tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch, make: object
) -> None:
    first = make(Cache(tmp_path), "a")  # type: ignore[operator]
    make(Cache(tmp_path), "a")  # type: ignore[operator]
    as_another_process(monkeypatch)
    reads_before = len(reads)
    assert make(Cache(tmp_path), "a") == first  # type: ignore[operator]
    assert len(reads) == reads_before


@pytest.mark.parametrize("make", [derive, convert])
def test_what_was_changed_is_read_again_whoever_has_read_it(
    tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch, make: object
) -> None:
    made = make(Cache(tmp_path), "a")  # type: ignore[operator]
    make(Cache(tmp_path), "a")  # type: ignore[operator]
    as_another_process(monkeypatch)
    path = files_of(made)[0]
    path.write_text("b" * path.stat().st_size)
    assert not Cache(tmp_path).shelf.is_right(made.sha256)
    assert path.name in reads


@pytest.mark.parametrize("make", [derive, convert])
def test_a_day_later_or_when_told_to_all_is_read_again(
    tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch, make: object
) -> None:
    made = make(Cache(tmp_path), "a")  # type: ignore[operator]
    shelf = Cache(tmp_path).shelf
    assert shelf.is_right(made.sha256)
    names = [path.name for path in files_of(made)]
    as_another_process(monkeypatch)
    reads.clear()
    assert shelf.is_right(made.sha256, anew=True)
    assert reads == names
    as_another_process(monkeypatch)
    (note,) = (tmp_path / "read").iterdir()
    content = json.loads(note.read_bytes())
    note.write_text(json.dumps(content | {"read_at": content["read_at"] - 24 * 3600 - 1}))
    assert shelf.is_right(made.sha256)
    assert reads == names * 2


@pytest.mark.parametrize("note", ["", "[]", "{}", '{"read_at": 9e99, "files": [1]}', "null"])
def test_a_note_that_is_none_is_read_over(
    tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch, note: str
) -> None:
    made = convert(Cache(tmp_path), "a")
    assert Cache(tmp_path).shelf.is_right(made.sha256)
    as_another_process(monkeypatch)
    (path,) = (tmp_path / "read").iterdir()
    path.write_text(note)
    assert Cache(tmp_path).shelf.is_right(made.sha256)


@pytest.mark.parametrize("damage", ["changed", "more", "less"])
def test_a_folder_that_differs_is_made_again(tmp_path: Path, damage: str) -> None:
    cache = Cache(tmp_path)
    made = convert(cache, "a")
    path = made.path / "openvino_model.bin"
    if damage == "changed":
        path.write_text("b" * (SIZE // 2))
    elif damage == "more":
        (made.path / "more.bin").write_text("more")
    else:
        path.unlink()
    assert not cache.shelf.is_right(made.sha256)
    assert convert(cache, "a") == made
    assert path.read_text() == "a" * (SIZE // 2)
    assert len(files_of(made)) == 2


def test_folders_and_files_make_room_for_each_other(tmp_path: Path) -> None:
    made = {"a": derive(Cache(tmp_path), "a"), "b": convert(Cache(tmp_path), "b")}
    for age, letter in enumerate("ba"):
        os.utime(tmp_path / "used" / made[letter].sha256, (LONG_AGO_S + age, LONG_AGO_S + age))
    derive(Cache(tmp_path, limit_bytes=2 * SIZE), "c")
    assert made["a"].path.exists()
    assert not made["b"].path.exists()
    convert(Cache(tmp_path, limit_bytes=2 * SIZE), "d")
    assert not made["a"].path.exists()
    entries = Cache(tmp_path).entries()
    assert [entry.file_bytes for entry in entries] == [SIZE, SIZE]
    assert set(Cache(tmp_path).shelf.made_from()) == {entry.key for entry in entries}


def test_an_unfinished_folder_makes_room(tmp_path: Path) -> None:
    limited = Cache(tmp_path, limit_bytes=SIZE)
    limited.shelf.open()
    left = limited.shelf.unfinished / "left.part"
    left.mkdir()
    (left / "openvino_model.bin").write_bytes(bytes(SIZE))
    derive(limited, "a")
    assert not left.exists()


HOLDER = """
import sys
from pathlib import Path
from odllm_agent.cache import Cache
cache = Cache(Path(sys.argv[1]))
cache.hold(sys.argv[2])
print("held", flush=True)
sys.stdin.read()
"""


def test_what_another_process_was_given_stays_until_that_is_gone(tmp_path: Path) -> None:
    made = convert(Cache(tmp_path), "a")
    (entry,) = Cache(tmp_path).entries()
    command = [sys.executable, "-c", HOLDER, str(tmp_path), made.sha256]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline().strip() == b"held"
        with pytest.raises(DiskFull, match="may hold"):
            derive(Cache(tmp_path, limit_bytes=SIZE), "b")
        assert not Cache(tmp_path).remove(entry)
        other.kill()
        other.wait()
    derive(Cache(tmp_path, limit_bytes=SIZE), "b")
    assert not made.path.exists()
    with Cache(tmp_path).shelf.room():
        assert Cache(tmp_path).shelf.held() == set()
    assert list((tmp_path / "held").iterdir()) == []
