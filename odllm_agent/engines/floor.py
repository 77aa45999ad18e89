"""What the windows of a trial have to read and compute, by the shapes of its model alone."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from odllm_agent.contract import (
    Anatomy,
    Engine,
    Format,
    ModelFile,
    Phase,
    SlidingWindow,
    Use,
    WeightGroup,
    Work,
    Workload,
)

# A multiplication and an addition.
_PER_WEIGHT = 2
# Of a query with a key, and of its score with a value.
_PER_QUERY_VALUE = 2 * _PER_WEIGHT

# llama.cpp keeps recurrent and convolutional states in it, whatever the KV cache is of.
_STATE_TYPE = "F32"

# What openvino-genai's reader makes of the types of a GGUF file, and what a cache may be of.
_CONVERTED_TYPES = ("bf16", "f16", "f32", "u4", "u8")

Asked = tuple[Phase, str, float, float]


@dataclass(frozen=True, slots=True)
class KvCache:
    """How an engine keeps keys and values.

    Attributes:
        type: Their type by the engine's name.
        value_bytes: The bytes that a key or value takes in the mean.
    """

    type: str
    value_bytes: float


def work(anatomy: Anatomy, cache: KvCache, workload: Workload) -> tuple[Work, ...]:
    """What each phase of a workload reads and computes at least, by type; nothing if untold.

    A prompt reads all weights once and multiplies each of its tokens with them, but only its last
    token with those of the output. An output token reads and multiplies with all of them. Both
    read the keys and values of the tokens before them, those of depth among them, and their own;
    in blocks with a window, those that lie in it.

    Of experts, an output token reads those that it meets, and a prompt those that any of its tokens
    meets, in expectation. A state is read once by a prompt and once by every output token; what is
    computed with it is little, and is left out.

    Args:
        anatomy: What the model consists of.
        cache: How its keys and values are kept.
        workload: The tokens.
    """
    if not anatomy.weights:
        return ()
    sums: defaultdict[tuple[Phase, str], tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
    for phase, kind, read_bytes, operations in _parts(anatomy, cache, workload):
        before_bytes, before = sums[phase, kind]
        sums[phase, kind] = (before_bytes + read_bytes, before + operations)
    return tuple(Work(*key, *amounts) for key, amounts in sums.items())


def ceiling_types(engine: Engine, model: ModelFile) -> frozenset[str]:
    """The types of weights, keys and values that an engine multiplies with for a model."""
    if engine.name == "openvino" and model.format is Format.GGUF:
        return frozenset(_CONVERTED_TYPES)
    cache = {str(engine.settings.get("kv_type_k", "")).upper()} - {""}
    return frozenset(group.type for group in model.anatomy.weights if group.n_multiplied) | cache


def _parts(anatomy: Anatomy, cache: KvCache, workload: Workload) -> Iterator[Asked]:
    for group in anatomy.weights:
        yield from _of_weights(group, workload)
    for window in anatomy.looks_back():
        yield from _of_attention(window, cache, workload)
    for phase in (Phase.PREFILL, Phase.DECODE):
        if anatomy.state_bytes:
            yield phase, _STATE_TYPE, anatomy.state_bytes, 0.0


def _of_weights(group: WeightGroup, workload: Workload) -> Iterator[Asked]:
    prompt = workload.prompt_tokens
    read = prompt if group.use is Use.LOOKUP else group.met(prompt)
    times = prompt if group.use is Use.TOKENS else 1
    per_token = _PER_WEIGHT * group.n_multiplied * group.share
    yield Phase.PREFILL, group.type, read * group.n_bytes, times * per_token
    yield Phase.DECODE, group.type, group.met(1) * group.n_bytes, per_token


def _of_attention(window: SlidingWindow, cache: KvCache, workload: Workload) -> Iterator[Asked]:
    token_bytes = window.kv_values * cache.value_bytes
    token_operations = _PER_QUERY_VALUE * window.query_values
    depth, prompt, output = workload.depth_tokens, workload.prompt_tokens, workload.output_tokens
    end = depth + prompt
    # The first token of a prompt looks furthest back.
    read = min(end, prompt + window.tokens - 1)
    met = _met(end, window.tokens) - _met(depth, window.tokens)
    yield Phase.PREFILL, cache.type, read * token_bytes, met * token_operations
    mean = (_met(end + output, window.tokens) - _met(end, window.tokens)) / output
    yield Phase.DECODE, cache.type, mean * token_bytes, mean * token_operations


def _met(tokens: int, window: int) -> float:
    """The keys that so many tokens meet from the start on: the n-th one n, up to a window's."""
    within = min(tokens, window)
    return within * (within + 1) / 2 + (tokens - within) * window
