import hashlib
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFReader

from training.corpus import held_out_text, questions, to_json_lines

SHIPPED = Path(__file__).parents[2] / "odllm_agent" / "models" / "reference"
LARGEST_TOTAL_BYTES = 25_000_000
K_QUANT_BLOCK = 256


@pytest.fixture(scope="module")
def ladder() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((SHIPPED / "ladder.json").read_text())
    return loaded


def readers(ladder: dict[str, Any]) -> list[Any]:
    return [GGUFReader(SHIPPED / model["file"]) for model in ladder["models"]]


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_held_out_text_is_what_the_generator_makes(ladder: dict[str, Any]) -> None:
    assert (SHIPPED / "heldout.txt").read_text() == held_out_text(ladder["seed"])


def test_questions_are_what_the_generator_makes(ladder: dict[str, Any]) -> None:
    assert (SHIPPED / "questions.jsonl").read_text() == to_json_lines(questions(ladder["seed"]))


def test_checksums_hold(ladder: dict[str, Any]) -> None:
    assert sha256_of(SHIPPED / ladder["heldout_file"]) == ladder["heldout_sha256"]
    assert sha256_of(SHIPPED / ladder["questions_file"]) == ladder["questions_sha256"]
    for model in ladder["models"]:
        assert sha256_of(SHIPPED / model["file"]) == model["sha256"]
        assert (SHIPPED / model["file"]).stat().st_size == model["bytes"]


def test_models_together_stay_small(ladder: dict[str, Any]) -> None:
    files = sorted(SHIPPED.glob("*.gguf"))
    assert [path.name for path in files] == sorted(model["file"] for model in ladder["models"])
    assert sum(path.stat().st_size for path in files) <= LARGEST_TOTAL_BYTES


def test_every_row_fits_the_blocks_of_the_k_quants(ladder: dict[str, Any]) -> None:
    for reader in readers(ladder):
        rows = [t for t in reader.tensors if len(t.shape) > 1]
        assert rows
        assert [t.name for t in rows if t.shape[0] % K_QUANT_BLOCK] == []
        assert {t.tensor_type for t in rows} == {GGMLQuantizationType.F16}


def test_parameter_counts_and_names_are_those_of_the_files(ladder: dict[str, Any]) -> None:
    for model, reader in zip(ladder["models"], readers(ladder), strict=True):
        count = sum(int(np.prod(tensor.shape)) for tensor in reader.tensors)
        assert count == model["n_params"]
        assert model["name"] == f"reference-{count / 1e6:.1f}M"
        assert reader.fields["general.name"].contents() == model["name"]


def test_files_tell_the_trained_context(ladder: dict[str, Any]) -> None:
    for reader in readers(ladder):
        told = reader.fields["odllm.trained_context_length"].contents()
        assert told == ladder["trained_context"]


def test_perplexity_falls_with_size(ladder: dict[str, Any]) -> None:
    by_size = sorted(ladder["models"], key=lambda model: int(model["n_params"]))
    perplexities = [model["heldout_perplexity"] for model in by_size]
    assert all(large < small for small, large in pairwise(perplexities))


def test_all_sizes_saw_the_same_number_of_tokens(ladder: dict[str, Any]) -> None:
    assert len({model["trained_tokens"] for model in ladder["models"]}) == 1


def test_card_names_every_model(ladder: dict[str, Any]) -> None:
    card = (SHIPPED / "MODEL_CARD.md").read_text()
    assert all(model["name"] in card and model["file"] in card for model in ladder["models"])
