"""The importance matrix that a file is to be made by: a file of the device, or made here."""

from dataclasses import dataclass
from pathlib import Path

from odllm_agent.cache.cache import Cache
from odllm_agent.contract import ImatrixSource, Quantization
from odllm_agent.errors import UsageError
from odllm_agent.files.typed_path import typed_path
from odllm_agent.formats.header import Header
from odllm_agent.models.imatrix import making
from odllm_agent.models.imatrix.matrix import refuse_other_model
from odllm_agent.models.imatrix.reading import read_matrix
from odllm_agent.texts.text import read_text


@dataclass(frozen=True, slots=True)
class Found:
    """An importance matrix on the device.

    Attributes:
        path: Its file.
        sha256: The checksum of its values.
    """

    path: Path
    sha256: str


def found(
    named: ImatrixSource | None,
    quantization: Quantization,
    model: Header,
    model_sha256: str,
    cache: Cache,
) -> Found:
    """The importance matrix of a model.

    Args:
        named: Where it comes from, as the experiment says.
        quantization: What is to be made by it.
        model: The header of what it is made of.
        model_sha256: The checksum of that.
        cache: Where a matrix that is made here is kept.

    Raises:
        UsageError: None is named, it is of another model, or the text is too short or not there.
        ModelMissing: There is no such file.
        ModelInvalid: It is none.
        DiskFull: There is no room to make one.
        EngineError: llama.cpp is missing, or fails.
    """
    if named is None:
        raise UsageError(
            f"{quantization} is made by an importance matrix, and none is named",
            "name its file, or a text to make it from: imatrix=text:wikitext-2",
        )
    if named.text is not None:
        text = read_text(named.text)
        path = making.made(model, model_sha256, text, named.first_token, cache).path
    else:
        path = typed_path(named.place)
    matrix = read_matrix(path)
    refuse_other_model(matrix, named.place, model)
    return Found(path, matrix.sha256)
