"""Shapes: laid out as llama.cpp would, filled the same everywhere, and run by llama.cpp."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader

from odllm_agent import engines
from odllm_agent.contract import Engine, ModelRequest, Quantization, Source
from odllm_agent.engines.settings import check_settings
from odllm_agent.errors import DiskFull, ModelTooLarge, UsageError
from odllm_agent.formats.architectures import ARCHITECTURES, ROPE_FACTORS, rope_factors
from odllm_agent.host.memory_fit import with_spare
from odllm_agent.models import Cache, Header, prepare, random_weights, read_header
from odllm_agent.models.quantizing import quantizer
from odllm_agent.models.quantizing.dry_run import foresee
from odllm_agent.models.quantizing.quantizer import quantize
from odllm_agent.models.skeleton import write_skeleton
from tests.models import LADDER, recipe

Q4_0 = Quantization("Q4_0")
PLENTY = 10**12
# Small ones with rows that fill whole blocks of 256 and rows that do not, embeddings of their own
# or shared, biases or rotary factors.
SMALL = {
    "small-qwen": replace(
        ARCHITECTURES["qwen2.5-7B"],
        layers=2,
        width=256,
        ffn=384,
        heads=4,
        kv_heads=2,
        vocabulary=600,
    ),
    "small-llama": replace(
        ARCHITECTURES["llama-3.2-1B"],
        layers=8,
        width=384,
        ffn=512,
        heads=6,
        kv_heads=3,
        vocabulary=600,
    ),
}


@pytest.fixture(autouse=True)
def small_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, architecture in SMALL.items():
        monkeypatch.setitem(ARCHITECTURES, name, architecture)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """A cache for tests that only look at what is in it."""
    return Cache(tmp_path_factory.mktemp("shared") / "cache")


def request(
    name: str = "small-qwen",
    quantization: Quantization | None = Q4_0,
    **changes: object,
) -> ModelRequest:
    fields: dict[str, object] = {
        "name": "a shape",
        "source": Source.SHAPE,
        "location": name,
        "quantization": quantization,
    }
    return ModelRequest(**(fields | changes))  # type: ignore[arg-type]


def files(cache: Cache) -> list[Path]:
    return list((cache.root / "files").glob("*")) if cache.root.exists() else []


def types(header: Header) -> dict[str, str]:
    return {tensor.name: tensor.type for tensor in header.tensors}


def forbidden(*_: object) -> None:
    pytest.fail("weights were written")


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("quantization", LADDER)
def test_a_shape_is_laid_out_as_the_quantizer_would(
    shared: Cache, tmp_path: Path, name: str, quantization: Quantization
) -> None:
    made = read_header(Path(prepare(request(name, quantization), shared, PLENTY).path))
    exact = read_header(Path(prepare(request(name, Quantization("F16")), shared, PLENTY).path))
    quantize(exact, tmp_path / "quantized.gguf", recipe(quantization))
    expected = read_header(tmp_path / "quantized.gguf")
    assert types(made) == types(expected)
    assert made.file_bytes == expected.file_bytes
    assert made.quantization == quantization
    assert made.n_weights == SMALL[name].n_weights


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("quantization", LADDER)
def test_llama_cpp_runs_it_and_tells_tokens_apart(
    shared: Cache, name: str, quantization: Quantization
) -> None:
    model = prepare(request(name, quantization), shared, PLENTY)
    engine = Engine("llama_cpp", "", check_settings("llama_cpp", {"threads": 1}))
    with engines.load(engine, model, 64) as session:
        assert session.vocabulary == 600
        assert session.tokenize("abc")
        logits = session.logits([1, 2, 3, 4])
    assert np.isfinite(logits).all()
    assert 0.05 < logits.std() < 5
    for one, other in pairwise(logits):
        assert np.abs(one - other).max() > 0.1


@pytest.mark.parametrize("quantization", [Quantization("F16"), Quantization("Q4_K_M")])
def test_no_two_rows_are_equal(shared: Cache, quantization: Quantization) -> None:
    made = prepare(request("small-llama", quantization), shared, PLENTY)
    for tensor in GGUFReader(made.path).tensors:
        rows = np.atleast_2d(tensor.data)
        assert len(np.unique(rows, axis=0)) == len(rows)


def test_tensors_of_one_shape_are_not_equal(shared: Cache) -> None:
    made = prepare(request(), shared, PLENTY)
    tensors = {tensor.name: tensor.data.tobytes() for tensor in GGUFReader(made.path).tensors}
    assert tensors["blk.0.ffn_up.weight"] != tensors["blk.1.ffn_up.weight"]
    assert tensors["blk.0.ffn_up.weight"] != tensors["blk.0.ffn_gate.weight"]


def test_rotary_factors_are_the_real_ones(shared: Cache) -> None:
    made = prepare(request("small-llama"), shared, PLENTY)
    (found,) = (t.data for t in GGUFReader(made.path).tensors if t.name == ROPE_FACTORS)
    assert found.tolist() == pytest.approx(rope_factors(SMALL["small-llama"]), rel=1e-6)


# Of the weights alone: the header is gguf-py's work and may change with it.
@pytest.mark.parametrize(
    ("name", "quantization", "expected"),
    [
        ("small-qwen", Quantization("F16"), "e48d0f72eb160f52"),
        ("small-qwen", Quantization("Q4_K_M"), "318d5c4c9a5360ef"),
        ("small-llama", Quantization("Q2_K"), "9ab4333e513fe633"),
    ],
)
def test_the_same_seed_gives_the_same_bytes_everywhere(
    shared: Cache, name: str, quantization: Quantization, expected: str
) -> None:
    header = read_header(Path(prepare(request(name, quantization), shared, PLENTY).path))
    weights = header.path.read_bytes()[header.layout.data_start_bytes :]
    assert hashlib.sha256(weights).hexdigest()[:16] == expected


def test_the_same_request_gives_the_same_file_in_another_cache(tmp_path: Path) -> None:
    first, second = (prepare(request(), Cache(tmp_path / name), PLENTY) for name in "ab")
    assert first.sha256 == second.sha256
    assert first.path != second.path


def test_another_seed_gives_other_bytes_of_the_same_layout(cache: Cache) -> None:
    first, second = (prepare(request(seed=seed), cache, PLENTY) for seed in (0, 1))
    assert first.sha256 != second.sha256
    assert first.file_bytes == second.file_bytes
    assert len(files(cache)) == 2


def test_what_was_made_once_is_not_made_again(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = prepare(request(), cache, PLENTY)
    monkeypatch.setattr(random_weights, "fill", forbidden)
    monkeypatch.setattr(quantizer, "foreseen_types", forbidden)
    assert prepare(request(), cache, PLENTY) == first


def test_a_cache_that_was_emptied_meanwhile_is_filled_again(cache: Cache, tmp_path: Path) -> None:
    first = prepare(request(), cache, PLENTY)
    cache.root.rename(tmp_path / "away")
    again = prepare(request(), cache, PLENTY)
    assert replace(again, files=first.files) == first


@pytest.mark.parametrize("changed", ["quantizer", "recipe", "architecture"])
def test_whatever_decides_on_the_bytes_makes_another_file(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    prepare(request(), cache, PLENTY)
    if changed == "quantizer":
        monkeypatch.setattr(quantizer, "version", lambda: "newer")
    elif changed == "recipe":
        monkeypatch.setattr(random_weights, "VERSION", 99)
    else:
        other = replace(SMALL["small-qwen"], vocabulary=601)
        monkeypatch.setitem(ARCHITECTURES, "small-qwen", other)
        (cache.root / "skeletons" / "small-qwen.gguf").unlink()
    prepare(request(), cache, PLENTY)
    assert len(list((cache.root / "derived").iterdir())) == 2


def test_a_shape_says_that_and_why_it_has_no_quality(shared: Cache) -> None:
    made = prepare(request(), shared, PLENTY)
    assert "random" in made.no_quality


@pytest.mark.parametrize("short_bytes", [1, 200_000])
def test_what_does_not_fit_in_memory_is_told_before_anything_is_written(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short_bytes: int
) -> None:
    fitting = with_spare(prepare(request(), Cache(tmp_path / "other"), PLENTY).file_bytes)
    monkeypatch.setattr(random_weights, "fill", forbidden)
    with pytest.raises(ModelTooLarge, match="a shape as Q4_0"):
        prepare(request(), cache, fitting - short_bytes)
    assert files(cache) == []


def test_a_published_model_beyond_memory_is_told_with_its_size(cache: Cache) -> None:
    with pytest.raises(ModelTooLarge, match=r"at least 31\.\d\d GB"):
        prepare(request("qwen2.5-14B", Quantization("F16")), cache, 24 * 10**9)
    assert files(cache) == []


def test_a_disk_that_is_too_small_is_told_before_anything_is_written(
    small_disk: Callable[[int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = prepare(request(), Cache(tmp_path / "other"), PLENTY).file_bytes
    # Room for what is surely needed, but not for all and the headers that lie there too.
    small = Cache(small_disk(needed) / "cache")
    monkeypatch.setattr(random_weights, "fill", forbidden)
    with pytest.raises(DiskFull, match=f"at least {needed:,} bytes"):
        prepare(request(), small, PLENTY)
    assert files(small) == []


def test_a_disk_without_room_for_a_header_is_told(small_disk: Callable[[int], Path]) -> None:
    with pytest.raises(DiskFull):
        prepare(request("qwen2.5-0.5B"), Cache(small_disk(64 * 1024)), PLENTY)


def test_an_unknown_architecture_is_answered_with_the_known_ones(cache: Cache) -> None:
    with pytest.raises(UsageError, match="'qwen9'") as caught:
        prepare(request("qwen9"), cache, PLENTY)
    assert "qwen2.5-0.5B, qwen2.5-1.5B" in caught.value.remedy


def test_a_shape_needs_a_type(cache: Cache) -> None:
    with pytest.raises(UsageError, match="no weights before it has a type"):
        prepare(request(quantization=None), cache, PLENTY)


def test_a_shape_takes_no_checksum(cache: Cache) -> None:
    with pytest.raises(UsageError, match="a shape has no file"):
        prepare(request(sha256="0" * 64), cache, PLENTY)


# As llama.cpp's own page on its quantizer has them, of a file converted from the real weights.
PUBLISHED_BPW = {
    Quantization("F16"): 16.0005,
    Quantization("Q8_0"): 8.5008,
    Quantization("Q5_K_M"): 5.7036,
    Quantization("Q4_K_M"): 4.8944,
    Quantization("Q2_K"): 3.1593,
}


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Header:
    path = tmp_path_factory.mktemp("llama") / "skeleton.gguf"
    return write_skeleton(path, "llama-3.1-8B", ARCHITECTURES["llama-3.1-8B"])


@pytest.mark.parametrize("quantization", PUBLISHED_BPW)
def test_bits_per_weight_are_those_of_the_published_model(
    llama: Header, tmp_path: Path, quantization: Quantization
) -> None:
    made = foresee(llama, recipe(quantization), tmp_path / "foreseen.gguf")
    bpw = 8 * made.weight_bytes / made.n_weights
    assert bpw == pytest.approx(PUBLISHED_BPW[quantization], abs=0.00005)


@pytest.mark.skipif(os.name == "nt", reason="Windows counts no blocks")
def test_a_skeleton_takes_only_the_room_of_its_header(llama: Header) -> None:
    assert llama.file_bytes > 16 * 10**9
    assert llama.path.stat().st_blocks * 512 < 4_000_000
