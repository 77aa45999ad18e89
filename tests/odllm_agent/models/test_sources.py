import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import gguf
import pytest

from odllm_agent.contract import ModelFile, ModelRequest, Quantization, Source
from odllm_agent.errors import (
    ChecksumMismatch,
    DiskFull,
    ModelInvalid,
    ModelMissing,
    ModelTooLarge,
    UsageError,
)
from odllm_agent.formats.card import name_of_file
from odllm_agent.host.memory_fit import with_spare
from odllm_agent.models import Cache, foresee, local_file, prepare, read_header
from odllm_agent.models.quantizing import quantizer
from tests.models import LADDER, write_gguf
from tests.reading import at_most_read

PLENTY = 10**12


def request(
    path: Path, quantization: Quantization | None = None, sha256: str | None = None
) -> ModelRequest:
    return ModelRequest("tiny", Source.FILE, str(path), quantization, sha256)


def sha256(path: Path | str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def forbidden(*_: object) -> None:
    pytest.fail("the file was quantized again")


def files(cache: Cache) -> list[Path]:
    return list(cache.root.rglob("*.gguf"))


@pytest.mark.parametrize("quantization", [None, Quantization("F16")])
def test_a_file_that_is_as_asked_is_taken_where_it_lies(
    tiny: Path, cache: Cache, quantization: Quantization | None
) -> None:
    made = prepare(request(tiny, quantization), cache, PLENTY)
    assert (made.name, made.quantization, made.path) == ("tiny", "F16", str(tiny))
    assert made.sha256 == sha256(tiny)
    assert made.file_bytes == tiny.stat().st_size
    assert not cache.root.exists()


@pytest.mark.parametrize("quantization", LADDER)
def test_bits_per_weight_are_those_of_the_tensors(
    tiny: Path, cache: Cache, quantization: Quantization
) -> None:
    made = prepare(request(tiny, quantization), cache, PLENTY)
    tensors = gguf.GGUFReader(made.path).tensors
    n_bytes = sum(tensor.data.nbytes for tensor in tensors)
    n_weights = sum(int(tensor.shape.prod()) for tensor in tensors)
    assert made.file_bpw == 8 * n_bytes / n_weights
    assert made.quantization == quantization
    assert made.sha256 == sha256(made.path)
    assert made.n_weights == n_weights
    assert made.tensor_types == tuple(sorted({tensor.tensor_type.name for tensor in tensors}))
    assert (made.architecture, made.context_tokens) == ("qwen2", 1024)


def test_what_was_made_once_is_not_made_again(
    tiny: Path, cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = prepare(request(tiny, Quantization("Q4_K_M")), cache, PLENTY)
    copy = tmp_path / "another name.gguf"
    copy.write_bytes(tiny.read_bytes())
    monkeypatch.setattr(quantizer, "quantize", forbidden)
    assert prepare(request(copy, Quantization("Q4_K_M")), cache, PLENTY) == first


def test_the_same_source_gives_the_same_bytes(tiny: Path, tmp_path: Path) -> None:
    first, second = (
        prepare(request(tiny, Quantization("Q3_K_M")), Cache(tmp_path / name), PLENTY)
        for name in "ab"
    )
    assert first.path != second.path
    assert first.sha256 == second.sha256


def test_another_source_gives_other_bytes(tiny: Path, cache: Cache, tmp_path: Path) -> None:
    other = write_gguf(tmp_path / "other.gguf", seed=1)
    first, second = (
        prepare(request(path, Quantization("Q4_0")), cache, PLENTY) for path in (tiny, other)
    )
    assert first.sha256 != second.sha256


def test_another_version_of_the_quantizer_makes_its_own(
    tiny: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(request(tiny, Quantization("Q4_0")), cache, PLENTY)
    monkeypatch.setattr(quantizer, "version", lambda: "newer")
    prepare(request(tiny, Quantization("Q4_0")), cache, PLENTY)
    assert len(list((cache.root / "derived").iterdir())) == 2


def test_a_damaged_file_of_the_cache_is_made_again(tiny: Path, cache: Cache) -> None:
    made = prepare(request(tiny, Quantization("Q4_0")), cache, PLENTY)
    content = bytearray(Path(made.path).read_bytes())
    content[-1] ^= 1
    Path(made.path).write_bytes(content)
    again = prepare(request(tiny, Quantization("Q4_0")), cache, PLENTY)
    assert replace(again, files=made.files) == made
    assert sha256(made.path) == made.sha256


def test_the_stated_checksum_is_that_of_the_source(tiny: Path, cache: Cache) -> None:
    right = sha256(tiny).upper()
    for quantization in (None, Quantization("Q4_0")):
        assert prepare(request(tiny, quantization, right), cache, PLENTY)


@pytest.mark.parametrize("quantization", [None, Quantization("Q4_0")])
def test_a_wrong_checksum_names_both(
    tiny: Path, cache: Cache, quantization: Quantization | None
) -> None:
    with pytest.raises(ChecksumMismatch, match="0" * 64) as caught:
        prepare(request(tiny, quantization, "0" * 64), cache, PLENTY)
    assert sha256(tiny) in caught.value.message
    assert str(tiny) in caught.value.message
    assert caught.value.remedy
    assert files(cache) == []


def test_what_is_no_checksum_is_refused(tiny: Path, cache: Cache) -> None:
    with pytest.raises(UsageError, match="no SHA-256"):
        prepare(request(tiny, None, "abc"), cache, PLENTY)


def test_other_types_are_made_of_a_quantized_source_where_that_is_asked_for(
    tiny: Path, cache: Cache, tmp_path: Path
) -> None:
    source = Path(prepare(request(tiny, Quantization("Q8_0")), cache, PLENTY).path)
    for kind in ("F16", "Q4_0"):
        wanted = replace(request(source, Quantization(kind)), requantize=True)
        foreseen = foresee(wanted, cache, tmp_path).model
        made = prepare(wanted, cache, PLENTY)
        assert made.quantization == kind
        assert "made of a Q8_0 file" in made.remarks[0]
        assert (foreseen.file_bpw, foreseen.remarks) == (made.file_bpw, made.remarks)


def test_a_file_that_nobody_named_is_called_by_its_header_or_its_own_name(
    tiny: Path, cache: Cache
) -> None:
    unnamed = replace(request(tiny, Quantization("Q4_0")), is_named=False)
    header = read_header(tiny)
    expected = name_of_file(header.card.title, tiny.stem, "F16")
    assert prepare(unnamed, cache, PLENTY).name == expected
    assert prepare(replace(unnamed, quantization=None), cache, PLENTY).name == expected


def test_a_quantized_source_is_not_quantized_again(tiny: Path, cache: Cache) -> None:
    made = Path(prepare(request(tiny, Quantization("Q8_0")), cache, PLENTY).path)
    with pytest.raises(UsageError, match="Q8_0 and cannot be made Q4_0") as caught:
        prepare(request(made, Quantization("Q4_0")), cache, PLENTY)
    assert "F16" in caught.value.remedy
    assert prepare(request(made, Quantization("Q8_0")), cache, PLENTY).path == str(made)


def test_a_missing_file_is_told(tmp_path: Path, cache: Cache) -> None:
    with pytest.raises(ModelMissing, match=r"none\.gguf"):
        prepare(request(tmp_path / "none.gguf"), cache, PLENTY)


def test_a_truncated_file_is_told_before_any_engine_sees_it(
    tiny: Path, cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantizer, "quantize", forbidden)
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(tiny.read_bytes()[:-1000])
    with pytest.raises(ModelInvalid, match="cut off"):
        prepare(request(cut, Quantization("Q4_0")), cache, PLENTY)


@pytest.mark.parametrize("quantization", [None, Quantization("Q8_0")])
def test_a_model_beyond_memory_is_told_with_both_sizes(
    tiny: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch, quantization: Quantization | None
) -> None:
    monkeypatch.setattr(quantizer, "quantize", forbidden)
    with pytest.raises(ModelTooLarge, match=r"at least 0\.0[67] GB .*0\.03 GB are free") as caught:
        prepare(request(tiny, quantization), cache, 30_000_000)
    assert "tiny" in caught.value.message
    assert "smaller model" in caught.value.remedy


def test_what_is_made_is_measured_too(tiny: Path, cache: Cache) -> None:
    made = prepare(request(tiny, Quantization("Q2_K")), cache, PLENTY)
    enough = with_spare(made.file_bytes)
    assert prepare(request(tiny, Quantization("Q2_K")), cache, enough) == made
    with pytest.raises(ModelTooLarge):
        prepare(request(tiny, Quantization("Q2_K")), cache, enough - 1)


@pytest.mark.skipif(os.name == "nt", reason="Windows takes the room of a sparse file at once")
def test_a_vast_file_is_refused_without_reading_it(tmp_path: Path, cache: Cache) -> None:
    vast = write_gguf(tmp_path / "vast.gguf")
    os.truncate(vast, 100 * 10**9)
    with at_most_read(10**7), pytest.raises(ModelTooLarge, match=r"105\.06 GB"):
        prepare(request(vast), cache, 24 * 10**9)
    vast.unlink()


@pytest.mark.parametrize("fills_late", [False, True])
def test_a_full_disk_is_told_and_left_clean(
    tiny: Path, cache: Cache, small_disk: Callable[[int], Path], fills_late: bool
) -> None:
    wanted = request(tiny, Quantization("Q2_K"))
    made_bytes = prepare(wanted, cache, PLENTY).file_bytes
    least_bytes = quantizer.least_bytes(read_header(tiny), Quantization("Q2_K"))
    # Below what is surely needed it is plain before the start; halfway the disk fills while
    # llama.cpp is writing.
    room_bytes = (least_bytes + made_bytes) // 2 if fills_late else least_bytes // 2
    small = Cache(small_disk(room_bytes) / "cache")
    with pytest.raises(DiskFull, match=f"{least_bytes:,} bytes are needed") as caught:
        prepare(wanted, small, PLENTY)
    assert str(small.root) in caught.value.message
    assert list((small.root / "files").iterdir()) == []


def _prepare(path: Path, root: Path) -> ModelFile:
    return prepare(request(path, Quantization("Q4_0")), Cache(root), PLENTY)


def test_processes_that_prepare_the_same_file_at_once_agree(tiny: Path, tmp_path: Path) -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        started = [pool.submit(_prepare, tiny, tmp_path / "cache") for _ in range(4)]
        made = [future.result() for future in started]
    assert len(set(made)) == 1
    assert sha256(made[0].path) == made[0].sha256
    assert sorted((tmp_path / "cache" / "files").iterdir()) == [Path(made[0].path)]


def test_a_source_that_cannot_foresee_is_not_asked_to_fetch(
    tiny: Path, cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(local_file, "foresee")
    monkeypatch.setattr(local_file, "locate", forbidden)
    with pytest.raises(ModelMissing, match="not known before it is fetched"):
        foresee(request(tiny), cache, tmp_path)
