"""An agent that is told of the fleet's model server: the real client and the real server."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme
from huggingface_hub import close_session, constants

from odllm_agent.contract import EventKind, ModelFile, ModelRequest, Progress, Quantization, Source
from odllm_agent.errors import ModelMissing, UsageError
from odllm_agent.models import Cache, foresee, local_file, outline, prepare
from odllm_agent.models.download.fleet_server import AUTHORITY_VARIABLE
from odllm_agent.network.fleet_key import ADDRESS_VARIABLE, TOKEN_VARIABLE
from odllm_agent.network.ray_environment import AUTHORITY, CERTIFICATE, KEY
from tests import cutting_proxy, model_server
from tests.hub_server import COMMIT, LATER_COMMIT, Fault, Hub
from tests.model_server import TOKEN, ModelServer
from tests.models import write_split_gguf

REPOSITORY, FILE = "ACME/Tiny-1M-GGUF", "tiny-F16.gguf"
LOCATION = f"{REPOSITORY}/{FILE}@{COMMIT}"
PLENTY = 10**12

Told = Callable[[str], None]


@pytest.fixture
def content(tiny: Path) -> bytes:
    return tiny.read_bytes()


@pytest.fixture
def told(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Told:
    """Tells this process of a server, as joining a fleet does."""
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    monkeypatch.setenv(TOKEN_VARIABLE, str(tmp_path / "token"))
    monkeypatch.delenv(AUTHORITY_VARIABLE, raising=False)

    def tell(url: str) -> None:
        monkeypatch.setenv(ADDRESS_VARIABLE, url)
        close_session()

    return tell


@pytest.fixture
def served(told: Told, tmp_path: Path) -> Iterator[ModelServer]:
    with model_server.running(tmp_path / "served") as running:
        told(running.url)
        yield running


def request(location: str = LOCATION, sha256: str | None = None) -> ModelRequest:
    return ModelRequest("tiny", Source.HUB, location, None, sha256)


def get(cache: Cache, location: str = LOCATION, sha256: str | None = None) -> ModelFile:
    return prepare(request(location, sha256), cache, PLENTY)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def note(cache: Cache) -> dict[str, object]:
    ((only,),) = cache.shelf.made_from().values()
    return dict(only)


def on_the_hub(hub: Hub) -> list[str | None]:
    """The ranges of what the hub gave of a file's bytes."""
    return [asked.headers.get("range") for asked in hub.stored]


def test_a_file_crosses_the_network_into_the_fleet_once(
    served: ModelServer, hub: Hub, content: bytes, tmp_path: Path
) -> None:
    hub.add(REPOSITORY, {FILE: content})
    caches = [Cache(tmp_path / f"device-{number}") for number in range(10)]
    with ThreadPoolExecutor(10) as pool:
        files = list(pool.map(get, caches))
    assert {file.sha256 for file in files} == {digest(content)}
    assert all(Path(file.path).read_bytes() == content for file in files)
    assert on_the_hub(hub) == [None]
    assert all(note(cache)["by"] == f"the fleet's model server {served.url}" for cache in caches)


def test_what_it_was_checked_against_is_remembered_and_told(
    served: ModelServer, hub: Hub, content: bytes, tmp_path: Path
) -> None:
    hub.add(REPOSITORY, {FILE: content})
    told: list[tuple[EventKind, str]] = []
    alone = Cache(tmp_path / "alone", report=lambda kind, detail: told.append((kind, detail)))
    get(alone)
    assert note(alone)["checked_against"] == "the server's ETag alone"
    ((kind, detail),) = told
    assert kind == EventKind.MODEL_ADDED
    assert detail.startswith(f"{digest(content)}: ")
    assert "checked against the server's ETag alone" in detail
    stated = Cache(tmp_path / "stated")
    get(stated, sha256=digest(content))
    assert note(stated)["checked_against"] == "the checksum that was stated"


def test_who_waits_is_told_how_far_the_server_is_and_then_its_own_fetch(
    served: ModelServer, hub: Hub, content: bytes, tmp_path: Path
) -> None:
    hub.add(REPOSITORY, {FILE: content})
    go_on = threading.Event()
    hub.storage_faults.append(Fault(held=go_on, break_after_bytes=100_000))
    told: list[Progress] = []

    def tell(progress: Progress) -> None:
        told.append(progress)
        if progress.done_bytes == 100_000:
            go_on.set()

    get(Cache(tmp_path / "cache", tell=tell))
    waiting = f"the fleet's model server {served.url} is fetching {FILE}"
    assert Progress(waiting, 100_000, len(content)) in told
    assert told[-1] == Progress(f"fetching {FILE}", len(content), len(content))


def test_a_connection_that_is_cut_in_the_middle_is_gone_on_with(
    served: ModelServer, told: Told, hub: Hub, content: bytes, cache: Cache
) -> None:
    hub.add(REPOSITORY, {FILE: content})
    get(Cache(served.root))
    with cutting_proxy.running(served.port) as proxy:
        told(f"http://127.0.0.1:{proxy.port}")
        proxy.cuts.extend([300_000, 400_000])
        assert get(cache).sha256 == digest(content)
        assert proxy.connections == 3
    assert on_the_hub(hub) == [None]


def test_what_had_come_before_the_server_was_lost_comes_from_the_hub_no_more(
    served: ModelServer, told: Told, hub: Hub, content: bytes, cache: Cache
) -> None:
    hub.add(REPOSITORY, {FILE: content})
    get(Cache(served.root))
    hub.stored.clear()
    with cutting_proxy.running(served.port) as proxy:
        told(f"http://127.0.0.1:{proxy.port}")
        proxy.cuts.extend([400_000, *[0] * 20])
        assert get(cache).sha256 == digest(content)
    (wanted,) = on_the_hub(hub)
    assert wanted
    assert 200_000 < int(wanted.removeprefix("bytes=").removesuffix("-")) <= 400_000
    assert str(note(cache)["not_by_fleet"])


def test_types_are_made_of_what_the_fleet_gives(
    served: ModelServer, hub: Hub, content: bytes, cache: Cache
) -> None:
    hub.add(REPOSITORY, {FILE: content})
    wanted = ModelRequest("tiny", Source.HUB, LOCATION, Quantization("Q8_0"))
    assert prepare(wanted, cache, PLENTY).quantization == "Q8_0"


def test_a_split_model_comes_whole(
    served: ModelServer, hub: Hub, cache: Cache, tmp_path: Path
) -> None:
    parts = write_split_gguf(tmp_path)
    hub.add(REPOSITORY, {path.name: path.read_bytes() for path in parts})
    made = get(cache, f"{REPOSITORY}/{parts[0].name}@{COMMIT}")
    assert made.file_bytes == sum(path.stat().st_size for path in parts)
    assert on_the_hub(hub) == [None] * len(parts)


def test_a_branch_with_a_checksum_comes_by_the_fleet_and_without_is_refused(
    served: ModelServer, hub: Hub, content: bytes, cache: Cache
) -> None:
    hub.add(REPOSITORY, {FILE: content})
    branch = f"{REPOSITORY}/{FILE}@main"
    with pytest.raises(UsageError, match="'main' is no commit"):
        get(cache, branch)
    get(cache, branch, digest(content))
    assert note(cache)["location"] == f"hub:{LOCATION}"
    assert on_the_hub(hub) == [None]


def test_the_hub_s_offline_mode_does_not_concern_the_fleet(
    served: ModelServer,
    hub: Hub,
    content: bytes,
    cache: Cache,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub.add(REPOSITORY, {FILE: content})
    get(Cache(served.root))
    asked = len(hub.asked)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert get(cache).sha256 == digest(content)
    assert len(hub.asked) == asked


def test_no_proxy_stands_between_the_devices_of_a_fleet(
    served: ModelServer,
    hub: Hub,
    content: bytes,
    cache: Cache,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub.add(REPOSITORY, {FILE: content})
    get(Cache(served.root))
    monkeypatch.delenv("NO_PROXY")
    for name in ("HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    close_session()
    get(cache)
    assert note(cache)["by"]


def test_the_hub_s_token_is_not_sent_to_the_fleet_nor_the_fleet_s_key_to_the_hub(
    served: ModelServer,
    hub: Hub,
    content: bytes,
    cache: Cache,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.add(REPOSITORY, {FILE: content}).token = "hf_secret"
    get(cache)
    assert note(cache)["by"]
    assert {asked.headers["authorization"] for asked in hub.asked} == {"Bearer hf_secret"}


def test_with_a_wrong_key_the_hub_is_asked_and_the_reason_kept(
    served: ModelServer,
    hub: Hub,
    content: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    hub.add(REPOSITORY, {FILE: content})
    (tmp_path / "another").write_text("another")
    monkeypatch.setenv(TOKEN_VARIABLE, str(tmp_path / "another"))
    told: list[Progress] = []
    cache = Cache(tmp_path / "cache", tell=told.append)
    assert get(cache).sha256 == digest(content)
    reason = str(note(cache)["not_by_fleet"])
    assert served.url in reason
    assert "status 401" in reason
    assert reason in told[-1].what
    assert reason in caplog.text


@pytest.mark.parametrize("name", ["", "none"])
def test_without_a_token_the_hub_is_asked_and_the_reason_kept(
    *,
    served: ModelServer,
    hub: Hub,
    content: bytes,
    cache: Cache,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    hub.add(REPOSITORY, {FILE: content})
    monkeypatch.setenv(TOKEN_VARIABLE, str(tmp_path / name) if name else "")
    assert get(cache).sha256 == digest(content)
    assert TOKEN_VARIABLE in str(note(cache)["not_by_fleet"])


def test_a_server_that_is_not_there_costs_nothing_but_its_reason(
    told: Told, hub: Hub, content: bytes, cache: Cache
) -> None:
    hub.add(REPOSITORY, {FILE: content})
    told("http://127.0.0.1:9")
    assert get(cache).sha256 == digest(content)
    assert "127.0.0.1:9" in str(note(cache)["not_by_fleet"])


def test_a_file_that_neither_has_is_told_with_both_reasons(
    told: Told, hub: Hub, cache: Cache
) -> None:
    told("http://127.0.0.1:9")
    with pytest.raises(ModelMissing, match=REPOSITORY) as caught:
        get(cache)
    assert "before that, " in caught.value.message
    assert "127.0.0.1:9" in caught.value.message


def test_what_the_server_cannot_get_is_asked_of_the_hub(
    served: ModelServer, hub: Hub, content: bytes, cache: Cache
) -> None:
    hub.add(REPOSITORY, {FILE: content})
    hub.storage_faults.append(Fault(body=b"X" + content[1:]))
    assert get(cache).sha256 == digest(content)
    assert "status 502" in str(note(cache)["not_by_fleet"])


def test_a_server_that_comes_no_further_is_not_waited_for(
    served: ModelServer,
    hub: Hub,
    content: bytes,
    cache: Cache,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("odllm_agent.models.download.fleet_server._STALLED_AFTER_S", 0.2)
    hub.add(REPOSITORY, {FILE: content})
    go_on = threading.Event()
    hub.storage_faults.append(Fault(held=go_on, break_after_bytes=100_000))
    try:
        assert get(cache).sha256 == digest(content)
    finally:
        go_on.set()
    assert "comes no further" in str(note(cache)["not_by_fleet"])


class Liar(BaseHTTPRequestHandler):
    """Answers as a model server would, with bytes that are not those of its ETag."""

    wrong = b""
    etag = ""
    commit = COMMIT
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(b"")

    def do_GET(self) -> None:
        fetch = self.path.startswith("/fetches")
        self._answer(b'{"done": true}' if fetch else self.wrong)

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("ETag", f'"{self.etag}"')
        self.send_header("X-Repo-Commit", self.commit)
        self.send_header("Content-Length", str(len(body or self.wrong)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Keeps the tests' output clean."""


@pytest.fixture
def liar(told: Told) -> Iterator[type[Liar]]:
    handler = type("Liar", (Liar,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        told(f"http://127.0.0.1:{server.server_port}")
        yield handler
        server.shutdown()
        thread.join()


def test_bytes_that_are_not_those_of_the_etag_are_never_kept(
    liar: type[Liar], hub: Hub, content: bytes, cache: Cache
) -> None:
    hub.add(REPOSITORY, {FILE: content})
    liar.wrong, liar.etag = b"X" + content[1:], digest(content)
    made = get(cache)
    assert Path(made.path).read_bytes() == content
    assert digest(liar.wrong) in str(note(cache)["not_by_fleet"])
    assert on_the_hub(hub) == [None]


def test_bytes_that_are_not_those_that_were_stated_are_never_fetched(
    liar: type[Liar], hub: Hub, content: bytes, cache: Cache
) -> None:
    hub.add(REPOSITORY, {FILE: content})
    liar.wrong = b"X" + content[1:]
    liar.etag = digest(liar.wrong)
    assert get(cache, sha256=digest(content)).sha256 == digest(content)
    assert {path.name for path in cache.shelf.files.iterdir()} == {f"{digest(content)}.gguf"}


@pytest.mark.parametrize("etag", ["", "../../token", "A" * 64, "0" * 63])
def test_a_checksum_that_is_none_never_becomes_a_path(
    liar: type[Liar], hub: Hub, content: bytes, cache: Cache, etag: str
) -> None:
    hub.add(REPOSITORY, {FILE: content})
    liar.wrong, liar.etag = content, etag
    assert get(cache).sha256 == digest(content)
    assert "does not answer as one" in str(note(cache)["not_by_fleet"])


def test_another_commit_than_the_one_asked_for_is_not_taken(
    liar: type[Liar], hub: Hub, content: bytes, cache: Cache
) -> None:
    hub.add(REPOSITORY, {FILE: content})
    liar.wrong, liar.etag, liar.commit = content, digest(content), LATER_COMMIT
    get(cache)
    assert "does not answer as one" in str(note(cache)["not_by_fleet"])


def put(served: ModelServer, path: Path) -> str:
    return local_file.add([path], served.cache).sha256


def test_a_file_that_is_not_on_the_device_comes_by_its_checksum(
    served: ModelServer, tiny: Path, cache: Cache, tmp_path: Path
) -> None:
    sha256 = put(served, tiny)
    wanted = ModelRequest("tiny", Source.FILE, str(tmp_path / "no.gguf"), None, sha256.upper())
    assert prepare(wanted, cache, PLENTY).sha256 == sha256
    assert note(cache)["checked_against"] == "the checksum that was stated"
    assert prepare(wanted, cache, PLENTY).sha256 == sha256


def test_a_file_that_is_nowhere_or_not_pinned_is_missing(
    served: ModelServer, tiny: Path, cache: Cache, tmp_path: Path
) -> None:
    put(served, tiny)
    for sha256 in (None, "0" * 64):
        wanted = ModelRequest("tiny", Source.FILE, str(tmp_path / "no.gguf"), None, sha256)
        with pytest.raises(ModelMissing, match=r"no\.gguf"):
            prepare(wanted, cache, PLENTY)


def test_a_model_is_foreseen_by_the_fleet_from_its_header_alone(
    *,
    served: ModelServer,
    hub: Hub,
    content: bytes,
    tiny: Path,
    cache: Cache,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outline, "START_BYTES", (100_000,))
    monkeypatch.setattr("odllm_agent.model_server.starts.START_BYTES", (100_000,))
    hub.add(REPOSITORY, {FILE: content})
    for number in range(3):
        told = foresee(request(), cache, tmp_path / f"folder-{number}")
        assert told.download_bytes == len(content)
        assert told.model.architecture == "qwen2"
    assert on_the_hub(hub) == ["bytes=0-99999"]
    wanted = ModelRequest("tiny", Source.FILE, "/no.gguf", None, put(served, tiny))
    assert foresee(wanted, cache, tmp_path / "by-checksum").download_bytes == len(content)
    assert not cache.root.exists()


def test_a_server_that_shares_the_device_s_cache_does_not_wait_for_itself(
    served: ModelServer, hub: Hub, content: bytes
) -> None:
    hub.add(REPOSITORY, {FILE: content})
    shared = Cache(served.root)
    assert get(shared).sha256 == digest(content)
    assert on_the_hub(hub) == [None]
    assert "by" not in note(shared)


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(authority: trustme.CA, tmp_path: Path) -> Path:
    folder = tmp_path / "tls"
    folder.mkdir()
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(folder / KEY)
    for blob in issued.cert_chain_pems:
        blob.write_to_path(folder / CERTIFICATE, append=True)
    authority.cert_pem.write_to_path(folder / AUTHORITY)
    return folder


def test_over_tls_the_server_is_checked_against_the_fleet_s_authority(
    *,
    told: Told,
    hub: Hub,
    content: bytes,
    cache: Cache,
    tls: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub.add(REPOSITORY, {FILE: content})
    monkeypatch.setenv(AUTHORITY_VARIABLE, str(tls / AUTHORITY))
    with model_server.running(tmp_path / "served", tls) as served:
        told(served.url)
        assert served.url.startswith("https://")
        get(cache)
        # The server waits a while for connections that are kept.
        close_session()
    assert note(cache)["by"] == f"the fleet's model server {served.url}"


@pytest.mark.parametrize("known", ["another", "nobody"])
def test_a_server_that_the_authority_does_not_vouch_for_is_not_asked(
    *,
    told: Told,
    hub: Hub,
    content: bytes,
    cache: Cache,
    tls: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    known: str,
) -> None:
    hub.add(REPOSITORY, {FILE: content})
    if known == "another":
        trustme.CA().cert_pem.write_to_path(tmp_path / "another.pem")
        monkeypatch.setenv(AUTHORITY_VARIABLE, str(tmp_path / "another.pem"))
    with model_server.running(tmp_path / "served", tls) as served:
        told(served.url)
        get(cache)
    assert "certificate" in str(note(cache)["not_by_fleet"]).lower()
    assert on_the_hub(hub) == [None]
