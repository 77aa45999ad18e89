"""The memory that llama.cpp takes for a model file, told without loading its weights."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from odllm_agent.contract import Engine, HeldMemory, ModelFile, Workload
from odllm_agent.engines.base import ContextMemory, WeightMemory, Weights
from odllm_agent.engines.llama_cpp.ggml import activation_bytes, is_repacked, repacked_bytes
from odllm_agent.engines.llama_cpp.session import LlamaCppSession
from odllm_agent.engines.settings import LlamaCppSettings, check_settings
from odllm_agent.errors import EngineError

_MIB = 2**20
_CONTEXT = "llama_context: constructing llama_context"
_KV = re.compile(r"^llama_(?:kv_cache\w*|memory_recurrent): size = +([\d.]+) MiB", re.M)
_COMPUTE = re.compile(r"^\w+: +\S+ compute buffer size = +([\d.]+) MiB", re.M)
_LOGITS = re.compile(r"^\w+: +\S+  output buffer size = +([\d.]+) MiB", re.M)
_BUFFER = re.compile(
    r"^\w+: +(\S+) +(model|KV|RS|compute|output) buffer size = +([\d.]+) MiB", re.M
)
_TOKENS = re.compile(r"^llama_context: n_ubatch += (\d+)$", re.M)
_CELLS = re.compile(r"^llama_kv_cache\w*: size = .*\( *(\d+) cells", re.M)
_HEADS = re.compile(r"^print_info: n_head += (\d+)$", re.M)
_EXPERTS_USED = re.compile(r"^print_info: n_expert_used += (\d+)$", re.M)
_UNFUSED = re.compile(
    r"^llama_context: flash_attn += disabled$|Flash Attention not supported", re.M
)
# The names of ggml's buffer types: `CPU`, `CPU_REPACK`, `CPU_Mapped`, `AMX`; a GPU's are others.
_OWN, _MAPPED = ("CPU", "AMX"), "_Mapped"
_EMBEDDINGS, _OUTPUT = "token_embd.weight", "output.weight"
_EXPERTS, _BACK = "_exps.", "ffn_down_exps."
_PLACE_BYTES = 8  # ggml's `mmid_row_mapping`


def why_untold(engine: Engine) -> str:
    """Why the memory cannot be told, or `""` if it can."""
    layers = _settings(engine).gpu_layers
    return f"gpu_layers={layers} puts a part on the GPU that is not foreseen" if layers else ""


def weight_memory(engine: Engine, weights: Sequence[Weights]) -> WeightMemory:
    """Where the weights of a file go on this processor.

    Args:
        engine: llama.cpp with its settings.
        weights: Every tensor of the file.
    """
    settings = _settings(engine)
    total_bytes = sum(each.n_bytes for each in weights)
    multiplied = list(_multiplied(weights))
    repacked = [each for each in multiplied if settings.repack and _is_repacked(each)]
    copied_bytes = sum(repacked_bytes(each.type, each.shape) or 0 for each in repacked)
    # Embeddings that serve as the output too are needed in both layouts.
    unread_bytes = sum(each.n_bytes for each in repacked if each.name != _EMBEDDINGS)
    if settings.mmap:
        return WeightMemory(total_bytes, unread_bytes, copied_bytes)
    return WeightMemory(0, 0, total_bytes - unread_bytes + copied_bytes)


def rehearse(engine: Engine, model: ModelFile, workload: Workload) -> LlamaCppSession:
    """A session without weights, in which nothing can be computed.

    Raises:
        ModelInvalid: llama.cpp refuses the file.
        EngineError: It refuses the settings.
        SettingError: A setting is unknown, or this build cannot honour it.
    """
    return LlamaCppSession(model, _settings(engine), workload.context_tokens, weightless=True)


def rehearse_step(engine: Engine, model: ModelFile, workload: Workload) -> LlamaCppSession:
    """The same, with buffers no larger than the steps of a workload touch.

    llama.cpp reserves them for a whole ubatch at the end of the context. What no step touches of
    that costs address space, not memory.
    """
    settings = _settings(engine)
    steps = list(_steps(settings, workload))
    tokens = max(tokens for tokens, _ in steps)
    # Buffers grow most for the products of queries and keys in a step.
    _, end = max(steps, key=math.prod)
    return LlamaCppSession(model, replace(settings, ubatch_tokens=tokens), end, weightless=True)


def context_memory(log: str, weights: Sequence[Weights]) -> ContextMemory:
    """What a context takes.

    Args:
        log: What llama.cpp said in `rehearse` and `rehearse_step`.
        weights: Every tensor of the file.

    Raises:
        EngineError: The log does not tell.
    """
    _, whole, step = (*log.split(_CONTEXT), "", "")[:3]
    kv, compute, logits = _KV.findall(whole), _COMPUTE.findall(step), _LOGITS.findall(step)
    tokens = _number(_TOKENS, step)
    if not (kv and compute and logits and tokens):
        raise EngineError(
            "llama.cpp's log does not tell the sizes of its buffers",
            "install the version of llama-cpp-python that ODLLM's constraints name",
        )
    scores = _score_bytes(tokens, _number(_HEADS, log), step)
    used = _number(_EXPERTS_USED, log)
    work_bytes = max(_activation_bytes(tokens, used, weights), scores)
    return ContextMemory(_total_bytes(kv), _total_bytes(compute + logits) + work_bytes)


def with_told(held: HeldMemory, log: str) -> HeldMemory:
    """What a worker held, with the buffers that llama.cpp said it made in the worker's own memory.

    Weights that are mapped, and what lies on a GPU, are not among them.

    Args:
        held: What the system told.
        log: What llama.cpp said when it loaded the model.
    """
    own = [
        (kind, int(float(mib) * _MIB))
        for place, kind, mib in _BUFFER.findall(log)
        if place.startswith(_OWN) and not place.endswith(_MAPPED)
    ]
    if not own:
        missing = "llama.cpp's log does not tell the sizes of its buffers"
        return replace(held, reason="; ".join(filter(None, (held.reason, missing))))
    return replace(
        held,
        loaded_bytes=sum(size for kind, size in own if kind == "model"),
        kv_bytes=sum(size for kind, size in own if kind in ("KV", "RS")),
        compute_bytes=sum(size for kind, size in own if kind in ("compute", "output")),
    )


def _steps(settings: LlamaCppSettings, workload: Workload) -> Iterator[tuple[int, int]]:
    """The ubatches of a workload: the tokens of each, and those in the context at its end."""
    end = 0
    for handed_over in (workload.depth_tokens, workload.prompt_tokens):
        for start in range(0, handed_over, settings.batch_tokens):
            batch = min(settings.batch_tokens, handed_over - start)
            for place in range(0, batch, settings.ubatch_tokens):
                tokens = min(settings.ubatch_tokens, batch - place)
                end += tokens
                yield tokens, end


def _activation_bytes(tokens: int, used: int, weights: Sequence[Weights]) -> int:
    """The work buffer of the largest product with weights (`ggml_graph_plan`).

    Activations are converted to the type that they are multiplied in, such as 8 bits with scales.
    What experts give back is as many rows as a token meets of them. To tell which rows an expert
    gets, there is a place for every row at every expert.
    """
    sizes = (
        _rows(tokens, used, each) * each.shape[0] * activation_bytes(each.type)
        + _PLACE_BYTES * tokens * used * (each.shape[-1] if _is_experts(each) else 0)
        for each in _multiplied(weights)
        if len(each.shape) > 1
    )
    return int(max(sizes, default=0))


def _rows(tokens: int, used: int, weights: Weights) -> int:
    return tokens * used if _is_experts(weights) and _BACK in weights.name else tokens


def _is_experts(weights: Weights) -> bool:
    return len(weights.shape) == 3 and _EXPERTS in weights.name


def _is_repacked(weights: Weights) -> bool:
    # Of what has three dimensions, llama.cpp lays out anew only what tokens choose from.
    flat = len(weights.shape) == 2
    return (flat or _is_experts(weights)) and is_repacked(weights.type, weights.shape)


def _score_bytes(tokens: int, heads: int, step: str) -> int:
    """The work buffer of attention that is not fused: every score in 16 bits."""
    return 2 * tokens * _number(_CELLS, step) * heads if _UNFUSED.search(step) else 0


def _multiplied(weights: Sequence[Weights]) -> Iterator[Weights]:
    """The matrices that activations are multiplied with; embeddings are only looked up."""
    tied = all(each.name != _OUTPUT for each in weights)
    return (each for each in weights if tied or each.name != _EMBEDDINGS)


def _settings(engine: Engine) -> LlamaCppSettings:
    return LlamaCppSettings(**check_settings(engine.name, engine.settings))  # type: ignore[arg-type]


def _number(pattern: re.Pattern[str], log: str) -> int:
    return max(map(int, pattern.findall(log)), default=0)


def _total_bytes(mib: Sequence[str]) -> int:
    return sum(int(float(each) * _MIB) for each in mib)
