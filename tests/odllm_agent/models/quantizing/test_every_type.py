"""Every type that the installed llama.cpp makes: made, loaded and measured."""

from pathlib import Path

import numpy as np
import pytest

from odllm_agent import engines
from odllm_agent.cache import Cache
from odllm_agent.contract import (
    Engine,
    ImatrixSource,
    ModelFile,
    ModelRequest,
    Quantization,
    Reading,
    Source,
)
from odllm_agent.engines.settings import check_settings
from odllm_agent.formats.header import read_header
from odllm_agent.models import prepare
from odllm_agent.models.imatrix.matrix import Matrix
from odllm_agent.models.imatrix.reading import write_matrix
from odllm_agent.models.quantizing import quantizer
from odllm_agent.quality.reading import read, scores, windows
from odllm_agent.texts.text import read_text
from tests.models import write_quantized

PLENTY = 10**12
TEXT = ImatrixSource("text:reference", first_token=40 * 256)


def engine() -> Engine:
    settings = check_settings("llama_cpp", {"threads": 2})
    return Engine("llama_cpp", engines.versions()["llama_cpp"], settings)


def made(model: str, name: str, cache: Cache, *, imatrix: bool) -> ModelFile:
    wanted = Quantization(f"{name}+imatrix" if imatrix else name)
    request = ModelRequest(
        model, Source.REFERENCE, model, wanted, imatrix=TEXT if imatrix else None
    )
    return prepare(request, cache, PLENTY)


def test_every_type_that_needs_no_matrix_is_made(tiny: Path, tmp_path: Path) -> None:
    names = [name for name, needs in quantizer.makes().items() if not needs]
    assert {"F32", "BF16", "Q6_K", "IQ4_XS", "Q4_K_S", "Q3_K_L", "TQ2_0"} <= {*names}
    for name in names:
        write_quantized(tiny, tmp_path / "made.gguf", name)


@pytest.mark.slow
def test_every_type_is_made_loaded_and_measured_on_the_largest_reference_model(
    tmp_path: Path,
) -> None:
    cache = Cache(tmp_path / "cache")
    reading = Reading("reference", "", 256, 8, ("perplexity",))
    found: dict[str, tuple[float, float]] = {}
    for name, needs in quantizer.makes().items():
        file = made("reference-7.6M", name, cache, imatrix=needs)
        with engines.load(engine(), file, 512) as session:
            prompt = session.tokenize(read_text("reference"))[:64]
            session.prefill(prompt)
            assert len(session.decode(prompt[:8])) == 8
            assert session.is_sound()
            parts = windows(session.tokenize(read_text("reference")), reading, session.start_token)
            (score,) = scores(("perplexity",), read(session, parts))
            found[name] = file.file_bpw, score.value or 0.0
    exact = found["F32"][1]
    for name, (bpw, value) in found.items():
        print(f"{name:10} {bpw:6.3f} BPW  perplexity {value:8.4f}")
        # Below three bits little is left of so small a model.
        assert value >= 0.99 * exact
        assert bpw < 3.9 or value < 1.1 * exact, name


@pytest.mark.slow
def test_a_matrix_brings_files_of_few_bits_nearer_to_the_unquantized_one(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    base = made("reference-7.6M", "F16", cache, imatrix=False)
    with_matrix = kld(made("reference-7.6M", "Q2_K", cache, imatrix=True), base)
    assert with_matrix < kld(made("reference-7.6M", "Q2_K", cache, imatrix=False), base)
    # IQ2_XS cannot be made without one: a matrix that says nothing takes its place.
    flat = {
        tensor.name: np.ones(tensor.shape[0], np.float32)
        for tensor in read_header(Path(base.path)).tensors
        if tensor.name.startswith("blk.") and len(tensor.shape) > 1
    }
    write_matrix(tmp_path / "flat.gguf", Matrix(flat), 512)
    by_nothing = ModelRequest(
        "flat",
        Source.REFERENCE,
        "reference-7.6M",
        Quantization("IQ2_XS+imatrix"),
        imatrix=ImatrixSource(str(tmp_path / "flat.gguf")),
    )
    with_matrix = kld(made("reference-7.6M", "IQ2_XS", cache, imatrix=True), base)
    assert with_matrix < kld(prepare(by_nothing, cache, PLENTY), base)


def kld(file: ModelFile, base: ModelFile) -> float:
    reading = Reading("reference", "", 256, 24, ("kld",))
    with engines.load(engine(), file, 256) as session, engines.load(engine(), base, 256) as other:
        parts = windows(session.tokenize(read_text("reference")), reading, session.start_token)
        (score,) = scores(("kld",), read(session, parts, other))
    assert score.value is not None
    return score.value
