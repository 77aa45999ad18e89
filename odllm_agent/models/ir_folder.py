"""A folder of OpenVINO's own form as a model: found, checked and described."""

import json
from dataclasses import replace
from pathlib import Path

from odllm_agent.cache.change import refuse_changed
from odllm_agent.contract import Format, ModelFile, ModelRequest
from odllm_agent.errors import ModelInvalid, UsageError
from odllm_agent.files.checksum import folder_sha256, read_through
from odllm_agent.formats.ir import CONFIG, MODEL, counted_files, read_graph


def is_ir_folder(path: Path) -> bool:
    """Whether a path is a folder that holds a model in OpenVINO's form."""
    return (path / MODEL).is_file()


def describe(request: ModelRequest, folder: Path) -> ModelFile:
    """The model in a folder, described by its own graph.

    Its checksum is that of the list of its files' checksums, one a line with the file's name.

    Raises:
        UsageError: It was asked for as another type.
        ModelInvalid: The graph or `config.json` is missing or makes no sense.
        ModelChanged: A file was changed meanwhile.
    """
    # A folder that cannot be used is told so before all of it is read.
    outline(request, folder)
    files = read_through(counted_files(folder))
    described = replace(outline(request, folder), sha256=folder_sha256(files), files=files)
    refuse_changed(described)
    return described


def outline(request: ModelRequest, folder: Path) -> ModelFile:
    """The same without its checksum, for which all of it would be read; see `describe`."""
    graph = read_graph(folder)
    if request.quantization is not None:
        raise UsageError(
            f"{folder} is {graph.precision} in OpenVINO's form and cannot be made "
            f"{request.quantization}",
            "name the model's GGUF file, or set its quantizations to as_is",
        )
    architecture, context_tokens = _config(folder)
    return ModelFile(
        name=request.name,
        quantization=graph.precision,
        sha256="",
        path=str(folder),
        file_bytes=sum(file.stat().st_size for file in counted_files(folder)),
        weight_bytes=graph.weight_bytes,
        n_weights=graph.n_weights,
        architecture=architecture,
        context_tokens=context_tokens,
        tensor_types=graph.types,
        format=Format.OPENVINO_IR,
        anatomy=graph.anatomy,
        source=request.source,
    )


def _config(folder: Path) -> tuple[str, int]:
    """The architecture, and the longest context that the model was made for."""
    try:
        content = json.loads((folder / CONFIG).read_bytes())
        return str(content["model_type"]), int(content["max_position_embeddings"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelInvalid(
            f"{folder / CONFIG} does not tell what model this is: {error!r}",
            f"export the model again: {CONFIG} states model_type and max_position_embeddings",
        ) from error
