import pytest

from odllm_agent.contract import Card
from odllm_agent.formats.card import card, name_of_file


def test_a_card_is_what_the_header_says() -> None:
    values = {
        "general.architecture": "llama",
        "general.name": "Small  Model\n135M",
        "general.size_label": "135M",
        "general.finetune": "Instruct",
        "general.license": "apache-2.0",
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.chat_template": "{{ messages }}",
        "quantize.imatrix.dataset": "calibration.txt",
    }
    assert card(values, {"tokenizer.ggml.tokens": 49_152}) == Card(
        title="Small Model 135M Instruct",
        license="apache-2.0",
        tokenizer="gpt2 smollm",
        vocabulary_tokens=49_152,
        has_chat_template=True,
        imatrix="calibration.txt",
    )


def test_a_header_that_says_nothing_gives_an_empty_card() -> None:
    assert card({}, {}) == Card(has_chat_template=False)


def test_numbers_in_the_place_of_texts_are_no_texts() -> None:
    assert (
        card({"general.name": 7, "general.license": True, "llama.vocab_size": "x"}, {}).title == ""
    )


@pytest.mark.parametrize(
    ("title", "stem", "quantization", "name"),
    [
        ("SmolLM2 135M Instruct", "SmolLM2-135M-Instruct.Q4_1", "Q4_1", "SmolLM2 135M Instruct"),
        (
            "SmolLM2 135M",
            "SmolLM2-135M-Instruct-Q4_1",
            "Q4_1",
            "SmolLM2 135M (SmolLM2-135M-Instruct)",
        ),
        ("model", "mine-F16", "F16", "model (mine)"),
        ("model", "mine.q8_0", "Q8_0", "model (mine)"),
        ("", "mine-F16", "F16", "mine"),
        ("", "F16", "F16", "F16"),
        ("Größe 7", "größe_7-F16", "F16", "Größe 7"),
    ],
)
def test_a_file_is_called_by_its_header_and_by_its_own_name_where_that_says_more(
    title: str, stem: str, quantization: str, name: str
) -> None:
    assert name_of_file(title, stem, quantization) == name
