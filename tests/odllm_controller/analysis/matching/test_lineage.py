import pytest

from odllm_controller.analysis.matching.lineage import lineage


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("qwen2.5-0.5B", "qwen2.5"),
        ("qwen2.5-14B", "qwen2.5"),
        ("Qwen2.5-0.5B-Instruct", "qwen2.5-instruct"),
        ("qwen3-0.6B", "qwen3"),
        ("llama-3.2-1B", "llama-3"),
        ("llama-3.1-8B", "llama-3"),
        ("Meta-Llama-3-8B", "llama-3"),
        ("llama-2-7b", "llama-2"),
        ("reference-1.6M", "reference"),
        ("SmolLM2-135M", "smollm2"),
        ("gemma-2b", "gemma"),
        ("mine", None),
        ("phi-3-mini", None),
        ("7B", None),
        ("model-4Bit", None),
        ("", None),
    ],
)
def test_a_family_is_the_name_without_its_size(model: str, family: str | None) -> None:
    assert lineage(model) == family
