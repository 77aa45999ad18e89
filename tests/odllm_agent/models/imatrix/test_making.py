from pathlib import Path

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

from odllm_agent.cache import Cache
from odllm_agent.contract import ImatrixSource, ModelRequest, Quantization, Source
from odllm_agent.engines.llama_cpp.vocabulary import Vocabulary
from odllm_agent.errors import ModelInvalid, OdllmError, UsageError
from odllm_agent.formats.header import read_header
from odllm_agent.models import foresee, holdings, prepare
from odllm_agent.models.imatrix.making import made
from odllm_agent.models.imatrix.reading import read_matrix, write_matrix
from odllm_agent.texts.text import read_text

PLENTY = 10**12
TEXT = "the quick brown fox jumps over the lazy dog. " * 120
EPSILON = 1e-6  # of the tiny model's norms


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


def asked(
    tiny: Path, quantization: str, place: str | Path | None, first_token: int = 0
) -> ModelRequest:
    source = None if place is None else ImatrixSource(str(place), first_token)
    return ModelRequest("tiny", Source.FILE, str(tiny), Quantization(quantization), imatrix=source)


def tensor(path: Path, name: str) -> NDArray[np.float32]:
    (found,) = (each for each in gguf.GGUFReader(path).tensors if each.name == name)
    values: NDArray[np.float32] = gguf.dequantize(found.data, found.tensor_type)
    return values


def test_the_first_matrix_meets_what_its_norm_makes_of_the_tokens(tiny: Path, cache: Cache) -> None:
    header = read_header(tiny)
    matrix = read_matrix(made(header, "0" * 64, TEXT, 0, cache).path)
    size = min(512, header.context_tokens)
    tokens = Vocabulary.of_file(str(tiny)).tokenize(TEXT)
    read = tokens[: len(tokens) // size * size]
    embedded = tensor(tiny, "token_embd.weight")[read].astype(np.float64)
    scale = np.sqrt(np.square(embedded).mean(1, keepdims=True) + EPSILON)
    normed = embedded / scale * tensor(tiny, "blk.0.attn_norm.weight")
    expected = np.square(normed).mean(0)
    np.testing.assert_allclose(matrix.values["blk.0.attn_q.weight"], expected, rtol=2e-3)


def test_every_matrix_of_the_blocks_is_met(tiny: Path, cache: Cache) -> None:
    header = read_header(tiny)
    matrix = read_matrix(made(header, "0" * 64, TEXT, 0, cache).path)
    blocks = [each for each in header.tensors if each.name.startswith("blk.")]
    assert matrix.values.keys() == {each.name for each in blocks if len(each.shape) > 1}
    assert matrix.n_windows > 1


def test_the_last_block_meets_every_token_too(tiny: Path, cache: Cache) -> None:
    # Were only the last token's output wanted, its part behind the attention would meet no other.
    header = read_header(tiny)
    matrix = read_matrix(made(header, "0" * 64, TEXT, 0, cache).path)
    last = max(name for name in matrix.values if "ffn_up" in name)
    first = min(name for name in matrix.values if "ffn_up" in name)
    # Both are what a norm gives, whose squares have a mean of about 1 over all tokens.
    for name in (first, last):
        assert matrix.values[name].mean() == pytest.approx(1, rel=0.1)


def test_what_was_made_with_a_text_is_not_made_again(tiny: Path, cache: Cache) -> None:
    header = read_header(tiny)
    first = made(header, "0" * 64, TEXT, 0, cache)
    changed = first.path.stat().st_mtime_ns
    assert made(header, "0" * 64, TEXT, 0, cache) == first
    assert first.path.stat().st_mtime_ns == changed
    other = made(header, "0" * 64, TEXT, 512, cache)
    assert other.sha256 != first.sha256
    assert {each.quantization for each in holdings(cache)} == {"imatrix"}


def test_a_text_that_is_too_short_behind_what_is_judged_is_told(tiny: Path, cache: Cache) -> None:
    n_tokens = len(Vocabulary.of_file(str(tiny)).tokenize(TEXT))
    with pytest.raises(UsageError, match=f"has {n_tokens:,} tokens, and of those behind") as told:
        made(read_header(tiny), "0" * 64, TEXT, n_tokens - 10, cache)
    assert "longer text" in told.value.remedy
    assert holdings(cache) == ()


def test_a_type_of_two_bits_is_made_by_a_matrix(tiny: Path, text: Path, cache: Cache) -> None:
    wanted = asked(tiny, "IQ2_XS+imatrix", f"text:{text}")
    file = prepare(wanted, cache, PLENTY)
    assert file.quantization == "IQ2_XS+imatrix"
    assert "IQ2_XS" in file.tensor_types
    assert foresee(wanted, cache, text.parent).model.file_bpw == file.file_bpw


def test_a_matrix_changes_what_is_made(tiny: Path, text: Path, cache: Cache) -> None:
    with_matrix = prepare(asked(tiny, "Q2_K+imatrix", f"text:{text}"), cache, PLENTY)
    without = prepare(asked(tiny, "Q2_K", None), cache, PLENTY)
    assert with_matrix.file_bpw == without.file_bpw
    assert with_matrix.sha256 != without.sha256


def test_a_matrix_of_a_file_is_used(tiny: Path, text: Path, tmp_path: Path, cache: Cache) -> None:
    header = read_header(tiny)
    matrix = read_matrix(made(header, "0" * 64, TEXT, 0, cache).path)
    write_matrix(tmp_path / "mine.gguf", matrix, 512)
    by_file = prepare(asked(tiny, "Q2_K+imatrix", tmp_path / "mine.gguf"), cache, PLENTY)
    by_text = prepare(asked(tiny, "Q2_K+imatrix", f"text:{text}"), cache, PLENTY)
    assert by_file.sha256 == by_text.sha256


@pytest.mark.parametrize(
    ("quantization", "place", "error", "told"),
    [
        ("IQ2_XS", None, UsageError, "not made IQ2_XS without an importance matrix"),
        ("Q2_K+imatrix", None, UsageError, "none is named"),
        ("Q2_K+imatrix", "text:nowhere.txt", UsageError, "no text named 'nowhere.txt'"),
        ("Q2_K+imatrix", "{tiny}", ModelInvalid, "no usable importance matrix"),
        ("Q2_K+nowhere:Q8_0", None, UsageError, "no tensor of .* has 'nowhere' in its name"),
        ("Q2_K+ffn_up:Q9", None, UsageError, "no type of tensors 'Q9'"),
        ("F16+ffn_up:Q8_0", None, UsageError, "F16 is not quantized"),
        ("NVFP4", None, UsageError, "makes no NVFP4"),
    ],
)
def test_what_cannot_be_made_is_told_with_what_to_do(
    tiny: Path,
    cache: Cache,
    quantization: str,
    place: str | None,
    error: type[OdllmError],
    told: str,
) -> None:
    named = place.format(tiny=tiny) if place else None
    with pytest.raises(error, match=told) as caught:
        prepare(asked(tiny, quantization, named), cache, PLENTY)
    assert caught.value.remedy
    assert holdings(cache) == ()


def test_a_shape_needs_no_matrix(cache: Cache) -> None:
    shape = ModelRequest("s", Source.SHAPE, "qwen2.5-0.5B", Quantization("IQ2_XS+imatrix"))
    assert foresee(shape, cache, cache.root.parent).model.quantization == "IQ2_XS+imatrix"


def test_the_reference_text_is_long_enough_behind_what_quality_reads() -> None:
    # 40 windows of 256 tokens, of letters that are mostly tokens of their own.
    assert len(read_text("reference")) > 3 * 40 * 256
