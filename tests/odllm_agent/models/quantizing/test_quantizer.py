import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import gguf
import numpy as np
import pytest
from llama_cpp import llama_cpp as native

from odllm_agent import engines
from odllm_agent.contract import Quantization
from odllm_agent.errors import DiskFull, EngineError, ModelInvalid
from odllm_agent.formats.file_types import FILE_TYPES
from odllm_agent.models import read_header
from odllm_agent.models.quantizing import quantizer
from odllm_agent.models.quantizing.quantizer import least_bytes, quantize
from odllm_agent.processes import child
from tests import family
from tests.models import LADDER, Shape, recipe, write_gguf

MATRIX = "blk.0.ffn_up.weight"


@pytest.fixture(scope="module")
def quantized(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Quantization, Path]:
    """The tiny model at every type."""
    folder = tmp_path_factory.mktemp("quantized")
    made = {kind: folder / f"{kind}.gguf" for kind in LADDER}
    for kind, path in made.items():
        quantize(read_header(tiny), path, recipe(kind))
    return made


def matrix(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    (found,) = (t for t in gguf.GGUFReader(path).tensors if t.name == MATRIX)
    values: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = gguf.dequantize(
        found.data, found.tensor_type
    )
    return values


def set_number(path: Path, key: str, value: int) -> Path:
    """Overwrites a 32-bit number of the metadata."""
    content = bytearray(path.read_bytes())
    place = content.index(key.encode()) + len(key) + 4
    content[place : place + 4] = struct.pack("<I", value)
    path.write_bytes(content)
    return path


def test_types_have_the_numbers_that_llama_cpp_gives_them() -> None:
    for kind in LADDER:
        assert FILE_TYPES[kind] == getattr(native, f"LLAMA_FTYPE_MOSTLY_{kind}")


def test_every_type_is_what_it_says(quantized: dict[Quantization, Path]) -> None:
    for kind, path in quantized.items():
        types = {t.name: t.tensor_type.name for t in gguf.GGUFReader(path).tensors}
        assert read_header(path).quantization == kind
        assert types[MATRIX] == kind.removesuffix("_M")
        assert types["output_norm.weight"] == "F32"


def test_fewer_bits_keep_less_of_the_weights(
    tiny: Path, quantized: dict[Quantization, Path]
) -> None:
    exact = matrix(tiny)
    bits = {kind: read_header(path).weight_bytes for kind, path in quantized.items()}
    by_bits = sorted(quantized, key=lambda kind: bits[kind], reverse=True)
    errors = [float(np.abs(matrix(quantized[kind]) - exact).mean()) for kind in by_bits]
    assert by_bits[0] == Quantization("F16")
    assert errors[0] == 0
    assert errors[-1] > 20 * errors[1] > 0
    # Types of about the same size may trade places by a little.
    assert all(later > 0.9 * earlier for earlier, later in pairwise(errors))


def test_no_type_is_smaller_than_foreseen(tiny: Path, quantized: dict[Quantization, Path]) -> None:
    for kind, path in quantized.items():
        assert least_bytes(read_header(tiny), kind) <= read_header(path).weight_bytes


def test_rows_that_fit_no_k_quant_are_no_smaller_than_foreseen(tmp_path: Path) -> None:
    header = read_header(write_gguf(tmp_path / "odd.gguf", Shape(width=384, ffn=384)))
    quantize(header, tmp_path / "q2.gguf", recipe("Q2_K"))
    made = read_header(tmp_path / "q2.gguf")
    assert made.quantization == "Q2_K"
    assert made.weight_bytes > 1.2 * least_bytes(header, Quantization("Q2_K"))


@pytest.mark.parametrize("kind", ["F32", "BF16"])
def test_every_exact_source_serves(tmp_path: Path, kind: str) -> None:
    header = read_header(write_gguf(tmp_path / "source.gguf", kind=kind))
    for wanted in (Quantization("F16"), Quantization("Q4_K_M")):
        quantize(header, tmp_path / "made.gguf", recipe(wanted))
        assert read_header(tmp_path / "made.gguf").quantization == wanted


def test_a_file_that_aborts_llama_cpp_costs_only_its_own_process(tmp_path: Path) -> None:
    path = set_number(write_gguf(tmp_path / "hostile.gguf"), "qwen2.block_count", 2**31)
    with pytest.raises(ModelInvalid, match=r"hostile\.gguf.*SIGABRT.*GGML_ASSERT") as caught:
        quantize(read_header(path), tmp_path / "made.gguf", recipe("Q2_K"))
    assert "GGML_ASSERT" in caught.value.__notes__[0]


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "nan.gguf")
    content = path.read_bytes()
    path.write_bytes(content[:-200_000] + b"\xff" * 200_000)
    with pytest.raises(ModelInvalid, match="refuses it"):
        quantize(read_header(path), tmp_path / "made.gguf", recipe("Q4_0"))


def test_a_disk_that_fills_is_told(tiny: Path, small_disk: Callable[[int], Path]) -> None:
    disk = small_disk(128 * 1024)
    with pytest.raises(DiskFull, match="at least") as caught:
        quantize(read_header(tiny), disk / "made.gguf", recipe("Q8_0"))
    assert str(disk) in caught.value.message


@pytest.mark.parametrize(
    ("end", "error", "message"),
    [
        ("kill -KILL $$", EngineError, "want of memory"),
        ("kill -SEGV $$", ModelInvalid, "SIGSEGV"),
        ("echo last words; exit 7", EngineError, r"status 7 \(last words\)"),
        ("exit 0", EngineError, "it said nothing"),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="needs a shell")
def test_every_end_of_the_process_is_told(
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    end: str,
    error: type[Exception],
    message: str,
) -> None:
    script = tmp_path / "python"
    script.write_text(f"#!/bin/sh\n{end}\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    with pytest.raises(error, match=message):
        quantize(read_header(tiny), tmp_path / "made.gguf", recipe("Q4_0"))


def test_a_process_that_takes_too_long_is_ended(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "deadline_s", lambda _: 0.001)
    with pytest.raises(EngineError, match="within"):
        quantize(read_header(tiny), tmp_path / "made.gguf", recipe("Q4_0"))


def test_the_process_does_not_outlive_the_one_that_started_it(tmp_path: Path) -> None:
    pipe = tmp_path / "never-written"
    os.mkfifo(pipe)
    command = [sys.executable, "-m", "odllm_agent.models.quantizing.process", str(pipe), "made"]
    command += ["--make=Q4_0"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdin
        time.sleep(1)
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(family.PATIENCE_S) == 1


def test_a_missing_quantizer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "versions", dict)
    with pytest.raises(EngineError, match="not installed") as caught:
        quantizer.version()
    assert caught.value.remedy == "pip install llama-cpp-python"


def test_the_version_names_the_commit() -> None:
    assert "+" in quantizer.version()
