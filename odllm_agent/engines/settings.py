"""The settings that each engine honours: their types, defaults and limits.

They stand apart from the engines, so that a controller can check an experiment without having
any engine installed.
"""

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from odllm_agent.contract import Scalar
from odllm_agent.errors import SettingError, UsageError

CoreType = Literal["any", "performance", "efficiency"]
KvType = Literal["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0"]


@dataclass(frozen=True, slots=True)
class LlamaCppSettings:
    """What llama.cpp is told; the defaults are those of llama-bench.

    Attributes:
        threads: Threads for prefill and for decode.
        batch_tokens: Tokens handed to llama.cpp in one call.
        ubatch_tokens: Tokens that it computes at once.
        flash_attention: Whether attention is fused; `auto` leaves it to llama.cpp.
        kv_type_k: Type of the keys in the KV cache.
        kv_type_v: Type of the values in it; a quantized one needs flash attention.
        mmap: Whether the file is mapped into memory instead of read.
        repack: Whether weights may be laid out anew for this processor at load.
        gpu_layers: Layers computed on a GPU.
        core_type: The cores of a hybrid CPU that compute.
    """

    install: ClassVar[str] = "pip install llama-cpp-python"

    threads: int = field(metadata={"at_least": 1})
    batch_tokens: int = field(default=2048, metadata={"at_least": 1})
    ubatch_tokens: int = field(default=512, metadata={"at_least": 1})
    flash_attention: Literal["auto", "on", "off"] = "auto"
    kv_type_k: KvType = "f16"
    kv_type_v: KvType = "f16"
    mmap: bool = True
    repack: bool = True
    gpu_layers: int = field(default=0, metadata={"at_least": 0})
    core_type: CoreType = "any"

    def __post_init__(self) -> None:
        """Refuses what llama.cpp would change or fail on without a clear word."""
        _check_types(self)
        if self.ubatch_tokens > self.batch_tokens:
            raise SettingError(
                f"ubatch_tokens={self.ubatch_tokens} is more than batch_tokens={self.batch_tokens}",
                "llama.cpp would lower it without a word: set it to at most batch_tokens",
            )
        if self.kv_type_v not in {"f32", "f16", "bf16"} and self.flash_attention == "off":
            raise SettingError(
                f"kv_type_v={self.kv_type_v} cannot be had with flash_attention=off",
                "set flash_attention to on or auto, or kv_type_v to f16",
            )


@dataclass(frozen=True, slots=True)
class OpenVinoSettings:
    """What OpenVINO is told; the defaults are its own, or those of openvino-genai.

    Attributes:
        device: What computes.
        attention: The form of the model: with blocks of keys and values (`paged`), which
            openvino-genai's pipelines take by default, or with a state (`stateful`).
        threads: Threads of the CPU; 0 leaves their number to OpenVINO.
        performance_hint: What OpenVINO arranges its threads for. Our windows hold one request at a
            time, so `THROUGHPUT` may leave threads idle that it keeps for others.
        inference_precision: The type that is computed with; `auto` leaves it to OpenVINO, which
            takes bf16 on a CPU that has it.
        kv_cache_precision: The type of keys and values in the KV cache; `auto` leaves it to
            OpenVINO, which takes u8 on a CPU unless the model asks for more.
        cpu_pinning: Whether each thread stays on one core.
        hyper_threading: Whether two threads may share a core.
        core_type: The cores of a hybrid CPU that compute.
    """

    install: ClassVar[str] = 'pip install "odllm[openvino]"'

    device: Literal["CPU", "GPU", "NPU"] = "CPU"
    attention: Literal["paged", "stateful"] = "paged"
    threads: int = field(default=0, metadata={"at_least": 0})
    performance_hint: Literal["LATENCY", "THROUGHPUT"] = "LATENCY"
    inference_precision: Literal["auto", "f32", "f16", "bf16"] = "auto"
    kv_cache_precision: Literal["auto", "f32", "f16", "bf16", "u8"] = "auto"
    cpu_pinning: Literal["auto", "on", "off"] = "auto"
    hyper_threading: Literal["auto", "on", "off"] = "auto"
    core_type: CoreType = "any"

    def __post_init__(self) -> None:
        """Refuses values of the wrong type; what a device cannot honour, the engine refuses."""
        _check_types(self)


@dataclass(frozen=True, slots=True)
class SimulatedSettings:
    """What a simulated device is told; it runs nothing, and takes no other engine's settings.

    Attributes:
        threads: Cores that the formula counts with.
    """

    install: ClassVar[str] = "it runs on simulated devices only, with fleet=simulated"

    threads: int = field(metadata={"at_least": 1})

    def __post_init__(self) -> None:
        """Refuses a number of threads that is none."""
        _check_types(self)


EngineSettings = LlamaCppSettings | OpenVinoSettings | SimulatedSettings

ENGINE_SETTINGS: Mapping[str, type[EngineSettings]] = {
    "llama_cpp": LlamaCppSettings,
    "openvino": OpenVinoSettings,
    "simulated": SimulatedSettings,
}


def check_settings(engine: str, values: Mapping[str, object]) -> dict[str, Scalar]:
    """Every setting of an engine, the given values checked and the rest by default.

    Args:
        engine: The engine's name.
        values: Some or all of its settings.

    Raises:
        UsageError: There is no such engine.
        SettingError: A setting is unknown, of the wrong type or beyond its limits.
    """
    kind = ENGINE_SETTINGS.get(engine)
    if kind is None:
        known = ", ".join(sorted(ENGINE_SETTINGS))
        raise UsageError(f"there is no engine named {engine!r}", f"known engines: {known}")
    names = [setting.name for setting in dataclasses.fields(kind)]
    for name in values:
        if name not in names:
            raise SettingError(
                f"{engine} has no setting named {name!r}", f"its settings: {', '.join(names)}"
            )
    arguments: dict[str, Any] = dict(values)
    return dataclasses.asdict(kind(**arguments))


def _check_types(settings: EngineSettings) -> None:
    hints = typing.get_type_hints(type(settings))
    for setting in dataclasses.fields(settings):
        value = getattr(settings, setting.name)
        wanted = _unmet(hints[setting.name], setting.metadata.get("at_least"), value)
        if wanted:
            raise SettingError(
                f"{setting.name}={value!r} is not {wanted}", f"set {setting.name} to {wanted}"
            )


def _unmet(kind: Any, at_least: int | None, value: object) -> str:
    """What the value should have been, or nothing if it is that."""
    if typing.get_origin(kind) is Literal:
        choices = typing.get_args(kind)
        return "" if value in choices else f"one of {', '.join(choices)}"
    if type(value) is not kind:
        return {int: "a whole number", bool: "true or false"}[kind]
    if at_least is not None and isinstance(value, int) and value < at_least:
        return f"at least {at_least}"
    return ""
