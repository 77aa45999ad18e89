"""What is foreseen of a quantized file, beside the file that llama.cpp really makes."""

import os
import struct
from pathlib import Path

import pytest

from odllm_agent.contract import Quantization
from odllm_agent.errors import EngineError, ModelInvalid
from odllm_agent.models import Header, read_header
from odllm_agent.models.quantizing import quantizer
from odllm_agent.models.quantizing.dry_run import foresee
from odllm_agent.models.quantizing.quantizer import Types, parse_types, quantize
from tests.models import LADDER, Shape, recipe, write_gguf

# Some rows fill whole blocks of 256 weights and some do not; eight blocks get unlike types.
MIXED = Shape(width=384, layers=8, ffn=512)


@pytest.fixture(scope="session")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Header:
    return read_header(write_gguf(tmp_path_factory.mktemp("mixed") / "mixed.gguf", MIXED))


def types(header: Header) -> dict[str, str]:
    return {tensor.name: tensor.type for tensor in header.tensors}


def assert_foreseen(source: Header, quantization: Quantization, folder: Path) -> None:
    foreseen = foresee(source, recipe(quantization), folder / "foreseen.gguf")
    quantize(source, folder / "made.gguf", recipe(quantization))
    made = read_header(folder / "made.gguf")
    assert types(foreseen) == types(made)
    assert foreseen.file_bytes == made.file_bytes
    assert foreseen.weight_bytes == made.weight_bytes
    assert foreseen.n_weights == made.n_weights
    assert foreseen.quantization == made.quantization == quantization


@pytest.mark.parametrize("quantization", LADDER)
def test_what_is_foreseen_is_what_is_made(
    mixed: Header, tmp_path: Path, quantization: Quantization
) -> None:
    assert_foreseen(mixed, quantization, tmp_path)


@pytest.mark.parametrize("kind", ["F32", "BF16"])
@pytest.mark.parametrize("quantization", [Quantization("F16"), Quantization("Q3_K_M")])
def test_every_exact_source_serves(tmp_path: Path, kind: str, quantization: Quantization) -> None:
    source = read_header(write_gguf(tmp_path / "source.gguf", kind=kind))
    assert_foreseen(source, quantization, tmp_path)


def test_a_source_that_states_no_type_serves(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "source.gguf")
    content = path.read_bytes()
    path.write_bytes(content.replace(b"general.file_type", b"general.fame_type"))
    assert_foreseen(read_header(path), Quantization("Q8_0"), tmp_path)


def test_recipes_unlike_each_other_are_told_apart(mixed: Header, tmp_path: Path) -> None:
    found = types(foresee(mixed, recipe("Q4_K_M"), tmp_path / "foreseen.gguf"))
    downs = [found[f"blk.{block}.ffn_down.weight"] for block in range(MIXED.layers)]
    assert set(downs) == {"Q4_K", "Q6_K"}
    assert found["blk.0.ffn_up.weight"] == "Q5_0"
    assert found["output_norm.weight"] == "F32"


@pytest.mark.skipif(os.name == "nt", reason="Windows counts no blocks")
def test_nothing_but_a_header_takes_room(mixed: Header, tmp_path: Path) -> None:
    made = foresee(mixed, recipe("Q8_0"), tmp_path / "foreseen.gguf")
    assert made.file_bytes > 5_000_000
    assert made.path.stat().st_blocks * 512 < 100_000


def test_what_was_foreseen_can_be_foreseen_again(mixed: Header, tmp_path: Path) -> None:
    again = foresee(mixed, recipe("F16"), tmp_path / "hole.gguf")
    first, second = (
        foresee(source, recipe("Q4_0"), tmp_path / f"{place}.gguf")
        for place, source in enumerate((mixed, again))
    )
    assert types(first) == types(second)
    assert first.weight_bytes == second.weight_bytes


def test_a_file_that_aborts_llama_cpp_is_told(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "hostile.gguf")
    content = bytearray(path.read_bytes())
    place = content.index(b"qwen2.block_count") + len("qwen2.block_count") + 4
    content[place : place + 4] = struct.pack("<I", 2**31)
    path.write_bytes(content)
    with pytest.raises(ModelInvalid, match=r"hostile\.gguf.*SIGABRT"):
        foresee(read_header(path), recipe("Q2_K"), tmp_path / "foreseen.gguf")


def test_a_log_that_says_too_little_is_told(
    mixed: Header, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        quantizer,
        "parse_types",
        lambda log: Types(dict(list(parse_types(log).of_tensors.items())[1:])),
    )
    with pytest.raises(EngineError, match="cannot be understood"):
        foresee(mixed, recipe("Q2_K"), tmp_path / "foreseen.gguf")


def test_a_log_is_read_line_by_line() -> None:
    log = """
llama_model_loader: - kv   1:  general.file_type u32              = 1
warning: blk.0.attn_k.weight                  - ncols    384 not divisible by 256 (required for \
type    q4_K) -> falling back to    q5_0
[   1/  14] output_norm.weight                   - [   384,      1,      1,      1], \
type =    f32, size =    0.001 MiB
[   4/  14] blk.0.attn_k.weight                  - [   384,    192,      1,      1], \
type =    f16, size =     0.14 MiB ->     0.05 MiB (q5_0)
[ 100/1400] a name - of [two, 2] parts             - [   384,    192,      1,      1], \
type =   bf16, size =     0.14 MiB ->     0.05 MiB (q6_K)
llama_model_quantize_impl: quant size  =     0.93 MiB (6.37 BPW)
"""
    of_tensors = {
        "output_norm.weight": "F32",
        "blk.0.attn_k.weight": "Q5_0",
        "a name - of [two, 2] parts": "Q6_K",
    }
    assert parse_types(log.splitlines()) == Types(of_tensors)
