import hashlib
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from odllm_agent.cache.cache import Cache, CachedFile, Derivation
from odllm_agent.contract import Quantization
from odllm_agent.errors import DiskFull, EngineError, UsageError
from odllm_agent.files.checksum import sha256_of

DERIVATION = Derivation("a" * 64, Quantization("Q4_0"), "1.0+abc")
CONTENT = b"the weights" * 1000


class Maker:
    """Writes the content and counts how often it was asked to."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, target: Path) -> None:
        self.calls += 1
        target.write_bytes(CONTENT)


def take(cache: Cache, make: Callable[[Path], None]) -> CachedFile:
    return cache.derived(DERIVATION, make, at_least_bytes=len(CONTENT))


def leftovers(root: Path) -> list[Path]:
    return list(root.rglob("*.part"))


def test_a_file_is_named_by_its_content_and_made_once(cache: Cache) -> None:
    make = Maker()
    first, second = take(cache, make), take(cache, make)
    assert first == second
    assert first.path.name == hashlib.sha256(CONTENT).hexdigest() + ".gguf"
    assert first.path.read_bytes() == CONTENT
    assert make.calls == 1
    assert not leftovers(cache.root)


@pytest.mark.parametrize(
    "other",
    [
        Derivation("b" * 64, Quantization("Q4_0"), "1.0+abc"),
        Derivation("a" * 64, Quantization("Q8_0"), "1.0+abc"),
        Derivation("a" * 64, Quantization("Q4_0"), "1.1+abc"),
    ],
)
def test_another_derivation_is_made_anew(cache: Cache, other: Derivation) -> None:
    make = Maker()
    take(cache, make)
    cache.derived(other, make, 1)
    assert make.calls == 2


def test_equal_content_lies_there_once(cache: Cache) -> None:
    take(cache, Maker())
    cache.derived(Derivation("b" * 64, Quantization("Q4_0"), "1"), Maker(), 1)
    assert len(list(cache.root.rglob("*.gguf"))) == 1


@pytest.mark.parametrize("wrong", [b"", CONTENT[:-1], b"X" + CONTENT[1:]])
def test_a_file_of_wrong_content_is_removed_and_made_again(cache: Cache, wrong: bytes) -> None:
    make = Maker()
    path = take(cache, make).path
    path.write_bytes(wrong)
    assert take(cache, make).path.read_bytes() == CONTENT
    assert make.calls == 2
    path.write_bytes(wrong)
    assert cache.file(path.stem) is None
    assert not path.exists()


@pytest.mark.parametrize("index", ["", "{", "[]", "{}", '{"sha256": "../../../etc/passwd"}'])
def test_a_broken_index_is_made_again(cache: Cache, index: str) -> None:
    make = Maker()
    take(cache, make)
    (told,) = (cache.root / "derived").iterdir()
    told.write_text(index)
    assert take(cache, make).path.read_bytes() == CONTENT
    assert make.calls == 2


def test_a_failed_make_leaves_nothing(cache: Cache) -> None:
    def fail(target: Path) -> None:
        target.write_bytes(b"half")
        raise EngineError("no", "")

    with pytest.raises(EngineError):
        take(cache, fail)
    assert not leftovers(cache.root)
    assert take(cache, Maker()).path.exists()


def test_what_a_killed_process_left_is_not_written_into(cache: Cache) -> None:
    take(cache, Maker())
    (made,) = (cache.root / "files").iterdir()
    made.unlink()
    left = cache.root / "unfinished" / f"{DERIVATION.key}.part"
    left.write_bytes(b"left")
    with left.open("rb") as still_open:
        take(cache, Maker())
        assert still_open.read() == b"left"
    assert not leftovers(cache.root)


def test_a_disk_that_is_too_small_is_told_before_making(
    small_disk: Callable[[int], Path],
) -> None:
    make = Maker()
    cache = Cache(small_disk(64 * 1024))
    with pytest.raises(DiskFull, match="are needed") as caught:
        cache.derived(DERIVATION, make, 1_000_000)
    assert make.calls == 0
    assert str(cache.root) in caught.value.message
    assert "1,000,000 bytes" in caught.value.message
    assert "ODLLM_CACHE_DIR" in caught.value.remedy


def test_a_disk_that_fills_while_making_is_told(small_disk: Callable[[int], Path]) -> None:
    cache = Cache(small_disk(64 * 1024))

    def write_much(target: Path) -> None:
        target.write_bytes(bytes(100_000))

    with pytest.raises(DiskFull, match="at least 5 bytes"):
        cache.derived(DERIVATION, write_much, 5)
    assert not leftovers(cache.root)
    assert list(cache.root.rglob("*.gguf")) == []


def test_a_disk_without_room_for_a_folder_is_told(small_disk: Callable[[int], Path]) -> None:
    disk = small_disk(16 * 1024)
    with pytest.raises(OSError, match="space"):
        (disk / "ballast").write_bytes(bytes(100_000))
    with pytest.raises(DiskFull):
        take(Cache(disk / "cache"), Maker())


def test_a_root_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(UsageError, match="cache") as caught:
        take(Cache(tmp_path / "cache"), Maker())
    assert "ODLLM_CACHE_DIR" in caught.value.remedy


def test_the_folder_is_chosen_by_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ODLLM_CACHE_DIR", str(tmp_path))
    assert Cache.of_this_device().root == tmp_path
    monkeypatch.delenv("ODLLM_CACHE_DIR")
    assert "odllm" in Cache.of_this_device().root.parts


def _make_slowly(target: Path) -> None:
    time.sleep(0.3)
    target.write_bytes(CONTENT)
    with (target.parent.parent / "made").open("a") as told:
        told.write("x")


def _take_slowly(root: Path) -> CachedFile:
    return take(Cache(root), _make_slowly)


def test_processes_at_the_same_time_make_it_once(tmp_path: Path) -> None:
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        taken = list(pool.map(_take_slowly, [tmp_path] * 6))
    assert len(set(taken)) == 1
    assert (tmp_path / "made").read_text() == "x"


def test_a_checksum_follows_a_change_that_keeps_size_and_time(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    found = path.stat()
    first = sha256_of(path)
    path.write_bytes(b"two")
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert first == hashlib.sha256(b"one").hexdigest()
    assert sha256_of(path) == hashlib.sha256(b"two").hexdigest()


@pytest.mark.parametrize("how", ["a file", "unreadable"])
def test_a_folder_that_cannot_be_used_is_told_by_whatever_looks_into_it(
    tmp_path: Path, how: str
) -> None:
    (tmp_path / "a file").touch()
    # Nobody may look below where nothing is mapped: an error of input, even for root.
    (tmp_path / "unreadable").symlink_to("/proc/self/mem")
    cache = Cache(tmp_path / how / "cache")
    looks: list[Callable[[], object]] = [
        lambda: cache.noted(DERIVATION),
        lambda: cache.find(DERIVATION),
        lambda: take(cache, Maker()),
    ]
    for look in looks:
        with pytest.raises(UsageError, match=r"cache.* cannot be used: Not a directory") as refused:
            look()
        assert "ODLLM_CACHE_DIR" in refused.value.remedy
    assert cache.entries() == ()
    assert cache.made_from() == {}
