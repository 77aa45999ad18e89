"""Folders of OpenVINO's own form as models."""

import dataclasses
from pathlib import Path

import pytest

from odllm_agent.contract import Format, ModelFile, ModelRequest, Quantization, Source
from odllm_agent.errors import ChecksumMismatch, ModelInvalid, ModelTooLarge, UsageError
from odllm_agent.formats.readable import why_unsupported
from odllm_agent.models import Cache, foresee, ir_folder, prepare
from tests.models import write_ir_folder

PLENTY = 10**12


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_ir_folder(tmp_path)


def taken(
    path: Path,
    quantization: Quantization | None = None,
    sha256: str | None = None,
    available_bytes: int = PLENTY,
) -> ModelFile:
    request = ModelRequest("mine", Source.FILE, str(path), quantization, sha256)
    return prepare(request, Cache(path / "cache"), available_bytes)


def test_a_folder_is_described_by_its_graph_and_config(folder: Path) -> None:
    found = taken(folder)
    assert (found.name, found.quantization, found.path) == ("mine", "FP16", str(folder))
    assert (found.n_weights, found.weight_bytes, found.file_bpw) == (32, 64, 16.0)
    assert (found.architecture, found.context_tokens) == ("phi3", 4096)
    assert (found.tensor_types, found.format) == (("f16",), Format.OPENVINO_IR)


def test_only_openvino_runs_it(folder: Path) -> None:
    assert why_unsupported("openvino", taken(folder)) is None
    assert "GGUF" in (why_unsupported("llama_cpp", taken(folder)) or "")


def test_its_checksum_follows_every_file_that_counts_and_no_other(folder: Path) -> None:
    first = taken(folder).sha256
    (folder / "README.md").write_text("read me")
    assert taken(folder).sha256 == first
    (folder / "openvino_tokenizer.xml").write_text("<net/>")
    second = taken(folder).sha256
    weights = bytearray((folder / "openvino_model.bin").read_bytes())
    weights[0] ^= 1
    (folder / "openvino_model.bin").write_bytes(weights)
    assert len({first, second, taken(folder).sha256}) == 3


def test_the_stated_checksum_must_be_its_own(folder: Path) -> None:
    assert taken(folder, sha256=taken(folder).sha256)
    with pytest.raises(ChecksumMismatch, match="0" * 64):
        taken(folder, sha256="0" * 64)


def test_it_is_not_quantized_again(folder: Path) -> None:
    with pytest.raises(UsageError, match="FP16 in OpenVINO's form and cannot be made Q4_0"):
        taken(folder, Quantization("Q4_0"))


def test_a_folder_beyond_memory_is_told(folder: Path) -> None:
    with pytest.raises(ModelTooLarge, match="mine"):
        taken(folder, available_bytes=1000)


@pytest.mark.parametrize("config", [None, "{", "[]", '{"model_type": "phi3"}'])
def test_a_folder_that_does_not_say_what_it_is_is_refused(folder: Path, config: str | None) -> None:
    (folder / "config.json").unlink()
    if config is not None:
        (folder / "config.json").write_text(config)
    with pytest.raises(ModelInvalid, match=r"config\.json"):
        taken(folder)


def test_another_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelInvalid, match="folder"):
        taken(tmp_path)


def test_what_a_folder_will_be_is_told_without_reading_its_weights(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    described = taken(folder)
    monkeypatch.setattr(ir_folder, "read_through", None)
    request = ModelRequest("mine", Source.FILE, str(folder))
    told = foresee(request, Cache(tmp_path / "cache"), tmp_path)
    assert told.model == dataclasses.replace(described, path="", sha256="", files=())
    assert (told.header, told.download_bytes, told.disk_bytes) == (None, 0, 0)
    with pytest.raises(UsageError, match="cannot be made Q4_0"):
        foresee(
            dataclasses.replace(request, quantization=Quantization("Q4_0")), Cache(folder), folder
        )
