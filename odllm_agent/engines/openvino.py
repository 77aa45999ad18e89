"""OpenVINO, through the inference requests of its own runtime.

A GGUF file is first converted by openvino-genai's reader; its pipelines are not used, because
their tokenizer, sampling and scheduling would be measured as if they were the model's. The windows
are those of llama.cpp's engine: a request is awaited until its logits are there, token ids are
drawn beforehand, and of a prompt only the last token's logits are computed.

The first inferences compile kernels and lay the weights out anew, so loading ends with a few.
"""

import itertools
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import opset13

from odllm_agent.clock import monotonic_ns, seconds_between
from odllm_agent.contract import Engine, Format, ModelFile
from odllm_agent.engines.base import Prefill, refuse_overflow
from odllm_agent.engines.gguf_to_ir import converted
from odllm_agent.errors import EngineError, SettingError
from odllm_agent.ir import MODEL, read_graph
from odllm_agent.settings import OpenVinoSettings, check_settings

if TYPE_CHECKING:
    from odllm_agent.engines.vocabulary import Vocabulary

# Asked for here so that its absence is found together with the runtime's.
_GENAI_VERSION = metadata.version("openvino-genai")
_SWITCHES = {"on": True, "off": False}
_CORE_TYPES = {"performance": "PCORE_ONLY", "efficiency": "ECORE_ONLY"}
_CPU_ONLY = ("threads", "cpu_pinning", "hyper_threading", "core_type")
_TOLD = ("INFERENCE_NUM_THREADS", "NUM_STREAMS", "INFERENCE_PRECISION_HINT", "KV_CACHE_PRECISION")
_INPUTS = {"input_ids", "attention_mask", "position_ids", "beam_idx"}
_WANTED = "wanted_positions"
_WARM_UP_TOKENS = 32


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
        _refuse_missing_device(core, settings.device)
        _refuse_settings_of_the_cpu(settings)
        graph = _read(core, folder)
        self._model = model
        self._compiled = _compile(core, graph, settings)
        self._request = self._compiled.create_infer_request()
        self._inputs = {port.any_name: place for place, port in enumerate(self._compiled.inputs)}
        self._context_tokens = context_tokens
        self._position = 0
        # What a request is given are views of these, so they must live as long as it does.
        self._ids = np.zeros((1, context_tokens), np.int64)
        self._places = np.arange(context_tokens, dtype=np.int64)[np.newaxis]
        self._one_place = np.zeros((1, 1), np.int64)
        self._first_beam = np.zeros(1, np.int32)
        # Of ones for the whole context; only its shape changes.
        self._mask = openvino.Tensor(openvino.Type.i64, [1, context_tokens])
        self._mask.data[:] = 1
        self.vocabulary = int(graph.output("logits").partial_shape[-1].get_length())
        self.runtime_bpw: float | None = 8 * read_graph(folder).weight_bytes / model.n_weights
        self.system = _system(core, self._compiled, settings.device)
        self._give("beam_idx", self._first_beam)
        self._request.set_input_tensor(self._inputs["attention_mask"], self._mask)
        self._warm_up()

    def __enter__(self) -> "OpenVinoSession":
        return self

    def __exit__(self, *_: object) -> None:
        del self._request, self._compiled

    def reset(self) -> None:
        """Empties the context."""
        self._request.reset_state()
        self._position = 0

    def rewind(self, held: int) -> bool:
        """Takes all tokens but the first ones out of the context; see `Session.rewind`."""
        states = self._request.query_state()
        # Keys and values, of shape (batch, heads, tokens, width); other states cannot be cut.
        if any(len(each.state.shape) != 4 for each in states):
            return False
        for each in states:
            each.state = openvino.Tensor(np.ascontiguousarray(each.state.data[:, :, :held]))
        self._position = held
        return True

    def fill(self, tokens: Sequence[int]) -> None:
        """Puts tokens into the context, outside of any window."""
        if tokens:
            self._refuse_overflow(len(tokens))
            self._stage(tokens, self._places[0, len(tokens) - 1 : len(tokens)])
            self._run()

    def prefill(self, tokens: Sequence[int]) -> Prefill:
        """Puts the prompt into the context in one go and chooses the first output token."""
        self._refuse_overflow(len(tokens))
        self._stage(tokens, self._places[0, len(tokens) - 1 : len(tokens)])
        start = monotonic_ns()
        self._run()
        ready = monotonic_ns()
        self._choose()
        chosen = monotonic_ns()
        return Prefill(seconds_between(start, ready), seconds_between(start, chosen))

    def decode(self, tokens: Sequence[int]) -> tuple[float, ...]:
        """Puts tokens into the context one after another; see `Session.decode`."""
        self._refuse_overflow(len(tokens))
        start = self._position
        self._stage(tokens[:1], self._places[0, :1])
        self._give("position_ids", self._one_place)
        ids, places, mask, run = self._ids, self._one_place, self._mask, self._run
        stamps = [monotonic_ns()]
        for place, token in enumerate(tokens, start):
            ids[0, 0] = token
            places[0, 0] = place
            mask.shape = (1, place + 1)
            run()
            stamps.append(monotonic_ns())
        self._position = start + len(tokens)
        return tuple(seconds_between(*pair) for pair in itertools.pairwise(stamps))

    def logits(self, tokens: Sequence[int], first: int = 0) -> NDArray[np.float32]:
        """The logits after each token of a fresh context, from a position on.

        Returns:
            Shape (len(tokens) - first, vocabulary); the caller's own.
        """
        self.reset()
        self._refuse_overflow(len(tokens))
        self._stage(tokens, self._places[0, first : len(tokens)])
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
            from odllm_agent.engines.vocabulary import Vocabulary  # noqa: PLC0415 - as above

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
        self._ids[0, : len(tokens)] = tokens
        self._give("input_ids", self._ids[:, : len(tokens)])
        self._mask.shape = (1, end)
        self._give("position_ids", self._places[:, self._position : end])
        self._give(_WANTED, wanted)
        self._position = end

    def _give(self, name: str, values: NDArray[Any]) -> None:
        tensor = openvino.Tensor(values, shared_memory=True)
        self._request.set_input_tensor(self._inputs[name], tensor)

    def _run(self) -> None:
        # `infer` would compute on this thread, which OpenVINO has not placed on a core of its own.
        self._request.start_async()
        self._request.wait()

    def _answered(self) -> NDArray[np.float32]:
        """A view of the logits that the last run gave, shape (wanted, vocabulary)."""
        logits: NDArray[np.float32] = self._request.get_output_tensor(0).data[0]
        return logits

    def _choose(self) -> int:
        return int(self._answered()[-1].argmax())


class FolderVocabulary:
    """Text to token ids and back, by the tokenizer in a folder of OpenVINO's form.

    Text that looks like a special token is taken for one.

    Args:
        folder: The folder.

    Raises:
        EngineError: It holds no tokenizer that openvino-genai can read.
    """

    def __init__(self, folder: str) -> None:
        import openvino_genai  # noqa: PLC0415 - only a text needs it, and it takes half a second

        try:
            self._tokenizer = openvino_genai.Tokenizer(folder)
        except RuntimeError as error:
            raise EngineError(
                f"openvino-genai finds no tokenizer in {folder}: {_last_line(error)}",
                "export it with its tokenizer: openvino_tokenizer.xml and .bin",
            ) from error
        begins = self._encoded("", add_special_tokens=True)[:1]
        self.start_token = begins[0] if begins == [self._tokenizer.get_bos_token_id()] else None

    def tokenize(self, text: str) -> list[int]:
        """The token ids of a text, without any added at its start or end."""
        return self._encoded(text, add_special_tokens=False)

    def detokenize(self, tokens: Sequence[int]) -> str:
        """The text of token ids; special tokens have none."""
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=True))

    def ends(self, token: int) -> bool:
        """Whether a token ends what a model has to say."""
        return token == int(self._tokenizer.get_eos_token_id())

    def _encoded(self, text: str, *, add_special_tokens: bool) -> list[int]:
        encoded = self._tokenizer.encode(text, add_special_tokens=add_special_tokens)
        return [int(token) for token in encoded.input_ids.data[0]]


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
    """The versions of openvino, with its build, and of openvino-genai, which reads GGUF files."""
    return f"{openvino.get_version()}+genai.{_GENAI_VERSION}"


def _folder(model: ModelFile) -> Path:
    return Path(model.path) if model.format is Format.OPENVINO_IR else converted(model, version())


def _read(core: openvino.Core, folder: Path) -> openvino.Model:
    try:
        model = core.read_model(folder / MODEL)
        missing = _INPUTS - {port.any_name for port in model.inputs}
        if missing:
            raise RuntimeError(f"it has no input {', '.join(sorted(missing))}")
        _compute_only_wanted_logits(model)
    except RuntimeError as error:
        raise EngineError(
            f"OpenVINO cannot run the model in {folder}: {_last_line(error)}",
            "it has to be a language model with a state, as exported for openvino-genai",
        ) from error
    return model


def _compute_only_wanted_logits(model: openvino.Model) -> None:
    """Adds an input that says after which tokens logits are wanted.

    Without it the logits of a whole prompt would be computed, which llama.cpp and openvino-genai's
    own pipelines don't do either.
    """
    projection = model.output("logits").node
    while projection.get_type_name() != "MatMul":
        projection = projection.input_value(0).node
    wanted = opset13.parameter([-1], np.int64, name=_WANTED)
    wanted.output(0).set_names({_WANTED})
    hidden = opset13.gather(projection.input_value(0), wanted, opset13.constant(1, np.int64))
    projection.input(0).replace_source_output(hidden.output(0))
    model.add_parameters([wanted])
    model.validate_nodes_and_infer_types()


def _refuse_missing_device(core: openvino.Core, device: str) -> None:
    if device == "NPU":
        raise SettingError(
            "device=NPU cannot be had yet: an NPU computes prompts of one fixed size only, "
            "through a part of OpenVINO that this engine does not use",
            "set device to CPU, or to GPU",
        )
    known = core.available_devices
    if device not in {name.split(".")[0] for name in known}:
        raise SettingError(
            f"device={device} cannot be had: OpenVINO finds only {', '.join(known)} here",
            "set device to CPU, or install the driver that OpenVINO asks for",
        )


def _refuse_settings_of_the_cpu(settings: OpenVinoSettings) -> None:
    if settings.device == "CPU":
        return
    defaults = OpenVinoSettings()
    for name in _CPU_ONLY:
        value, default = getattr(settings, name), getattr(defaults, name)
        if value != default:
            raise SettingError(
                f"{name}={value} cannot be had with device={settings.device}: it is one of the CPU",
                f"set {name} to {default}",
            )


def _compile(
    core: openvino.Core, model: openvino.Model, settings: OpenVinoSettings
) -> openvino.CompiledModel:
    """Compiles a model and makes sure that every setting is as it was asked for."""
    asked = properties(settings)
    try:
        compiled = core.compile_model(model, settings.device, dict(asked.values()))
    except RuntimeError as error:
        raise EngineError(
            f"OpenVINO does not compile the model with {settings}: {_last_line(error)}",
            "leave the settings at their defaults, or take another device",
        ) from error
    for setting, (name, value) in asked.items():
        found = _plain(compiled.get_property(name))
        if found != _plain(value):
            raise SettingError(
                f"{setting}={getattr(settings, setting)} cannot be had on this {settings.device}: "
                f"OpenVINO makes {name}={found} of it",
                f"set {setting} to its default",
            )
    return compiled


def properties(settings: OpenVinoSettings) -> Mapping[str, tuple[str, Any]]:
    """The properties that OpenVINO is told, each with its value, by setting."""
    chosen = {
        "performance_hint": ("PERFORMANCE_HINT", settings.performance_hint),
        "threads": ("INFERENCE_NUM_THREADS", settings.threads or None),
        "inference_precision": ("INFERENCE_PRECISION_HINT", settings.inference_precision),
        "kv_cache_precision": ("KV_CACHE_PRECISION", settings.kv_cache_precision),
        "cpu_pinning": ("ENABLE_CPU_PINNING", _SWITCHES.get(settings.cpu_pinning)),
        "hyper_threading": ("ENABLE_HYPER_THREADING", _SWITCHES.get(settings.hyper_threading)),
        "core_type": ("SCHEDULING_CORE_TYPE", _CORE_TYPES.get(settings.core_type)),
    }
    return {setting: told for setting, told in chosen.items() if told[1] not in {None, "auto"}}


def _plain(value: object) -> str:
    """A property's value as text, whichever of OpenVINO's types it has."""
    if isinstance(value, openvino.Type):
        return str(value.get_type_name())
    return str(value).rpartition(".")[-1]


def _system(core: openvino.Core, compiled: openvino.CompiledModel, device: str) -> str:
    """What computes and how, as it was left to OpenVINO or asked for."""
    told = {
        "name": core.get_property(device, "FULL_DEVICE_NAME"),
        "capabilities": " ".join(core.get_property(device, "OPTIMIZATION_CAPABILITIES")),
    }
    supported = compiled.get_property("SUPPORTED_PROPERTIES")
    for name in (
        "INFERENCE_NUM_THREADS",
        "NUM_STREAMS",
        "INFERENCE_PRECISION_HINT",
        "KV_CACHE_PRECISION",
    ):
        if name in supported:
            told[name] = _plain(compiled.get_property(name))
    return " | ".join(f"{name} = {value}" for name, value in told.items())


def _last_line(error: RuntimeError) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else "it does not say why"
