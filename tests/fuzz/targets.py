"""Everything of the agent that reads a GGUF file which nobody vouches for."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from gguf import LlamaFileType

from odllm_agent import engines
from odllm_agent.contract import (
    Candidate,
    Engine,
    Failure,
    Measurement,
    ModelFile,
    ModelRequest,
    Quantization,
    RepeatPolicy,
    Source,
    Trial,
    Workload,
    from_json,
    to_json,
)
from odllm_agent.engines.base import Weights
from odllm_agent.engines.settings import check_settings
from odllm_agent.errors import OdllmError
from odllm_agent.formats.readable import why_unsupported
from odllm_agent.models import Cache, Header, prepare, read_header
from odllm_agent.models.quantizing import dry_run, quantizer
from odllm_agent.planning.forecast import forecast
from odllm_agent.trials.worker import run_round

PLENTY = 10**12
_WORKLOAD = Workload("short", prompt_tokens=8, output_tokens=4)
_DEADLINE_S = 60.0


@dataclass(frozen=True, slots=True)
class Subject:
    """A mutated file, and what it is taken for.

    Attributes:
        path: The file, or the first part of its model.
        header: That of the file before it was mutated.
        cache: Where what is made of it may go.
    """

    path: Path
    header: Header
    cache: Cache

    @property
    def request(self) -> ModelRequest:
        """The file as it is."""
        return ModelRequest("mutated", Source.FILE, str(self.path))

    @property
    def described(self) -> ModelFile:
        """Its description or, if there is none, that of a file which was changed behind it."""
        try:
            return prepare(self.request, self.cache, PLENTY)
        except OdllmError:
            return self._mistaken

    @property
    def _mistaken(self) -> ModelFile:
        content = self.path.read_bytes()
        return ModelFile(
            name="mutated",
            quantization=self.header.quantization,
            sha256=hashlib.sha256(content).hexdigest(),
            path=str(self.path),
            file_bytes=len(content),
            weight_bytes=self.header.weight_bytes,
            n_weights=self.header.n_weights,
            architecture=self.header.architecture,
            context_tokens=self.header.context_tokens,
            tensor_types=self.header.tensor_types,
        )


def _describe(subject: Subject) -> Failure | None:
    model = prepare(subject.request, subject.cache, PLENTY)
    for name in ("llama_cpp", "openvino"):
        why_unsupported(name, model)
    assert from_json(ModelFile, to_json(model)) == model
    return None


def _outline(subject: Subject) -> Failure | None:
    """What is told of a file and its like without any process."""
    header = read_header(subject.path)
    target = subject.cache.root / "outline.gguf"
    target.parent.mkdir(parents=True, exist_ok=True)
    types = {tensor.name: tensor.type for tensor in header.tensors}
    written = dry_run.write_sparse(header, target, types, LlamaFileType.MOSTLY_F16)
    target.unlink()
    assert [each.name for each in written.tensors] == [each.name for each in header.tensors]
    weights = [Weights(each.name, each.type, each.shape, each.n_bytes) for each in header.tensors]
    engines.memory("llama_cpp").weight_memory(_engine("llama_cpp"), weights)
    return None


def _forecast(subject: Subject) -> Failure | None:
    request = replace(subject.request, quantization=Quantization("Q4_0"))
    candidate = Candidate(request, _engine("llama_cpp"), _WORKLOAD)
    (told,) = forecast((candidate,), subject.cache, (), PLENTY)
    return told.failure


def _quantize(subject: Subject) -> Failure | None:
    """As if the file had been changed after its header was read."""
    subject.cache.shelf.open()
    target = subject.cache.shelf.unfinished / "made.gguf"
    source = replace(subject.header, parts=(subject.path, *subject.header.parts[1:]))
    try:
        quantizer.quantize(source, target, quantizer.Recipe(Quantization("Q4_0")))
    finally:
        target.unlink(missing_ok=True)
    return None


def _run(engine: str) -> Callable[[Subject], Failure | None]:
    def run(subject: Subject) -> Failure | None:
        trial = Trial("here", subject.described, _engine(engine), _WORKLOAD)
        policy = RepeatPolicy(warmups=0, at_least=1, at_most=1)
        return run_round(Measurement(trial, 0, policy, deadline_s=_DEADLINE_S)).failure

    return run


def _engine(name: str) -> Engine:
    return Engine(name, "any", check_settings(name, {"threads": 1}))


IN_PROCESS: Mapping[str, Callable[[Subject], Failure | None]] = {
    "describe": _describe,
    "outline": _outline,
}
"""What happens in the agent's own process."""

IN_OTHERS: Mapping[str, Callable[[Subject], Failure | None]] = {
    "forecast": _forecast,
    "quantize": _quantize,
    "run on llama_cpp": _run("llama_cpp"),
    "run on openvino": _run("openvino"),
}
"""What the agent lets processes of their own do, which may die."""
