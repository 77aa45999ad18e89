"""The source `hub`: the real client against a hub of the tests."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest
from huggingface_hub import constants
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.contract import (
    Engine,
    Measurement,
    ModelFile,
    ModelRequest,
    Progress,
    Quantization,
    RepeatPolicy,
    Source,
    Trial,
    Workload,
)
from odllm_agent.engines.settings import check_settings
from odllm_agent.errors import (
    AccessDenied,
    ChecksumMismatch,
    DiskFull,
    DownloadFailed,
    ModelMissing,
    UsageError,
)
from odllm_agent.models import Cache, Foreseen, foresee, outline, prepare
from odllm_agent.models.download.hub_file import HubFile
from odllm_agent.trials.worker import run_round
from tests.hub_server import COMMIT, LATER_COMMIT, Fault, Hub, Repository
from tests.models import write_gguf, write_split_gguf

REPOSITORY = "ACME/Tiny-1M-GGUF"
FILE = "tiny-F16.gguf"
PLENTY = 10**12


@pytest.fixture
def content(tiny: Path) -> bytes:
    return tiny.read_bytes()


@pytest.fixture
def repository(hub: Hub, content: bytes) -> Repository:
    return hub.add(REPOSITORY, {FILE: content, "README.md": b"a model"})


def request(
    revision: str = COMMIT,
    *,
    file: str = FILE,
    quantization: Quantization | None = None,
    sha256: str | None = None,
) -> ModelRequest:
    return ModelRequest("tiny", Source.HUB, f"{REPOSITORY}/{file}@{revision}", quantization, sha256)


def get(cache: Cache, **changes: object) -> ModelFile:
    return prepare(request(**changes), cache, PLENTY)  # type: ignore[arg-type]


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def kept(cache: Cache) -> set[str]:
    """Every model file of a cache, finished or not, with its folder."""
    folders = (cache.shelf.files, cache.shelf.unfinished)
    return {f"{path.parent.name}/{path.name}" for folder in folders for path in folder.glob("*")}


def begin(cache: Cache, content: bytes, start: bytes) -> None:
    """Lets the cache hold the start of a file, as a process that was killed leaves it."""
    cache.shelf.open()
    (cache.shelf.unfinished / f"{digest(content)}.part").write_bytes(start)


def runs(model: ModelFile) -> bool:
    """Whether the real engine runs the model."""
    engine = Engine("llama_cpp", "any", check_settings("llama_cpp", {"threads": 1}))
    trial = Trial("here", model, engine, Workload("w", prompt_tokens=8, output_tokens=4))
    return run_round(Measurement(trial, 0, RepeatPolicy(0, 1, 1))).failure is None


def test_a_pinned_file_is_fetched_once_and_checked(
    hub: Hub, repository: Repository, content: bytes, cache: Cache
) -> None:
    made = get(cache)
    assert (made.name, made.quantization, made.sha256) == ("tiny", "F16", digest(content))
    assert Path(made.path).read_bytes() == content
    assert kept(cache) == {f"files/{digest(content)}.gguf"}
    asked = len(hub.asked) + len(hub.stored)
    assert get(cache) == made
    assert len(hub.asked) + len(hub.stored) == asked


def test_nothing_is_written_outside_the_cache(
    hub: Hub, repository: Repository, cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    for name in ("HF_HOME", "HF_HUB_CACHE", "HF_ASSETS_CACHE"):
        monkeypatch.setattr(constants, name, str(home))
    get(cache)
    assert not home.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"cache"}


def test_plain_http_is_used_where_the_storage_offers_more(
    hub: Hub, repository: Repository, cache: Cache
) -> None:
    get(cache)
    assert [(asked.method, asked.path) for asked in hub.asked] == [
        ("HEAD", f"/{REPOSITORY}/resolve/{COMMIT}/{FILE}"),
        ("GET", f"/{REPOSITORY}/resolve/{COMMIT}/{FILE}"),
    ]
    assert [asked.method for asked in hub.stored] == ["GET"]


def test_progress_is_told_up_to_the_whole_file(
    hub: Hub, repository: Repository, content: bytes, tmp_path: Path
) -> None:
    told: list[Progress] = []
    get(Cache(tmp_path / "cache", tell=told.append))
    assert told[0] == Progress(f"fetching {FILE}", 0, len(content))
    assert told[-1] == Progress(f"fetching {FILE}", len(content), len(content))


@pytest.mark.parametrize("quantization", [Quantization("Q4_0"), Quantization("Q8_0")])
def test_other_types_are_made_of_it(
    hub: Hub, repository: Repository, cache: Cache, quantization: Quantization
) -> None:
    made = get(cache, quantization=quantization)
    assert made.quantization == quantization
    assert Path(made.path).parent == cache.root / "files"


def test_a_quantized_file_is_taken_as_it_is(hub: Hub, tiny: Path, cache: Cache) -> None:
    local = ModelRequest("tiny", Source.FILE, str(tiny), Quantization("Q8_0"))
    quantized = Path(prepare(local, cache, PLENTY).path).read_bytes()
    hub.add(REPOSITORY, {"folder/tiny-q8_0.gguf": quantized})
    made = get(cache, file="folder/tiny-q8_0.gguf")
    assert (made.quantization, made.sha256) == ("Q8_0", digest(quantized))
    with pytest.raises(UsageError, match="cannot be made"):
        get(cache, file="folder/tiny-q8_0.gguf", quantization=Quantization("Q4_0"))


def test_a_branch_is_refused_with_the_commit_that_it_stands_for(
    hub: Hub, repository: Repository, content: bytes, cache: Cache
) -> None:
    with pytest.raises(UsageError, match="'main' is no commit") as caught:
        get(cache, revision="main")
    assert COMMIT in caught.value.remedy
    assert digest(content) in caught.value.remedy
    assert not hub.stored
    assert not cache.root.exists()


def test_a_branch_with_a_checksum_is_fetched_and_its_commit_recorded(
    hub: Hub, repository: Repository, content: bytes, cache: Cache
) -> None:
    made = get(cache, revision="main", sha256=digest(content).upper())
    ((told,),) = cache.shelf.made_from().values()
    assert told == {"location": f"hub:{REPOSITORY}/{FILE}@{COMMIT}"}
    asked = len(hub.asked)
    assert get(cache, revision="main", sha256=digest(content)) == made
    assert get(cache, revision=COMMIT) == made
    assert len(hub.asked) == asked


def test_a_branch_that_moved_is_told_before_anything_is_fetched(
    hub: Hub, repository: Repository, content: bytes, cache: Cache, tmp_path: Path
) -> None:
    newer = write_gguf(tmp_path / "newer.gguf", seed=1).read_bytes()
    hub.add(REPOSITORY, {FILE: newer}, LATER_COMMIT)
    with pytest.raises(ChecksumMismatch, match=digest(content)) as caught:
        get(cache, revision="main", sha256=digest(content))
    assert LATER_COMMIT in caught.value.message
    assert digest(newer) in caught.value.message
    assert not hub.stored
    assert get(cache).sha256 == digest(content)


@pytest.mark.parametrize("cached", [False, True])
def test_a_commit_with_another_checksum_is_refused(
    hub: Hub, repository: Repository, cache: Cache, cached: bool
) -> None:
    if cached:
        get(cache)
    with pytest.raises(ChecksumMismatch, match="0" * 64):
        get(cache, sha256="0" * 64)


@pytest.mark.parametrize(
    "location",
    [
        f"../Tiny/{FILE}@{COMMIT}",
        f"ACME/../{FILE}@{COMMIT}",
        f"ACME/Tiny..GGUF/{FILE}@{COMMIT}",
        f"ACME/Tiny--GGUF/{FILE}@{COMMIT}",
        f"ACME/Tiny/../../{FILE}@{COMMIT}",
        f"ACME/Tiny/a/../{FILE}@{COMMIT}",
        f"ACME/Tiny//etc/passwd.gguf@{COMMIT}",
        f"/etc/Tiny/{FILE}@{COMMIT}",
        f"C:/Windows/{FILE}@{COMMIT}",
        f"ACME/Tiny/C:{FILE}@{COMMIT}",
        f"ACME/Tiny/a\\b.gguf@{COMMIT}",
        f"ACME\\Tiny/{FILE}@{COMMIT}",
        f"ACME/Tiny/{FILE}\n@{COMMIT}",
        f"ACME/Tiny/tiny\0.gguf@{COMMIT}",
        f"ACME/Tiny/tiny?x=.gguf@{COMMIT}",
        f"ACME/Tiny/tiny%2e.gguf@{COMMIT}",
        f"ACME/Tïny/{FILE}@{COMMIT}",
        f"ACME/Tiny/.hidden.gguf@{COMMIT}",
        f"ACME/Tiny/model.safetensors@{COMMIT}",
        f"ACME/Tiny/{FILE}@",
        f"ACME/Tiny/{FILE}",
        f"ACME/Tiny/{FILE}@../main",
        f"ACME/Tiny/{FILE}@main?x",
        f"ACME/Tiny/{FILE}@main@{COMMIT}",
        "ACME/Tiny@main",
        "",
        f"ACME/Tiny/tiny-00002-of-00003.gguf@{COMMIT}",
    ],
)
def test_a_name_that_no_hub_has_is_refused_before_anything_is_asked(
    hub: Hub, cache: Cache, location: str
) -> None:
    with pytest.raises(UsageError) as caught:
        prepare(ModelRequest("tiny", Source.HUB, location), cache, PLENTY)
    assert caught.value.remedy
    assert not hub.asked
    assert not cache.root.exists()


_ODD = st.text(alphabet="aZ09-_.+/\\:@%? ~\0\n\u00e9", max_size=40)


@given(location=st.one_of(st.text(), _ODD, _ODD.map(lambda text: f"ACME/Tiny/{text}.gguf@main")))
def test_whatever_is_accepted_stays_below_its_folder(location: str) -> None:
    try:
        file = HubFile.of(location)
    except UsageError:
        return
    assert str(file) == location
    for name in (file.repository, *file.parts, file.revision):
        assert name.isascii()
        assert name.isprintable()
        assert not any(odd in name for odd in ("..", "\\", ":", "@", " ", "//"))
        assert not PurePosixPath(name).is_absolute()


def test_an_answer_that_names_no_commit_is_no_hub_s(
    hub: Hub, repository: Repository, cache: Cache
) -> None:
    repository.commits["../../main"] = repository.commits[COMMIT]
    repository.branches["main"] = "../../main"
    with pytest.raises(DownloadFailed, match="does not answer as a hub"):
        get(cache, revision="main")


def test_a_broken_connection_is_gone_on_with(
    hub: Hub, repository: Repository, content: bytes, cache: Cache
) -> None:
    hub.storage_faults.extend([Fault(break_after_bytes=300_000), Fault(break_after_bytes=200_000)])
    assert get(cache).sha256 == digest(content)
    ranges = [asked.headers.get("range") for asked in hub.stored]
    assert ranges == [None, "bytes=300000-", "bytes=500000-"]


def test_what_had_come_before_the_connection_was_lost_for_good_is_not_fetched_again(
    hub: Hub, repository: Repository, content: bytes, cache: Cache
) -> None:
    hub.storage_faults.append(Fault(break_after_bytes=300_000))
    hub.storage_faults.extend([Fault(break_after_bytes=0)] * 20)
    with pytest.raises(DownloadFailed, match=FILE) as caught:
        get(cache)
    assert "goes on where it stopped" in caught.value.remedy
    assert kept(cache) == {f"unfinished/{digest(content)}.part"}
    hub.storage_faults.clear()
    hub.stored.clear()
    assert get(cache).sha256 == digest(content)
    assert [asked.headers.get("range") for asked in hub.stored] == ["bytes=300000-"]
    assert kept(cache) == {f"files/{digest(content)}.gguf"}


def test_a_storage_without_ranges_starts_anew(
    hub: Hub, repository: Repository, content: bytes, cache: Cache
) -> None:
    begin(cache, content, content[:1000])
    hub.ranges = False
    assert get(cache).sha256 == digest(content)


def test_what_had_come_whole_is_not_fetched_again(
    hub: Hub, repository: Repository, content: bytes, cache: Cache
) -> None:
    begin(cache, content, content)
    assert get(cache).sha256 == digest(content)
    assert not hub.stored


def test_what_is_longer_than_the_file_is_no_start_of_it(
    hub: Hub, repository: Repository, content: bytes, cache: Cache
) -> None:
    begin(cache, content, content + b"more")
    assert get(cache).sha256 == digest(content)


@pytest.mark.parametrize("resumed", [False, True])
def test_wrong_bytes_are_not_kept(
    hub: Hub, repository: Repository, content: bytes, cache: Cache, resumed: bool
) -> None:
    wrong = b"X" + content[1:]
    if resumed:
        begin(cache, content, wrong[:1000])
    else:
        hub.storage_faults.append(Fault(body=wrong))
    with pytest.raises(ChecksumMismatch, match=digest(content)) as caught:
        get(cache)
    assert FILE in caught.value.message
    assert not kept(cache)
    assert get(cache).sha256 == digest(content)


@pytest.mark.parametrize("length", [1000, 2_000_000])
def test_a_body_of_another_length_is_told(
    hub: Hub, repository: Repository, content: bytes, cache: Cache, length: int
) -> None:
    hub.storage_faults.append(Fault(body=(content * 2)[:length]))
    with pytest.raises(DownloadFailed, match="did not come whole"):
        get(cache)
    assert not any(name.startswith("files") for name in kept(cache))
    assert get(cache).sha256 == digest(content)


def test_a_repository_that_is_not_there_is_named(hub: Hub, cache: Cache) -> None:
    with pytest.raises(ModelMissing, match=REPOSITORY) as caught:
        get(cache)
    assert hub.url in caught.value.message
    assert not kept(cache)


def test_a_revision_that_is_not_there_is_named(
    hub: Hub, repository: Repository, cache: Cache
) -> None:
    with pytest.raises(ModelMissing, match=f"no revision '{LATER_COMMIT}'"):
        get(cache, revision=LATER_COMMIT)


def test_a_file_that_is_not_there_is_named_with_those_that_are(
    hub: Hub, repository: Repository, cache: Cache
) -> None:
    with pytest.raises(ModelMissing, match=r"no file none\.gguf") as caught:
        get(cache, file="none.gguf")
    assert FILE in caught.value.remedy
    assert "README" not in caught.value.remedy


def test_a_private_repository_needs_the_token_that_the_client_reads(
    hub: Hub, repository: Repository, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.token = "hf_secret"
    with pytest.raises((ModelMissing, AccessDenied), match=REPOSITORY) as caught:
        get(cache)
    assert "HF_TOKEN" in caught.value.remedy
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert get(cache)
    assert all("authorization" not in asked.headers for asked in hub.stored)


def test_a_repository_that_asks_for_consent_is_told(
    hub: Hub, repository: Repository, cache: Cache
) -> None:
    repository.gated = True
    with pytest.raises(AccessDenied, match="consent") as caught:
        get(cache)
    assert "HF_TOKEN" in caught.value.remedy


def test_a_token_that_the_hub_does_not_take_is_told(
    hub: Hub, repository: Repository, cache: Cache
) -> None:
    reason = {"X-Error-Message": "Invalid credentials in Authorization header"}
    hub.faults.append(Fault(401, reason))
    with pytest.raises(AccessDenied, match=FILE) as caught:
        get(cache)
    assert "HF_TOKEN" in caught.value.remedy


def test_a_repository_that_was_renamed_is_followed(hub: Hub, content: bytes, cache: Cache) -> None:
    hub.add("ACME/Renamed", {FILE: content})
    moved = Fault(307, {"Location": f"/ACME/Renamed/resolve/{COMMIT}/{FILE}"})
    hub.faults.extend([moved, Fault(), moved])
    assert get(cache).sha256 == digest(content)


@pytest.mark.parametrize(("status", "error"), [(401, AccessDenied), (403, AccessDenied)])
def test_a_storage_that_refuses_is_told(
    hub: Hub, repository: Repository, cache: Cache, status: int, error: type[Exception]
) -> None:
    hub.storage_faults.append(Fault(status=status))
    with pytest.raises(error, match=FILE):
        get(cache)
    assert not kept(cache)


@pytest.mark.parametrize("fault", [Fault(429, {"Retry-After": "7"}), Fault(500), Fault(503)])
def test_a_hub_that_is_busy_for_a_while_is_asked_again(
    hub: Hub,
    repository: Repository,
    content: bytes,
    cache: Cache,
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault,
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    hub.faults.append(fault)
    assert get(cache).sha256 == digest(content)
    assert sum(slept) >= (7 if fault.headers else 1)


@pytest.mark.parametrize(("status", "reason"), [(429, "asked too often"), (500, "fails")])
def test_a_hub_that_stays_busy_is_told(
    hub: Hub, repository: Repository, cache: Cache, status: int, reason: str
) -> None:
    hub.faults.extend([Fault(status)] * 20)
    with pytest.raises(DownloadFailed, match=f"{FILE}.*{reason}") as caught:
        get(cache)
    assert "HF_TOKEN" in caught.value.remedy
    assert not cache.root.exists()


def test_a_busy_storage_is_asked_again(
    hub: Hub, repository: Repository, content: bytes, cache: Cache
) -> None:
    hub.storage_faults.append(Fault(429, {"Retry-After": "1"}))
    assert get(cache).sha256 == digest(content)


def test_a_network_that_is_not_there_is_told(
    hub: Hub, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = "http://127.0.0.1:9/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    with pytest.raises(DownloadFailed, match="could not be fetched") as caught:
        get(cache)
    assert "HF_ENDPOINT" in caught.value.remedy


def test_something_that_is_no_hub_is_told(hub: Hub, repository: Repository, cache: Cache) -> None:
    hub.faults.append(Fault(200, {"Content-Type": "text/html"}))
    with pytest.raises(DownloadFailed, match="does not answer as a hub"):
        get(cache)


def test_a_file_without_a_stated_checksum_is_refused(
    hub: Hub, repository: Repository, cache: Cache
) -> None:
    repository.large = False
    with pytest.raises(DownloadFailed, match="states no SHA-256"):
        get(cache)


def test_a_file_beyond_what_a_hub_gives_at_once_is_refused(
    hub: Hub, repository: Repository, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "MAX_HTTP_DOWNLOAD_SIZE", 1_000_000)
    with pytest.raises(DownloadFailed, match="no more than 1,000,000") as caught:
        get(cache)
    assert "parts" in caught.value.remedy
    assert not kept(cache)


def test_offline_what_is_cached_is_taken_and_what_is_not_is_told(
    hub: Hub,
    repository: Repository,
    content: bytes,
    cache: Cache,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = get(cache)
    hub.asked.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert get(cache) == made
    assert get(cache, revision="main", sha256=digest(content)) == made
    with pytest.raises(ModelMissing, match="HF_HUB_OFFLINE") as caught:
        get(Cache(tmp_path / "empty"))
    assert "unset" in caught.value.remedy
    assert not hub.asked


def test_a_damaged_file_of_the_cache_is_fetched_again(
    hub: Hub, repository: Repository, content: bytes, cache: Cache
) -> None:
    Path(get(cache).path).write_bytes(content[:-1])
    assert Path(get(cache).path).read_bytes() == content


def test_a_disk_that_is_too_small_is_told_before_anything_is_fetched(
    hub: Hub, repository: Repository, content: bytes, small_disk: Callable[[int], Path]
) -> None:
    cache = Cache(small_disk(256 * 1024) / "cache")
    with pytest.raises(DiskFull, match=f"at least {len(content):,} bytes"):
        get(cache)
    assert not hub.stored
    assert not kept(cache)


def test_a_disk_that_fills_meanwhile_is_told_and_left_clean(
    hub: Hub, repository: Repository, content: bytes, small_disk: Callable[[int], Path]
) -> None:
    disk = small_disk(4 * 1024 * 1024)

    def fill(_: Progress) -> None:
        if not (disk / "ballast").exists():
            (disk / "ballast").write_bytes(bytes(3_700_000))

    cache = Cache(disk / "cache", tell=fill)
    with pytest.raises(DiskFull, match="no room"):
        get(cache)
    assert hub.stored
    assert not kept(cache)


def test_parts_are_fetched_as_one_model(hub: Hub, tiny: Path, cache: Cache, tmp_path: Path) -> None:
    parts = write_split_gguf(tmp_path)
    hub.add(REPOSITORY, {part.name: part.read_bytes() for part in parts})
    made = get(cache, file=parts[0].name)
    joint = digest("".join(f"{digest(part.read_bytes())}\n" for part in parts).encode())
    assert made.sha256 == joint
    assert made.file_bytes == sum(part.stat().st_size for part in parts)
    assert Path(made.path).name == f"{joint}-00001-of-00003.gguf"
    assert len(kept(cache)) == len(parts)
    asked = len(hub.asked)
    assert get(cache, file=parts[0].name) == made
    assert get(cache, file=parts[0].name, revision="main", sha256=joint) == made
    assert len(hub.asked) == asked
    assert get(cache, file=parts[0].name, quantization=Quantization("Q4_0")).quantization == "Q4_0"
    assert runs(made)


def test_of_a_model_in_parts_only_what_is_missing_or_damaged_is_fetched(
    hub: Hub, cache: Cache, tmp_path: Path
) -> None:
    parts = write_split_gguf(tmp_path)
    hub.add(REPOSITORY, {part.name: part.read_bytes() for part in parts})
    hub.storage_faults.extend([Fault(), Fault(status=500)])
    with pytest.raises(DownloadFailed, match=parts[1].name):
        get(cache, file=parts[0].name)
    hub.stored.clear()
    made = get(cache, file=parts[0].name)
    fetched = [asked.path.strip("/") for asked in hub.stored]
    assert fetched == [digest(part.read_bytes()) for part in parts[1:]]
    second = Path(made.path.replace("-00001-of", "-00002-of"))
    second.write_bytes(b"damaged")
    hub.stored.clear()
    assert replace(get(cache, file=parts[0].name), files=made.files) == made
    assert [asked.path.strip("/") for asked in hub.stored] == fetched[:1]


def test_a_part_that_the_hub_has_not_is_named(hub: Hub, cache: Cache, tmp_path: Path) -> None:
    parts = write_split_gguf(tmp_path)
    hub.add(REPOSITORY, {part.name: part.read_bytes() for part in parts[:2]})
    with pytest.raises(ModelMissing, match=parts[2].name):
        get(cache, file=parts[0].name)
    assert not hub.stored


def foreseen(cache: Cache, folder: Path, **changes: object) -> Foreseen:
    return foresee(request(**changes), cache, folder)  # type: ignore[arg-type]


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize("kind", [None, Quantization("Q4_0")])
def test_what_a_model_will_be_is_told_from_its_header_alone(
    hub: Hub,
    content: bytes,
    cache: Cache,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: Quantization | None,
) -> None:
    monkeypatch.setattr(outline, "START_BYTES", (100_000, 200_000))
    told = foreseen(cache, tmp_path, quantization=kind)
    assert told.download_bytes == len(content)
    assert [asked.headers.get("range") for asked in hub.stored] == ["bytes=0-99999"]
    assert not cache.root.exists()
    made = get(cache, quantization=kind)
    assert (told.model.weight_bytes, told.model.quantization) == (
        made.weight_bytes,
        made.quantization,
    )
    assert told.model.file_bytes == made.file_bytes
    assert foreseen(cache, tmp_path, quantization=kind).download_bytes == 0


def test_a_header_longer_than_most_is_fetched_in_a_second_go(
    hub: Hub,
    repository: Repository,
    cache: Cache,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outline, "START_BYTES", (1_000, 100_000))
    assert foreseen(cache, tmp_path).model.architecture == "qwen2"
    assert len(hub.stored) == 2


def test_a_server_without_ranges_is_not_read_to_the_end(
    hub: Hub, repository: Repository, content: bytes, cache: Cache, tmp_path: Path
) -> None:
    hub.ranges = False
    told = foreseen(cache, tmp_path)
    assert told.model.file_bytes == len(content)


def test_a_split_model_is_foreseen_from_the_headers_of_its_parts(
    hub: Hub, cache: Cache, tmp_path: Path
) -> None:
    parts = write_split_gguf(tmp_path)
    hub.add(REPOSITORY, {path.name: path.read_bytes() for path in parts})
    told = foreseen(
        cache, tmp_path / "folder", file=parts[0].name, quantization=Quantization("Q8_0")
    )
    assert told.download_bytes == sum(path.stat().st_size for path in parts)
    made = get(cache, file=parts[0].name, quantization=Quantization("Q8_0"))
    assert told.model.weight_bytes == made.weight_bytes


def test_what_is_not_pinned_is_refused_before_its_header_is_fetched(
    hub: Hub, repository: Repository, cache: Cache, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=COMMIT):
        foreseen(cache, tmp_path, revision="main")
    with pytest.raises(ChecksumMismatch):
        foreseen(cache, tmp_path, sha256="0" * 64)
    assert hub.stored == []
