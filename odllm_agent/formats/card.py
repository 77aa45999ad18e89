"""What a GGUF header says of a model to people: its name, licence, tokenizer and template."""

import re
from collections.abc import Mapping

from odllm_agent.contract import Card, Scalar

_MOST_LETTERS = 120
_SEPARATORS = re.compile(r"[\W_]+")


def card(values: Mapping[str, Scalar], lengths: Mapping[str, int]) -> Card:
    """What the metadata of a file says of the model.

    Args:
        values: Its metadata without arrays.
        lengths: How long each of its arrays is.
    """
    architecture = values.get("general.architecture", "")
    n_tokens = lengths.get("tokenizer.ggml.tokens") or values.get(f"{architecture}.vocab_size")
    return Card(
        title=_title(values),
        license=_text(values, "general.license"),
        tokenizer=" ".join(
            filter(None, (_text(values, f"tokenizer.ggml.{key}") for key in ("model", "pre")))
        ),
        vocabulary_tokens=n_tokens if type(n_tokens) is int else None,
        has_chat_template=bool(_text(values, "tokenizer.chat_template")),
        imatrix=_text(values, "quantize.imatrix.dataset") or _text(values, "quantize.imatrix.file"),
    )


def name_of_file(title: str, stem: str, quantization: str) -> str:
    """What a file is called that nobody gave a name: as its header says, if its own name agrees.

    The file's name is added where it tells more than the header's and the type, so that two files
    of one header's name are told apart.

    Args:
        title: What the header calls the model, or `""`.
        stem: The file's name without its ending.
        quantization: The type that its header says.
    """
    # The type stands beside every name.
    told = re.sub(rf"[\W_]*{re.escape(quantization)}$", "", stem, flags=re.IGNORECASE) or stem
    if not title:
        return told
    rest = _joined(told).replace(_joined(title), "", 1)
    return f"{title} ({told})" if rest else title


def _title(values: Mapping[str, Scalar]) -> str:
    """The name, with size and finetune where it does not hold them yet."""
    name = _text(values, "general.name") or _text(values, "general.basename")
    if not name:
        return ""
    added = (_text(values, f"general.{key}") for key in ("size_label", "finetune"))
    return " ".join([name, *(each for each in added if _joined(each) not in _joined(name))])


def _text(values: Mapping[str, Scalar], key: str) -> str:
    """A text of the metadata in one line that can be shown."""
    value = values.get(key)
    if not isinstance(value, str):
        return ""
    shown = "".join(letter if letter.isprintable() else " " for letter in value)
    return " ".join(shown.split())[:_MOST_LETTERS]


def _joined(text: str) -> str:
    return _SEPARATORS.sub("", text).casefold()
