"""The model files that the benchmarks run on, and what is wanted of each."""

from collections.abc import Sequence
from dataclasses import dataclass

from odllm_agent.contract import ModelFile, ModelRequest, Quantization, Source
from odllm_agent.host.state import available_bytes
from odllm_agent.models import Cache, ladder, prepare

SHAPE = "shape-qwen2.5-0.5B"
"""The shape of Qwen2.5-0.5B with random weights."""

QUANTIZATION = Quantization("Q4_0")


@dataclass(frozen=True, slots=True)
class Subject:
    """A model file to compare on.

    Attributes:
        model: The file.
        repeats: Measured repeats of each side in each pair.
        least_ratio: The least wanted median of ours / llama-bench.
        most_ratio: The greatest wanted, or `None` for no limit.
    """

    model: ModelFile
    repeats: int
    least_ratio: float
    most_ratio: float | None = None


def default_names() -> tuple[str, ...]:
    """The largest reference model and the shape.

    The smaller ones take a prompt in 2 ms, of which llama.cpp spends a tenth on a graph for it
    whenever a prompt follows a decode. In ODLLM every prompt does, as in use; in llama-bench none.
    """
    *_, largest = ladder.origins()
    return largest, SHAPE


def subjects(names: Sequence[str]) -> tuple[Subject, ...]:
    """The model files of these names, ready on this device.

    Raises:
        UsageError: There is no reference model of such a name.
        ModelError: A file cannot be had.
        DiskFull: There is no room for a file.
        EngineError: The quantizer failed.
    """
    return tuple(_shape() if name == SHAPE else _reference(name) for name in names)


def _shape() -> Subject:
    request = ModelRequest(SHAPE, Source.SHAPE, "qwen2.5-0.5B", QUANTIZATION)
    return Subject(_ready(request), repeats=5, least_ratio=0.99, most_ratio=1.01)


def _reference(name: str) -> Subject:
    request = ModelRequest(name, Source.REFERENCE, name, QUANTIZATION)
    # A repeat takes hundredths of a second, so many are needed to last longer than a hiccup.
    return Subject(_ready(request), repeats=50, least_ratio=0.97)


def _ready(request: ModelRequest) -> ModelFile:
    return prepare(request, Cache.of_this_device(), available_bytes())
