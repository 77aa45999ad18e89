"""The random model: the size of the published one, and a file that llama.cpp loads."""

import math
from pathlib import Path

import numpy as np
from gguf import GGUFReader

from benchmarks.random_model import QWEN2_5_0_5B, Shape, tensor_shapes, write
from odllm_agent import engines
from odllm_agent.contract import Engine, ModelFile
from odllm_agent.models import read_header
from odllm_agent.settings import check_settings

SMALL = Shape(width=128, layers=2, ffn=192, heads=2, kv_heads=1, vocabulary=600)


def test_the_shape_has_as_many_weights_as_qwen2_5_0_5b() -> None:
    # Of its model card on Hugging Face.
    assert sum(math.prod(size) for _, size in tensor_shapes(QWEN2_5_0_5B)) == 494_032_768


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write(tmp_path / name, SMALL, seed)
    first, second, third = ((tmp_path / name).read_bytes() for name in "abc")
    assert first == second != third


def test_no_row_is_another_one_or_zero(tmp_path: Path) -> None:
    write(tmp_path / "m.gguf", SMALL, seed=0)
    for tensor in GGUFReader(tmp_path / "m.gguf").tensors:
        rows = np.atleast_2d(tensor.data)
        assert len(np.unique(rows, axis=0)) == len(rows)
        assert np.isfinite(rows).all()
        assert np.abs(rows).max() > 0.01


def test_llama_cpp_runs_it(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    write(path, SMALL, seed=0)
    header = read_header(path)
    model = ModelFile(
        name="random",
        quantization=header.quantization,
        sha256="",
        path=str(path),
        file_bytes=header.file_bytes,
        weight_bytes=header.weight_bytes,
        n_weights=header.n_weights,
        architecture=header.architecture,
        context_tokens=header.context_tokens,
    )
    engine = Engine("llama_cpp", "", check_settings("llama_cpp", {"threads": 1}))
    with engines.load(engine, model, 64) as session:
        assert session.vocabulary == SMALL.vocabulary
        logits = session.logits([1, 2, 3])
    assert np.isfinite(logits).all()
    assert logits.std() > 0
