"""llama.cpp, through the low-level calls of llama-cpp-python.

The windows are those of llama-bench: `llama_decode` followed by `llama_synchronize`, an own
thread pool attached to the context, token ids drawn beforehand. The high-level `Llama` class is
not used, because its Python work per token would be measured as if it were the model's.
"""

import ctypes
import itertools
import math
import os
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odllm_agent.clock import monotonic_ns, seconds_between
from odllm_agent.contract import Anatomy, Engine, ModelFile
from odllm_agent.engines.base import refuse_overflow
from odllm_agent.engines.floor import KvCache
from odllm_agent.engines.llama_cpp.ggml import type_number, value_bytes
from odllm_agent.engines.llama_cpp.native import LIBRARIES, VARIANT, bound
from odllm_agent.engines.llama_cpp.native import llama as native
from odllm_agent.engines.llama_cpp.variants import in_order
from odllm_agent.engines.llama_cpp.vocabulary import Vocabulary
from odllm_agent.engines.settings import LlamaCppSettings, check_settings
from odllm_agent.engines.timing import Prefill
from odllm_agent.errors import EngineError, ModelInvalid, SettingError
from odllm_agent.host import cores

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FLASH_ATTENTION = {"auto": -1, "off": 0, "on": 1}
_MAX_THREADS = 512
_LOGGED = (2, 3, 4)  # GGML_LOG_LEVEL_INFO, _WARN and _ERROR of ggml.h


@native.llama_log_callback  # type: ignore[untyped-decorator]
def _log(level: int, text: bytes, _: object) -> None:
    """Writes llama.cpp's words to stderr, where a worker's log is kept, but not its debugging."""
    if level in _LOGGED:
        os.write(2, text)


class _ThreadpoolParams(ctypes.Structure):
    """`ggml_threadpool_params` of ggml.h, which llama-cpp-python does not bind."""

    _fields_ = (
        ("cpumask", ctypes.c_bool * _MAX_THREADS),
        ("n_threads", ctypes.c_int),
        ("prio", ctypes.c_int),
        ("poll", ctypes.c_uint32),
        ("strict_cpu", ctypes.c_bool),
        ("paused", ctypes.c_bool),
    )


@dataclass(frozen=True, slots=True)
class _Columns:
    """The arrays of a `llama_batch`, to be filled a column at a time."""

    token: Any
    position: Any
    wanted: Any


class LlamaCppSession:
    """A model loaded by llama.cpp with a context of a fixed size.

    Args:
        model: The file to load.
        settings: What llama.cpp is told.
        context_tokens: The size of the context.
        weightless: Whether everything is set up but memory for weights, KV cache and computing,
            so that nothing can be computed.

    Raises:
        ModelInvalid: llama.cpp refuses the file, even without its weights.
        EngineError: It refuses the file with them, or the settings.
        SettingError: This build cannot honour a setting.
    """

    def __init__(
        self,
        model: ModelFile,
        settings: LlamaCppSettings,
        context_tokens: int,
        *,
        weightless: bool = False,
    ) -> None:
        _refuse_what_this_build_lacks(settings)
        # Before any thread is started, for threads stay where their parent may run.
        self._cpus = cores.keep_to(settings.core_type, settings.threads)
        native.llama_log_set(_log, None)
        native.llama_backend_init()
        self._settings = settings
        self._model = _load_model(model, settings, weightless=weightless)
        self._context = _new_context(self._model, settings, context_tokens, weightless=weightless)
        self._threadpool = _attach_threadpool(self._context, settings.threads)
        self._memory = native.llama_get_memory(self._context)
        self._sampler = native.llama_sampler_init_greedy()
        self._batch = native.llama_batch_init(settings.batch_tokens, 0, 1)
        self._columns = _columns(self._batch, settings.batch_tokens)
        self._position = 0
        self._context_tokens = context_tokens
        self.folder = Path(model.path).resolve().parent
        vocab = native.llama_model_get_vocab(self._model)
        self._vocabulary = Vocabulary(vocab)
        self.vocabulary = int(native.llama_vocab_n_tokens(vocab))
        self.start_token = self._vocabulary.start_token
        self.runtime_bpw: float | None = model.file_bpw
        self.system = native.llama_print_system_info().decode().strip()
        self.anatomy = _anatomy(model, settings)
        self.kv_cache = _kv_cache(settings)

    def __enter__(self) -> "LlamaCppSession":
        return self

    def __exit__(self, *_: object) -> None:
        native.llama_batch_free(self._batch)
        native.llama_sampler_free(self._sampler)
        native.llama_free(self._context)
        bound("ggml-cpu", "ggml_threadpool_free", None, ctypes.c_void_p)(self._threadpool)
        native.llama_model_free(self._model)
        cores.allow(self._cpus)

    def reset(self) -> None:
        """Empties the context."""
        native.llama_memory_clear(self._memory, False)
        self._position = 0

    def rewind(self, held: int) -> bool:
        """Takes all tokens but the first ones out of the context; see `Session.rewind`."""
        if self._forgotten(held) or not native.llama_memory_seq_rm(self._memory, 0, held, -1):
            return False
        self._position = held
        return True

    def fill(self, tokens: Sequence[int]) -> None:
        """Puts tokens into the context, outside of any window."""
        for chunk in self._chunks(tokens):
            self._stage(chunk)
            self._run()

    def prefill(self, tokens: Sequence[int]) -> Prefill:
        """Puts the prompt into the context in one go and chooses the first output token."""
        first, *rest = self._chunks(tokens)
        self._stage(first)
        start = monotonic_ns()
        self._run()
        for chunk in rest:
            self._stage(chunk)
            self._run()
        ready = monotonic_ns()
        native.llama_sampler_sample(self._sampler, self._context, -1)
        chosen = monotonic_ns()
        return Prefill.between(start, ready, chosen)

    def decode(self, tokens: Sequence[int]) -> tuple[float, ...]:
        """Puts tokens into the context one after another; see `Session.decode`."""
        self._refuse_overflow(len(tokens))
        self._stage(tokens[:1])
        batch, context = self._batch, self._context
        token_id, position = batch.token, batch.pos
        run, wait = native.llama_decode, native.llama_synchronize
        stamps = [monotonic_ns()]
        for place, token in enumerate(tokens, start=self._position - 1):
            token_id[0] = token
            position[0] = place
            status = run(context, batch)
            wait(context)
            if status:
                raise _decode_error(status)
            stamps.append(monotonic_ns())
        self._position += len(tokens) - 1
        return tuple(seconds_between(*pair) for pair in itertools.pairwise(stamps))

    def is_sound(self) -> bool:
        """Whether the logits after the last token are numbers, and not all the same."""
        raw = native.llama_get_logits_ith(self._context, -1)
        last = array("f", ctypes.string_at(raw, self.vocabulary * ctypes.sizeof(ctypes.c_float)))
        # A sum is no number where any part of it is none.
        return math.isfinite(sum(last)) and min(last) < max(last)

    def logits(self, tokens: Sequence[int], first: int = 0) -> "NDArray[np.float32]":
        """The logits after each token of a fresh context; see `Session.logits`."""
        import numpy as np  # noqa: PLC0415 - no window needs it, and a trial starts without it

        self.reset()
        found = np.empty((len(tokens) - first, self.vocabulary), np.float32)
        n_found = 0
        for chunk in self._chunks(tokens):
            n_wanted = min(max(self._position + len(chunk) - first, 0), len(chunk))
            self._stage(chunk, n_wanted)
            self._run()
            if n_wanted:
                found[n_found : n_found + n_wanted] = self._answered(n_wanted)
            n_found += n_wanted
        return found

    def extend(self, tokens: Sequence[int]) -> "NDArray[np.float32]":
        """Puts tokens into the context; see `Session.extend`."""
        self.fill(tokens)
        last: NDArray[np.float32] = self._answered(1)[0].copy()
        return last

    def tokenize(self, text: str) -> list[int]:
        """The token ids of a text, without any added at its start or end."""
        return self._vocabulary.tokenize(text)

    def detokenize(self, tokens: Sequence[int]) -> str:
        """The text of token ids; see `Session.detokenize`."""
        return self._vocabulary.detokenize(tokens)

    def ends(self, token: int) -> bool:
        """Whether a token ends what a model has to say."""
        return self._vocabulary.ends(token)

    def _answered(self, n_rows: int) -> "NDArray[np.float32]":
        """A view of the logits that the last batch gave, shape (n_rows, vocabulary)."""
        import numpy as np  # noqa: PLC0415 - as above

        raw = native.llama_get_logits(self._context)
        return np.ctypeslib.as_array(raw, shape=(n_rows, self.vocabulary))

    def _forgotten(self, held: int) -> bool:
        """Whether what the token after the first ones looks back at is not kept any more.

        Of blocks with a sliding window llama.cpp overwrites what no later token will look back at.
        """
        window = native.llama_model_n_swa(self._model)
        oldest = native.llama_memory_seq_pos_min(self._memory, 0)
        return bool(window and oldest > max(held + 1 - window, 0))

    def _refuse_overflow(self, n_tokens: int) -> None:
        """llama.cpp ends the process over a batch that is larger than its context."""
        refuse_overflow(n_tokens, self._position, self._context_tokens)

    def _chunks(self, tokens: Sequence[int]) -> list[Sequence[int]]:
        self._refuse_overflow(len(tokens))
        size = min(self._settings.batch_tokens, self._context_tokens)
        return [tokens[start : start + size] for start in range(0, len(tokens), size)]

    def _stage(self, tokens: Sequence[int], n_wanted: int = 1) -> None:
        """Fills the batch; logits are wanted after so many of its last tokens."""
        n_tokens = len(tokens)
        self._batch.n_tokens = n_tokens
        self._columns.token[:n_tokens] = tokens
        self._columns.position[:n_tokens] = range(self._position, self._position + n_tokens)
        self._columns.wanted[:n_tokens] = [False] * (n_tokens - n_wanted) + [True] * n_wanted
        self._position += n_tokens

    def _run(self) -> None:
        status = native.llama_decode(self._context, self._batch)
        native.llama_synchronize(self._context)
        if status:
            raise _decode_error(status)


def prepare(model: ModelFile) -> None:
    """Nothing: llama.cpp reads a model file as it is."""


def load(engine: Engine, model: ModelFile, context_tokens: int) -> LlamaCppSession:
    """Loads a model for windows of up to `context_tokens` tokens.

    Raises:
        ModelInvalid: llama.cpp refuses the file, even without its weights.
        EngineError: It refuses the file with them, or the settings.
        SettingError: A setting is unknown, or this build cannot honour it.
    """
    values = check_settings(engine.name, engine.settings)
    return LlamaCppSession(model, LlamaCppSettings(**values), context_tokens)  # type: ignore[arg-type]


@cache
def version() -> str:
    """The version of llama-cpp-python and the llama.cpp commit inside it."""
    from importlib import metadata  # noqa: PLC0415 - a worker starts sooner without it

    commit = bound("ggml-base", "ggml_commit", ctypes.c_char_p)()
    return f"{metadata.version('llama-cpp-python')}+{commit.decode()}"


def build_system() -> str:
    """What llama.cpp says of how it was built: the processor features that it computes with."""
    told = native.llama_print_system_info().decode().strip(" |")
    return f"{VARIANT.stem}: {told}" if VARIANT else told


def variants() -> tuple[Path, ...]:
    """The CPU backends that this processor can run, where llama.cpp was built with several."""
    return in_order(LIBRARIES)


def _refuse_what_this_build_lacks(settings: LlamaCppSettings) -> None:
    if settings.gpu_layers and not native.llama_supports_gpu_offload():
        raise SettingError(
            f"gpu_layers={settings.gpu_layers} cannot be had: this llama.cpp was built for the "
            "CPU only",
            "set gpu_layers to 0, or install llama-cpp-python built for this GPU",
        )


def _load_model(model: ModelFile, settings: LlamaCppSettings, *, weightless: bool) -> int:
    params = native.llama_model_default_params()
    params.n_gpu_layers = settings.gpu_layers
    params.load_mode = native.LLAMA_LOAD_MODE_MMAP if settings.mmap else native.LLAMA_LOAD_MODE_NONE
    params.use_extra_bufts = settings.repack
    if weightless:
        params.no_alloc = True
        params.load_mode = native.LLAMA_LOAD_MODE_NONE
    loaded = native.llama_model_load_from_file(model.path.encode(), params)
    if not loaded:
        # Without its weights there is nothing but the file itself that could be at fault.
        refused = ModelInvalid if weightless else EngineError
        raise refused(
            f"llama.cpp refuses {model.path} (architecture {model.architecture})",
            "its last words are in the log below",
        )
    return int(loaded)


def _new_context(
    model: int, settings: LlamaCppSettings, context_tokens: int, *, weightless: bool
) -> int:
    params = native.llama_context_default_params()
    params.n_ctx = context_tokens
    params.n_batch = settings.batch_tokens
    params.n_ubatch = settings.ubatch_tokens
    params.n_threads = settings.threads
    params.n_threads_batch = settings.threads
    params.flash_attn_type = _FLASH_ATTENTION[settings.flash_attention]
    # As llama-bench and llama.cpp's programs have it: no more of a sliding window than it spans.
    params.swa_full = False
    params.type_k = type_number(settings.kv_type_k)
    params.type_v = type_number(settings.kv_type_v)
    if weightless:
        # Logits of a whole batch are set aside, of which a window touches those of one token.
        params.n_outputs_max = 1
    context = native.llama_init_from_model(model, params)
    if not context:
        native.llama_model_free(model)
        raise EngineError(
            f"llama.cpp makes no context of {context_tokens} tokens with {settings}",
            "its last words are in the log below; a smaller context or other KV types may do",
        )
    return int(context)


def _attach_threadpool(context: int, threads: int) -> int:
    """Gives the context threads that live as long as it does, as llama-bench does."""
    params = _ThreadpoolParams()
    by_reference = ctypes.POINTER(_ThreadpoolParams)
    bound("ggml-base", "ggml_threadpool_params_init", None, by_reference, ctypes.c_int)(
        params, threads
    )
    pool = bound("ggml-cpu", "ggml_threadpool_new", ctypes.c_void_p, by_reference)(params)
    pointers = (ctypes.c_void_p,) * 3
    bound("llama", "llama_attach_threadpool", None, *pointers)(context, pool, None)
    return int(pool)


def _anatomy(model: ModelFile, settings: LlamaCppSettings) -> Anatomy:
    """What the model consists of; llama.cpp holds weights as they are in the file."""
    if settings.gpu_layers:
        return Anatomy(reason="a part of it is on a GPU, whose ceilings are not measured")
    return model.anatomy


def _kv_cache(settings: LlamaCppSettings) -> KvCache:
    types = (settings.kv_type_k, settings.kv_type_v)
    # Keys are as many as values.
    return KvCache(settings.kv_type_k.upper(), sum(map(value_bytes, types)) / len(types))


def _columns(batch: Any, size: int) -> _Columns:
    """Views of a batch whose every row belongs to sequence 0."""
    _column(batch.n_seq_id, size)[:] = [1] * size
    for row in range(size):
        batch.seq_id[row][0] = 0
    return _Columns(
        token=_column(batch.token, size),
        position=_column(batch.pos, size),
        wanted=_column(batch.logits, size),
    )


def _column(pointer: Any, size: int) -> Any:
    """The array that a pointer leads to; slices of it can be assigned."""
    return ctypes.cast(pointer, ctypes.POINTER(pointer._type_ * size)).contents


def _decode_error(status: int) -> EngineError:
    meaning = {1: "no room in the KV cache", 2: "aborted", -1: "invalid batch"}
    return EngineError(
        f"llama_decode answered {status} ({meaning.get(status, 'fatal error')})",
        "its last words are in the log below",
    )
