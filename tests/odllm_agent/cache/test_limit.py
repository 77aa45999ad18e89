"""The limit of the cache, and what makes room."""

import os
from pathlib import Path

import pytest

from odllm_agent.cache.cache import CachedFile, Derivation, Download, RemoteFile
from odllm_agent.contract import ModelRequest, Quantization, Source
from odllm_agent.errors import DiskFull, UsageError
from odllm_agent.models import Cache, prepare
from tests.hub_server import sha256

SIZE = 1000


def derive(cache: Cache, letter: str, n_bytes: int = SIZE) -> CachedFile:
    """Makes a file of that letter."""
    derivation = Derivation(letter * 64, Quantization("Q4_0"), "1")
    return cache.derived(derivation, lambda path: _write(path, letter, n_bytes), n_bytes)


def fetch(cache: Cache, letter: str, n_bytes: int = SIZE) -> CachedFile:
    """Fetches a file of that letter."""
    content = letter.encode() * n_bytes
    file = RemoteFile(f"{letter}.gguf", sha256(content), n_bytes)
    return cache.fetched(Download(letter), [file], lambda _, path: _write(path, letter, n_bytes))


def _write(path: Path, letter: str, n_bytes: int) -> None:
    path.write_bytes(letter.encode() * n_bytes)


def used_long_ago(root: Path, *files: CachedFile) -> None:
    """Lets the files seem to have been used ever longer ago."""
    for age, file in enumerate(files, start=1):
        os.utime(root / "used" / file.sha256, (10_000 - age, 10_000 - age))


def there(cache: Cache) -> set[str]:
    """The letters of the files that are there."""
    return {path.read_bytes()[:1].decode() for path in cache.shelf.files.iterdir()}


@pytest.mark.parametrize("add", [derive, fetch])
def test_the_least_recently_used_makes_room(tmp_path: Path, add: object) -> None:
    made = {letter: derive(Cache(tmp_path), letter) for letter in "abc"}
    used_long_ago(tmp_path, made["c"], made["b"], made["a"])
    limited = Cache(tmp_path, limit_bytes=3 * SIZE)
    add(limited, "d")  # type: ignore[operator]
    assert there(limited) == {"b", "c", "d"}
    assert set(limited.shelf.made_from()) == {entry.key for entry in limited.shelf.entries()}


def test_what_was_asked_for_again_is_recently_used(tmp_path: Path) -> None:
    made = [derive(Cache(tmp_path), letter) for letter in "ab"]
    used_long_ago(tmp_path, made[1], made[0])
    assert derive(Cache(tmp_path), "a") == made[0]
    derive(Cache(tmp_path, limit_bytes=2 * SIZE), "c")
    assert there(Cache(tmp_path)) == {"a", "c"}


def test_what_this_cache_gave_out_stays(tmp_path: Path) -> None:
    limited = Cache(tmp_path, limit_bytes=2 * SIZE)
    derive(limited, "a")
    derive(limited, "b")
    with pytest.raises(DiskFull, match=r"may hold 2\.00 kB.*takes 3\.00 kB") as caught:
        derive(limited, "c")
    assert "ODLLM_CACHE_MAX_BYTES" in caught.value.remedy
    assert there(limited) == {"a", "b"}


@pytest.mark.parametrize("add", [derive, fetch])
def test_a_file_beyond_the_limit_is_refused_and_nothing_removed(
    tmp_path: Path, add: object
) -> None:
    derive(Cache(tmp_path), "a")
    limited = Cache(tmp_path, limit_bytes=2 * SIZE)
    with pytest.raises(DiskFull, match=r"may hold 2\.00 kB.*takes 2\.50 kB"):
        add(limited, "b", 2 * SIZE + 500)  # type: ignore[operator]
    assert there(limited) == {"a"}
    assert not list(limited.shelf.unfinished.iterdir())


def test_a_file_that_turns_out_larger_than_it_surely_is_keeps_to_the_limit(tmp_path: Path) -> None:
    derive(Cache(tmp_path), "a")
    limited = Cache(tmp_path, limit_bytes=2 * SIZE)
    derivation = Derivation("b" * 64, Quantization("Q4_0"), "1")
    limited.derived(derivation, lambda path: _write(path, "b", 2 * SIZE), 1)
    assert there(limited) == {"b"}
    with pytest.raises(DiskFull):
        limited.derived(
            Derivation("c" * 64, Quantization("Q4_0"), "1"), lambda path: _write(path, "c", SIZE), 1
        )
    assert there(limited) == {"b"}


def test_unfinished_files_count_and_make_room(tmp_path: Path) -> None:
    limited = Cache(tmp_path, limit_bytes=2 * SIZE)
    limited.shelf.open()
    (limited.shelf.unfinished / "left.part").write_bytes(bytes(2 * SIZE))
    derive(limited, "a")
    assert not list(limited.shelf.unfinished.iterdir())


def test_an_unfinished_file_that_another_process_works_on_stays(tmp_path: Path) -> None:
    limited = Cache(tmp_path, limit_bytes=2 * SIZE)
    limited.shelf.open()
    left = limited.shelf.unfinished / "left.part"
    left.write_bytes(bytes(2 * SIZE))
    with limited.shelf.lock("left"), pytest.raises(DiskFull):
        derive(limited, "a")
    assert left.exists()


def test_the_start_of_what_is_fetched_counts_once(tmp_path: Path) -> None:
    limited = Cache(tmp_path, limit_bytes=SIZE)
    limited.shelf.open()
    (limited.shelf.unfinished / f"{sha256(b'a' * SIZE)}.part").write_bytes(b"a" * 900)
    assert fetch(limited, "a").path.stat().st_size == SIZE


def test_a_source_is_not_removed_for_what_is_made_of_it(tiny: Path, tmp_path: Path) -> None:
    content = tiny.read_bytes()
    cache = Cache(tmp_path, limit_bytes=len(content) + 1000)
    file = RemoteFile("tiny.gguf", sha256(content), len(content))
    source = cache.fetched(Download("x"), [file], lambda _, path: _copy(tiny, path))
    request = ModelRequest("tiny", Source.FILE, str(source.path), Quantization("Q4_0"))
    with pytest.raises(DiskFull, match="may hold"):
        prepare(request, cache, 10**12)
    assert source.path.exists()


def _copy(source: Path, target: Path) -> None:
    target.write_bytes(source.read_bytes())


def test_the_limit_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODLLM_CACHE_MAX_BYTES", "20GiB")
    assert Cache.of_this_device().limit_bytes == 20 * 2**30
    monkeypatch.setenv("ODLLM_CACHE_MAX_BYTES", "")
    assert Cache.of_this_device().limit_bytes is None
    monkeypatch.setenv("ODLLM_CACHE_MAX_BYTES", "lots")
    with pytest.raises(UsageError, match=r"ODLLM_CACHE_MAX_BYTES.*'lots'"):
        Cache.of_this_device()
