"""What the windows of a trial have to read and compute, by the shapes of its model alone."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from odllm_agent.contract import Anatomy, Engine, Format, ModelFile, Phase, Use, Work, Workload

# A multiplication and an addition.
_PER_WEIGHT = 2
# Of a query with a key, and of its score with a value.
_PER_QUERY_VALUE = 2 * _PER_WEIGHT

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
    read the keys and values of the tokens before them, those of depth among them, and their own.

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
    prompt, output = workload.prompt_tokens, workload.output_tokens
    for group in anatomy.weights:
        rows = prompt if group.use is Use.LOOKUP else 1
        times = prompt if group.use is Use.TOKENS else 1
        per_token = _PER_WEIGHT * group.n_multiplied
        yield Phase.PREFILL, group.type, rows * group.n_bytes, times * per_token
        yield Phase.DECODE, group.type, group.n_bytes, per_token
    token_bytes = anatomy.kv_values * cache.value_bytes
    token_operations = _PER_QUERY_VALUE * anatomy.query_values
    end = workload.depth_tokens + prompt
    # The n-th token of a prompt meets n keys besides those of depth: their sum over the prompt.
    met = prompt * workload.depth_tokens + prompt * (prompt + 1) / 2
    yield Phase.PREFILL, cache.type, end * token_bytes, met * token_operations
    mean = end + (output + 1) / 2
    yield Phase.DECODE, cache.type, mean * token_bytes, mean * token_operations
