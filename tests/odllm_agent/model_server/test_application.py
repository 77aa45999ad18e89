"""The model server over real HTTP on loopback, asked as anybody on the network could."""

import hashlib
import http.client
import logging
import socket
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from odllm_agent.contract import ModelRequest, Quantization, Source
from odllm_agent.models import local_file, prepare
from odllm_agent.network.fleet_key import key_of
from tests.hub_server import COMMIT, Fault, Hub
from tests.model_server import TOKEN, ModelServer
from tests.models import write_split_gguf

REPOSITORY, FILE = "ACME/Tiny-1M-GGUF", "tiny-F16.gguf"
PATH = f"/hub/{REPOSITORY}/resolve/{COMMIT}/{FILE}"
KEY = {"Authorization": f"Bearer {key_of(TOKEN)}"}


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


@pytest.fixture
def content(tiny: Path) -> bytes:
    return tiny.read_bytes()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def ask(
    served: ModelServer, path: str, headers: Mapping[str, str] = KEY, method: str = "GET"
) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    try:
        connection.request(method, path, headers=dict(headers))
        response = connection.getresponse()
        told = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, told, response.read())
    finally:
        connection.close()


def put(served: ModelServer, *paths: Path) -> str:
    """Puts a file, or the parts of one, into the server's cache."""
    return local_file.add(paths, served.cache).sha256


def test_a_file_of_the_cache_is_served_by_its_checksum(
    served: ModelServer, tiny: Path, content: bytes
) -> None:
    sha256 = put(served, tiny)
    answer = ask(served, f"/sha256/{sha256}/{sha256}")
    assert (answer.status, answer.body) == (200, content)
    assert answer.headers["etag"] == f'"{sha256}"'
    assert answer.headers["content-length"] == str(len(content))
    assert answer.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [("bytes=0-9", 0, 10), ("bytes=300000-", 300_000, None), ("bytes=-5", -5, None)],
)
def test_a_range_is_served(
    served: ModelServer, tiny: Path, content: bytes, wanted: str, start: int, end: int | None
) -> None:
    sha256 = put(served, tiny)
    answer = ask(served, f"/sha256/{sha256}/{sha256}", KEY | {"Range": wanted})
    assert (answer.status, answer.body) == (206, content[start:end])
    assert answer.headers["content-range"].endswith(f"/{len(content)}")


def test_a_range_behind_the_end_is_refused(served: ModelServer, tiny: Path) -> None:
    sha256 = put(served, tiny)
    answer = ask(served, f"/sha256/{sha256}/{sha256}", KEY | {"Range": "bytes=99999999-"})
    assert answer.status == 416


def test_the_files_of_a_split_model_are_told_and_served(
    served: ModelServer, tmp_path: Path
) -> None:
    parts = write_split_gguf(tmp_path)
    sha256 = put(served, *parts)
    told = ask(served, f"/sha256/{sha256}").body
    for part in parts:
        content = part.read_bytes()
        assert digest(content).encode() in told
        assert ask(served, f"/sha256/{sha256}/{digest(content)}").body == content
    assert ask(served, f"/sha256/{sha256}/{sha256}").status == 404


def test_a_file_of_a_hub_is_fetched_served_and_kept(
    served: ModelServer, hub: Hub, content: bytes
) -> None:
    hub.add(REPOSITORY, {FILE: content})
    first = ask(served, PATH)
    assert (first.status, first.body) == (200, content)
    assert first.headers["etag"] == f'"{digest(content)}"'
    assert first.headers["x-repo-commit"] == COMMIT
    asked = len(hub.asked) + len(hub.stored)
    assert ask(served, PATH, KEY | {"Range": "bytes=1000-"}).body == content[1000:]
    assert ask(served, PATH, method="HEAD").headers["content-length"] == str(len(content))
    assert len(hub.asked) + len(hub.stored) == asked


def test_what_a_branch_stands_for_is_told_without_fetching_it(
    served: ModelServer, hub: Hub, content: bytes
) -> None:
    hub.add(REPOSITORY, {FILE: content})
    answer = ask(served, PATH.replace(COMMIT, "main"), method="HEAD")
    assert answer.headers["x-repo-commit"] == COMMIT
    assert answer.headers["content-length"] == str(len(content))
    assert not hub.stored


def test_ten_who_ask_at_once_wait_for_one_fetch(
    served: ModelServer, hub: Hub, content: bytes
) -> None:
    hub.add(REPOSITORY, {FILE: content})
    go_on = threading.Event()
    hub.storage_faults.append(Fault(held=go_on, break_after_bytes=100_000))
    with ThreadPoolExecutor(10) as pool:
        answers = [pool.submit(ask, served, PATH) for _ in range(10)]
        fetch = f"/fetches/{REPOSITORY}/resolve/{COMMIT}/{FILE}"
        while b'"done_bytes":100000' not in ask(served, fetch).body:
            pass
        go_on.set()
        assert {answer.result().body for answer in answers} == {content}
    assert [asked.headers.get("range") for asked in hub.stored] == [None, "bytes=100000-"]


def test_who_waits_is_told_why_a_fetch_failed(served: ModelServer, hub: Hub) -> None:
    hub.add(REPOSITORY, {"other.gguf": b"GGUF"})
    answer = ask(served, PATH)
    assert answer.status == 404
    assert f"{REPOSITORY} has no file {FILE}".encode() in answer.body


@pytest.mark.parametrize(("failed_for_s", "attempts"), [(1000.0, 1), (0.0, 2)])
def test_a_failure_is_told_to_all_who_ask_soon_and_tried_again_later(
    served: ModelServer,
    hub: Hub,
    content: bytes,
    monkeypatch: pytest.MonkeyPatch,
    failed_for_s: float,
    attempts: int,
) -> None:
    monkeypatch.setattr("odllm_agent.model_server.library._FAILED_FOR_S", failed_for_s)
    hub.add(REPOSITORY, {FILE: content})
    hub.storage_faults.extend([Fault(403)] * 2)
    assert [ask(served, PATH).status for _ in range(2)] == [403, 403]
    assert len(hub.stored) == attempts


def test_what_came_damaged_is_not_served(served: ModelServer, hub: Hub, content: bytes) -> None:
    hub.add(REPOSITORY, {FILE: content})
    hub.storage_faults.append(Fault(body=b"X" + content[1:]))
    answer = ask(served, PATH)
    assert answer.status == 502
    assert digest(content).encode() in answer.body
    assert not served.cache.entries()


def test_of_what_is_not_there_only_the_start_is_fetched_if_only_that_is_asked_for(
    served: ModelServer, hub: Hub, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("odllm_agent.model_server.starts.START_BYTES", (100_000,))
    hub.add(REPOSITORY, {FILE: content})
    for _ in range(3):
        answer = ask(served, PATH, KEY | {"Range": "bytes=0-99999"})
        assert (answer.status, answer.body) == (206, content[:100_000])
        assert answer.headers["content-range"] == f"bytes 0-99999/{len(content)}"
    assert [asked.headers.get("range") for asked in hub.stored] == ["bytes=0-99999"]
    assert not served.cache.entries()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": f"Bearer {TOKEN}"},
        {"Authorization": f"Bearer {key_of('another')}"},
        {"Authorization": f"Basic {key_of(TOKEN)}"},
        {"Authorization": f"Bearer {key_of(TOKEN)[:-1]}"},
        {"Authorization": f"Bearer {key_of(TOKEN)}0"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer \xff"},
    ],
)
def test_without_the_key_nothing_is_told(
    served: ModelServer, hub: Hub, tiny: Path, headers: Mapping[str, str], method: str
) -> None:
    sha256 = put(served, tiny)
    there, elsewhere = f"/sha256/{sha256}/{sha256}", f"/sha256/{'0' * 64}/{'0' * 64}"
    answers = [ask(served, path, headers, method) for path in (there, elsewhere, "/", PATH)]
    assert {answer.status for answer in answers} == {401}
    assert len({(answer.body, answer.headers["content-length"]) for answer in answers}) == 1
    assert not hub.asked


@pytest.mark.parametrize(
    "path",
    [
        "/sha256/..%2f..%2ftoken/x",
        "/sha256/%2e%2e/%2e%2e",
        "/sha256/../../etc/passwd",
        "/sha256//etc/passwd",
        "/sha256/%00/%00",
        f"/sha256/{'0' * 64}%00/x",
        f"/sha256/{'0' * 63}%2f/x",
        f"/hub/{REPOSITORY}/resolve/{COMMIT}/../../../../etc/passwd.gguf",
        f"/hub/{REPOSITORY}/resolve/{COMMIT}/%2e%2e/%2e%2e/secret.gguf",
        f"/hub/{REPOSITORY}/resolve/{COMMIT}//etc/secret.gguf",
        f"/hub/{REPOSITORY}/resolve/{COMMIT}/a%00.gguf",
        f"/hub/{REPOSITORY}/resolve/{COMMIT}/a%5cb.gguf",
        f"/hub/..%2f..%2f/x/resolve/{COMMIT}/a.gguf",
        f"/hub/%2e%2e/x/resolve/{COMMIT}/a.gguf",
        f"/hub/ACME/x/resolve/%2e%2e/{FILE}",
        f"/hub/{REPOSITORY}/resolve/{COMMIT}/tiny-00002-of-00001.gguf",
        f"/fetches/{REPOSITORY}/resolve/main/{FILE}",
        "/etc/passwd",
        "//etc/passwd",
    ],
)
def test_no_path_of_a_request_leads_anywhere_but_into_the_cache(
    served: ModelServer, hub: Hub, tmp_path: Path, path: str
) -> None:
    for name in ("secret.gguf", "token", "passwd"):
        (tmp_path / name).write_text("secret")
    for method in ("GET", "HEAD"):
        answer = ask(served, path, KEY, method)
        assert answer.status in {400, 404}
        assert b"secret\n" not in answer.body
    assert not hub.asked


def test_nothing_can_be_written(served: ModelServer, tiny: Path) -> None:
    sha256 = put(served, tiny)
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert ask(served, f"/sha256/{sha256}/{sha256}", KEY, method).status == 405


def test_what_the_device_made_and_has_lost_since_is_not_served(
    served: ModelServer, tiny: Path
) -> None:
    sha256 = put(served, tiny)
    (place,) = served.cache.shelf.parts(sha256)
    place.write_bytes(b"another content")
    assert ask(served, f"/sha256/{sha256}/{sha256}").status == 404


def test_a_folder_in_openvino_s_form_is_not_served(served: ModelServer) -> None:
    folder = served.root / "files" / ("a" * 64)
    folder.mkdir(parents=True)
    (folder / "openvino_model.xml").write_text("<net/>")
    assert ask(served, f"/sha256/{'a' * 64}").status == 404


def test_every_refusal_and_every_fetch_is_logged_without_the_key(
    served: ModelServer, hub: Hub, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="odllm_agent")
    hub.add(REPOSITORY, {FILE: content})
    ask(served, PATH)
    ask(served, "/sha256/one%0atwo", {})
    ask(served, "/sha256/none", {"Authorization": "Bearer wrong-key"})
    ask(served, "/sha256/none")
    lines = [record.getMessage() for record in caplog.records]
    assert f"fetching {REPOSITORY}/{FILE}@{COMMIT} from the hub" in lines
    assert f"127.0.0.1: GET '{PATH}', all of it" in lines
    assert "refused 127.0.0.1: GET '/sha256/one\\ntwo', no key" in lines
    assert "refused 127.0.0.1: GET '/sha256/none', a wrong key" in lines
    assert any(line.startswith("status 404 for 127.0.0.1: GET '/sha256/none'") for line in lines)
    assert not any(secret in caplog.text for secret in (TOKEN, key_of(TOKEN), "wrong-key"))


def test_a_connection_that_is_no_http_is_survived(
    served: ModelServer, tiny: Path, content: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", served.port)) as odd:
        odd.sendall(b"\x16\x03\x01\x00\xff" * 20)
    sha256 = put(served, tiny)
    assert ask(served, f"/sha256/{sha256}/{sha256}").body == content


def test_what_is_being_served_is_not_removed_to_make_room(served: ModelServer, tiny: Path) -> None:
    sha256 = put(served, tiny)
    stock = served.library.content(sha256)
    assert stock
    assert [served.cache.remove(entry) for entry in served.cache.entries()] == [False]
    del stock
    assert [served.cache.remove(entry) for entry in served.cache.entries()] == [True]


def test_a_made_type_is_served_like_any_other(served: ModelServer, tiny: Path) -> None:
    made = prepare(
        ModelRequest("tiny", Source.FILE, str(tiny), Quantization("Q8_0")), served.cache, 10**12
    )
    answer = ask(served, f"/sha256/{made.sha256}/{made.sha256}")
    assert digest(answer.body) == made.sha256
