"""OpenVINO, through the inference requests of its own runtime.

A GGUF file is first converted by openvino-genai's reader; its pipelines are not used, because
their tokenizer, sampling and scheduling would be measured as if they were the model's. The windows
are those of llama.cpp's engine: a request is awaited until its logits are there, token ids are
drawn beforehand, and of a prompt only the last token's logits are computed. Nothing of that
depends on the form of the model's attention: see `odllm_agent.engines.openvino.attention`.

The first inferences compile kernels and lay the weights out anew, so loading ends with a few.
"""

import itertools
from collections.abc import Sequence
from functools import cache, cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import openvino
from numpy.typing import NDArray

from odllm_agent.clock import monotonic_ns, seconds_between
from odllm_agent.contract import Anatomy, Engine, Format, ModelFile
from odllm_agent.contract.bpw import bits_per_weight
from odllm_agent.engines.base import refuse_overflow
from odllm_agent.engines.floor import KvCache
from odllm_agent.engines.openvino import model as openvino_model
from odllm_agent.engines.openvino.attention import FORMS, Attention
from odllm_agent.engines.openvino.error import last_line
from odllm_agent.engines.openvino.folder_vocabulary import FolderVocabulary
from odllm_agent.engines.openvino.gguf_to_ir import FORM, converted
from odllm_agent.engines.settings import OpenVinoSettings, check_settings
from odllm_agent.engines.timing import Prefill
from odllm_agent.errors import EngineError
from odllm_agent.formats.ir import Graph, read_graph

if TYPE_CHECKING:
    from odllm_agent.engines.llama_cpp.vocabulary import Vocabulary

# Asked for here so that its absence is found together with the runtime's.
_GENAI_VERSION = metadata.version("openvino-genai")
_WARM_UP_TOKENS = 32
_NOT_ON_CPU = Anatomy(reason="it is not on the CPU, and no other ceilings are measured")


class OpenVinoSession:
    """A model loaded by OpenVINO, with a context up to a fixed size.

    Args:
        model: The model.
        folder: The same in OpenVINO's own form.
        settings: What OpenVINO is told.
        context_tokens: The most tokens in the context.

    Raises:
        EngineError: OpenVINO refuses the model.
        SettingError: This device cannot honour a setting.
    """

    def __init__(
        self, model: ModelFile, folder: Path, settings: OpenVinoSettings, context_tokens: int
    ) -> None:
        core = openvino.Core()
        openvino_model.refuse_missing_device(core, settings.device)
        openvino_model.refuse_settings_of_the_cpu(settings)
        graph = openvino_model.read(core, folder, settings.attention)
        self._model = model
        self._compiled = openvino_model.compiled(core, graph, settings)
        self._request = self._compiled.create_infer_request()
        self._inputs = {port.any_name: place for place, port in enumerate(self._compiled.inputs)}
        form = FORMS[settings.attention]
        self._attention: Attention = form(self._request, context_tokens, core, settings.device)
        # Of token ids and positions: one axis in the paged form, a batch of one in the other.
        self._shape = (1,) * form.tokens_axis + (-1,)
        self._context_tokens = context_tokens
        self.folder = folder
        self._position = 0
        # What a request is given are views of these, so they must live as long as it does.
        self._ids = np.zeros(context_tokens, np.int64)
        self._places = np.arange(context_tokens, dtype=np.int64)
        self._one_place = np.zeros(1, np.int64)
        self.vocabulary = int(graph.output("logits").partial_shape[-1].get_length())
        self._device = settings.device
        self.system = openvino_model.system(core, self._compiled, settings.device)
        try:
            self._warm_up()
        except RuntimeError as error:
            raise _unfit(settings, error) from error

    def __enter__(self) -> "OpenVinoSession":
        return self

    def __exit__(self, *_: object) -> None:
        del self._attention, self._request, self._compiled

    def reset(self) -> None:
        """Empties the context."""
        self._attention.clear()
        self._position = 0

    def rewind(self, held: int) -> bool:
        """Takes all tokens but the first ones out of the context; see `Session.rewind`."""
        if not self._attention.cut(held):
            return False
        self._position = held
        return True

    # What the model consists of is read from its folder when it is asked for: no load takes longer
    # for it, and a quality check does without.
    @cached_property
    def runtime_bpw(self) -> float | None:
        """Bits per weight of what OpenVINO holds."""
        return bits_per_weight(self._graph.weight_bytes, self._model.n_weights)

    @cached_property
    def anatomy(self) -> Anatomy:
        """What the model consists of in OpenVINO's form, or why that cannot be told."""
        return self._graph.anatomy if self._device == "CPU" else _NOT_ON_CPU

    @cached_property
    def kv_cache(self) -> KvCache:
        """How OpenVINO keeps keys and values."""
        return openvino_model.kv_cache(self._compiled, self._graph.anatomy.kv_values)

    @cached_property
    def _graph(self) -> Graph:
        return read_graph(self.folder)

    def fill(self, tokens: Sequence[int]) -> None:
        """Puts tokens into the context, outside of any window."""
        if tokens:
            self._refuse_overflow(len(tokens))
            self._stage(tokens, self._places[len(tokens) - 1 : len(tokens)])
            self._run()

    def prefill(self, tokens: Sequence[int]) -> Prefill:
        """Puts the prompt into the context in one go and chooses the first output token."""
        self._refuse_overflow(len(tokens))
        self._stage(tokens, self._places[len(tokens) - 1 : len(tokens)])
        start = monotonic_ns()
        self._run()
        ready = monotonic_ns()
        self._choose()
        chosen = monotonic_ns()
        return Prefill.between(start, ready, chosen)

    def decode(self, tokens: Sequence[int]) -> tuple[float, ...]:
        """Puts tokens into the context one after another; see `Session.decode`."""
        self._refuse_overflow(len(tokens))
        start = self._position
        self._stage(tokens[:1], self._places[:1])
        self._give("position_ids", self._one_place)
        ids, places, lengthen, run = self._ids, self._one_place, self._attention.lengthen, self._run
        stamps = [monotonic_ns()]
        for place, token in enumerate(tokens, start):
            ids[0] = token
            places[0] = place
            lengthen(1, place + 1)
            run()
            stamps.append(monotonic_ns())
        self._position = start + len(tokens)
        return tuple(seconds_between(*pair) for pair in itertools.pairwise(stamps))

    def is_sound(self) -> bool:
        """Whether the logits after the last token are numbers, and not all the same."""
        last = self._answered()[-1]
        return bool(np.isfinite(last.max()) and last.min() < last.max())

    def logits(self, tokens: Sequence[int], first: int = 0) -> NDArray[np.float32]:
        """The logits after each token of a fresh context, from a position on.

        Returns:
            Shape (len(tokens) - first, vocabulary); the caller's own.
        """
        self.reset()
        self._refuse_overflow(len(tokens))
        self._stage(tokens, self._places[first : len(tokens)])
        self._run()
        return self._answered().copy()

    def extend(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        """Puts tokens into the context and gives the logits after the last, shape (vocabulary,)."""
        self.fill(tokens)
        last: NDArray[np.float32] = self._answered()[-1].copy()
        return last

    @property
    def start_token(self) -> int | None:
        """The token that the model wants at the start of every text, or `None`."""
        return self._words.start_token

    def tokenize(self, text: str) -> list[int]:
        """The token ids of a text, without any added at its start or end."""
        return self._words.tokenize(text)

    def detokenize(self, tokens: Sequence[int]) -> str:
        """The text of token ids; special tokens have none."""
        return self._words.detokenize(tokens)

    def ends(self, token: int) -> bool:
        """Whether a token ends what a model has to say."""
        return self._words.ends(token)

    @cached_property
    def _words(self) -> "Vocabulary | FolderVocabulary":
        """Loaded once a text needs it: no window does, and its memory is not the model's."""
        # OpenVINO's tokenizer takes text that looks like a special token for one, so that ids
        # would differ from those on llama.cpp.
        if self._model.format is Format.GGUF:
            from odllm_agent.engines.llama_cpp.vocabulary import Vocabulary  # noqa: PLC0415 - as above

            return Vocabulary.of_file(self._model.path)
        return FolderVocabulary(self._model.path)

    def _refuse_overflow(self, n_tokens: int) -> None:
        refuse_overflow(n_tokens, self._position, self._context_tokens)

    def _warm_up(self) -> None:
        """Compiles kernels for a prompt and for single tokens."""
        self.fill([0] * min(_WARM_UP_TOKENS, self._context_tokens))
        self.reset()
        self.decode([0] * min(2, self._context_tokens))
        self.reset()

    def _stage(self, tokens: Sequence[int], wanted: NDArray[np.int64]) -> None:
        """Hands tokens over that follow those in the context.

        Args:
            tokens: The tokens.
            wanted: Those of them whose logits are computed, by their place among them.
        """
        end = self._position + len(tokens)
        self._ids[: len(tokens)] = tokens
        self._give("input_ids", self._ids[: len(tokens)])
        self._give("position_ids", self._places[self._position : end])
        self._request.set_input_tensor(
            self._inputs[openvino_model.WANTED], openvino.Tensor(wanted, shared_memory=True)
        )
        self._attention.lengthen(len(tokens), end)
        self._position = end

    def _give(self, name: str, values: NDArray[np.int64]) -> None:
        tensor = openvino.Tensor(values.reshape(self._shape), shared_memory=True)
        self._request.set_input_tensor(self._inputs[name], tensor)

    def _run(self) -> None:
        # `infer` would compute on this thread, which OpenVINO has not placed on a core of its own.
        self._request.start_async()
        self._request.wait()

    def _answered(self) -> NDArray[np.float32]:
        """A view of the logits that the last run gave, shape (wanted, vocabulary)."""
        logits: NDArray[np.float32] = self._request.get_output_tensor(0).data.reshape(
            -1, self.vocabulary
        )
        return logits

    def _choose(self) -> int:
        return int(self._answered()[-1].argmax())


def _unfit(settings: OpenVinoSettings, error: RuntimeError) -> EngineError:
    """What kernels that are made for this processor only as they are needed cannot do on it."""
    other = next(form for form in FORMS if form != settings.attention)
    return EngineError(
        f"OpenVINO compiles the model with attention={settings.attention}, and this "
        f"{settings.device} cannot run it: {last_line(error)}",
        f"set attention to {other}",
    )


def prepare(model: ModelFile) -> None:
    """Converts a GGUF file, once on this device, so that no load has to wait for it.

    Raises:
        EngineError: The reader knows the file's architecture or one of its types not, or fails.
        ModelInvalid: The reader refuses the file.
        DiskFull: There is no room for the converted form.
    """
    _folder(model)


def load(engine: Engine, model: ModelFile, context_tokens: int) -> OpenVinoSession:
    """Loads a model for windows of up to `context_tokens` tokens.

    Raises:
        EngineError: OpenVINO refuses the model.
        SettingError: A setting is unknown, or this device cannot honour it.
        ModelInvalid: The GGUF file cannot be converted.
        DiskFull: There is no room for the converted form.
    """
    values: dict[str, Any] = dict(check_settings(engine.name, engine.settings))
    settings = OpenVinoSettings(**values)
    return OpenVinoSession(model, _folder(model), settings, context_tokens)


@cache
def version() -> str:
    """The versions of openvino, with its build, and of what converts GGUF files for it.

    openvino-genai reads them; what is put right after it changes answers and speeds as well.
    """
    return f"{openvino.get_version()}+genai.{_GENAI_VERSION}+form.{FORM}"


def build_system() -> str:
    """Nothing: OpenVINO has code for every processor, and says nothing of how it was built."""
    return ""


def variants() -> tuple[Path, ...]:
    """Nothing: which of its code computes is OpenVINO's own choice."""
    return ()


def _folder(model: ModelFile) -> Path:
    return Path(model.path) if model.format is Format.OPENVINO_IR else converted(model, version())
