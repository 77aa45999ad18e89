import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from odllm_agent.contract import ModelRequest, Quantization, Source
from odllm_agent.errors import ChecksumMismatch, ModelMissing, UsageError
from odllm_agent.models import Cache, ladder, prepare
from tests.models import Shape, write_gguf

PLENTY = 10**12


@pytest.fixture
def rungs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A ladder of two small models in the place of the packaged one."""
    models = []
    for name, layers in (("larger", 2), ("smaller", 1)):
        path = write_gguf(tmp_path / f"{name}-F16.gguf", Shape(layers=layers))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        models.append({"name": name, "file": path.name, "sha256": digest, "n_params": layers})
    (tmp_path / "ladder.json").write_text(json.dumps({"models": models}))
    monkeypatch.setattr(ladder, "folder", lambda: tmp_path)
    ladder.origins.cache_clear()
    yield tmp_path
    ladder.origins.cache_clear()


def request(name: str, quantization: Quantization | None = None) -> ModelRequest:
    return ModelRequest(name, Source.REFERENCE, name, quantization)


def test_a_reference_model_is_read_where_it_is_installed(rungs: Path, cache: Cache) -> None:
    made = prepare(request("larger", Quantization("F16")), cache, PLENTY)
    assert made.path == str(rungs / "larger-F16.gguf")
    assert not cache.root.exists()


def test_a_reference_model_is_quantized_into_the_cache(rungs: Path, cache: Cache) -> None:
    made = prepare(request("smaller", Quantization("Q4_0")), cache, PLENTY)
    assert cache.root in Path(made.path).parents
    assert len(list(rungs.glob("*.gguf"))) == 2


def test_an_unknown_name_is_answered_with_the_known_ones(rungs: Path, cache: Cache) -> None:
    assert rungs.exists()
    with pytest.raises(UsageError, match="'huge'") as caught:
        prepare(request("huge"), cache, PLENTY)
    assert caught.value.remedy == "known reference models: smaller, larger"


def test_a_changed_packaged_file_is_told(rungs: Path, cache: Cache) -> None:
    path = rungs / "smaller-F16.gguf"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ChecksumMismatch, match=r"smaller-F16\.gguf"):
        prepare(request("smaller"), cache, PLENTY)


def test_a_package_without_models_is_told(rungs: Path, cache: Cache) -> None:
    (rungs / "ladder.json").unlink()
    with pytest.raises(ModelMissing, match="not installed"):
        prepare(request("smaller"), cache, PLENTY)


@pytest.mark.skipif(
    not (ladder.folder() / "ladder.json").exists(), reason="the reference files are not made yet"
)
def test_the_packaged_models_are_what_their_description_says(tmp_path: Path) -> None:
    sizes = [prepare(request(name), Cache(tmp_path), PLENTY).n_weights for name in ladder.origins()]
    assert len(sizes) == 3
    assert sizes == sorted(sizes)
