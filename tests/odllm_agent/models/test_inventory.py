"""Which models a device has, and which of them an experiment needs."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from odllm_agent.cache.cache import Conversion
from odllm_agent.contract import EventKind, ModelFile, ModelRequest, Quantization, Source
from odllm_agent.errors import ModelInvalid, UsageError
from odllm_agent.models import Cache, holdings, prepare, removed, unneeded
from tests.hub_server import COMMIT, LATER_COMMIT, Hub
from tests.models import write_gguf

PLENTY = 10**12
REPOSITORY, FILE = "ACME/Tiny-1M-GGUF", "tiny-F16.gguf"
LOCATION = f"{REPOSITORY}/{FILE}@{COMMIT}"
Q8_0, Q4_0 = Quantization("Q8_0"), Quantization("Q4_0")


def of_hub(quantization: Quantization | None = None, location: str = LOCATION) -> ModelRequest:
    return ModelRequest("tiny", Source.HUB, location, quantization)


def of_file(path: Path, quantization: Quantization | None = None) -> ModelRequest:
    return ModelRequest("file", Source.FILE, str(path), quantization)


def of_shape(seed: int) -> ModelRequest:
    return ModelRequest("shape", Source.SHAPE, "qwen2.5-0.5B", Q4_0, seed=seed)


def get(request: ModelRequest, cache: Cache) -> ModelFile:
    return prepare(request, cache, PLENTY)


def left_over(requests: Sequence[ModelRequest], cache: Cache) -> set[str]:
    return {each.sha256 for each in unneeded(requests, cache)}


@pytest.fixture
def content(hub: Hub, tiny: Path) -> bytes:
    hub.add(REPOSITORY, {FILE: tiny.read_bytes()})
    return tiny.read_bytes()


def test_a_device_tells_what_it_has_by_the_names_that_people_know(
    content: bytes, cache: Cache
) -> None:
    source, made = get(of_hub(), cache), get(of_hub(Q8_0), cache)
    found = {each.sha256: each for each in holdings(cache)}
    assert set(found) == {source.sha256, made.sha256}
    assert found[source.sha256].origin == f"hub:{LOCATION}"
    assert found[source.sha256].quantization == "F16"
    assert found[made.sha256].origin.startswith(f"hub:{LOCATION}, Q8_0, ")
    assert found[made.sha256].file_bytes == made.file_bytes


def test_an_empty_cache_has_nothing(cache: Cache) -> None:
    assert holdings(cache) == unneeded([of_hub()], cache) == ()


def test_the_source_and_the_types_that_are_asked_for_are_needed(
    content: bytes, cache: Cache
) -> None:
    source, eight, four = (get(of_hub(kind), cache) for kind in (None, Q8_0, Q4_0))
    assert left_over([of_hub(Q8_0), of_hub(Q4_0)], cache) == set()
    assert left_over([of_hub(Q8_0)], cache) == {four.sha256}
    assert left_over([of_hub()], cache) == {eight.sha256, four.sha256}
    assert left_over([], cache) == {source.sha256, eight.sha256, four.sha256}


def test_the_same_name_at_another_commit_is_another_model(
    hub: Hub, content: bytes, cache: Cache, tmp_path: Path
) -> None:
    newer = write_gguf(tmp_path / "newer.gguf", seed=1).read_bytes()
    hub.add(REPOSITORY, {FILE: newer}, LATER_COMMIT)
    old, new = (
        get(of_hub(location=f"{REPOSITORY}/{FILE}@{commit}"), cache)
        for commit in (COMMIT, LATER_COMMIT)
    )
    assert left_over([of_hub()], cache) == {new.sha256}
    assert left_over([of_hub(location=f"{REPOSITORY}/{FILE}@main")], cache) == set()
    assert old.sha256 != new.sha256


def test_types_of_files_beside_the_cache_are_told_by_the_file_s_content(
    tiny: Path, cache: Cache, tmp_path: Path
) -> None:
    other = write_gguf(tmp_path / "other-F16.gguf", seed=1)
    kept, gone = get(of_file(tiny, Q8_0), cache), get(of_file(other, Q8_0), cache)
    assert left_over([of_file(tiny, Q8_0)], cache) == {gone.sha256}
    assert kept.sha256 != gone.sha256


def test_a_file_that_cannot_be_read_leaves_everything_where_it_is(tiny: Path, cache: Cache) -> None:
    get(of_file(tiny, Q8_0), cache)
    with pytest.raises(ModelInvalid, match="none"):
        unneeded([of_file(Path("/none.gguf"))], cache)


def test_types_of_reference_models_are_needed_by_their_names(cache: Cache) -> None:
    small, large = (
        ModelRequest(name, Source.REFERENCE, name, Q4_0)
        for name in ("reference-1.6M", "reference-2.8M")
    )
    made = {request.name: get(request, cache).sha256 for request in (small, large)}
    assert left_over([small], cache) == {made["reference-2.8M"]}
    with pytest.raises(UsageError, match="no reference model"):
        unneeded([ModelRequest("none", Source.REFERENCE, "none", Q4_0)], cache)


def test_a_form_for_openvino_is_needed_as_long_as_its_model_is(tiny: Path, cache: Cache) -> None:
    made = get(of_file(tiny, Q8_0), cache)

    def convert(folder: Path) -> None:
        folder.mkdir()
        (folder / "openvino_model.xml").write_text("<net/>")

    form = cache.derived(Conversion(made.sha256, "2.0"), convert, 100)
    assert left_over([of_file(tiny, Q8_0)], cache) == set()
    assert left_over([of_file(tiny)], cache) == {made.sha256, form.sha256}


def test_what_is_removed_is_gone_and_told(tiny: Path, tmp_path: Path) -> None:
    told: list[tuple[EventKind, str]] = []
    cache = Cache(tmp_path / "cache", report=lambda kind, detail: told.append((kind, detail)))
    eight, four = (get(of_file(tiny, kind), cache) for kind in (Q8_0, Q4_0))
    assert removed([four.sha256, "0" * 64], cache) == (four.sha256,)
    assert [each.sha256 for each in holdings(cache)] == [eight.sha256]
    assert [kind for kind, _ in told] == [*[EventKind.MODEL_ADDED] * 2, EventKind.MODEL_REMOVED]
    assert told[-1][1].startswith(f"{four.sha256}: ")


def test_what_another_process_was_given_is_not_removed(tiny: Path, cache: Cache) -> None:
    made = get(of_file(tiny, Q8_0), cache)
    another = Cache(cache.root)
    another.hold(made.sha256)
    assert removed([made.sha256], cache) == ()
    another.let_go(made.sha256)
    assert removed([made.sha256], cache) == (made.sha256,)


def test_what_makes_room_is_told_too(tiny: Path, tmp_path: Path) -> None:
    told: list[tuple[EventKind, str]] = []
    get(of_file(tiny, Q8_0), Cache(tmp_path / "cache"))
    limited = Cache(
        tmp_path / "cache",
        limit_bytes=900_000,
        report=lambda kind, detail: told.append((kind, detail)),
    )
    get(of_file(tiny, Q4_0), limited)
    assert [kind for kind, _ in told] == [EventKind.MODEL_REMOVED, EventKind.MODEL_ADDED]
    assert "to make room" in told[0][1]
