"""A model's graph for OpenVINO: read, given its form, and compiled with settings that hold."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from openvino import opset13

from odllm_agent.engines.floor import KvCache
from odllm_agent.engines.openvino.attention import FORMS, cache_ports, token_bytes
from odllm_agent.engines.openvino.error import last_line
from odllm_agent.engines.settings import OpenVinoSettings
from odllm_agent.errors import EngineError, SettingError
from odllm_agent.formats.ir import MODEL

WANTED = "wanted_positions"
"""The input that says after which of a run's tokens logits are wanted."""

_SWITCHES = {"on": True, "off": False}
_CORE_TYPES = {"performance": "PCORE_ONLY", "efficiency": "ECORE_ONLY"}
_KV_CACHE = "KV_CACHE_PRECISION"
_TOLD = ("INFERENCE_NUM_THREADS", "NUM_STREAMS", "INFERENCE_PRECISION_HINT", _KV_CACHE)
_CPU_ONLY = ("threads", "cpu_pinning", "hyper_threading", "core_type")
_REMEDIES = {
    "paged": "set attention to stateful, or export it with a state, as for openvino-genai",
    "stateful": "it has to be a language model with a state, as exported for openvino-genai",
}


def read(core: openvino.Core, folder: Path, attention: str) -> openvino.Model:
    """The graph in a folder, in the form that was asked for, with an input named `WANTED`.

    Raises:
        EngineError: It is no language model, or cannot be had in this form.
    """
    form = FORMS[attention]
    try:
        model = core.read_model(folder / MODEL)
        form.transform(model)
        _refuse_other_inputs(model, form.inputs)
        _compute_only_wanted_logits(model, form.tokens_axis)
    except RuntimeError as error:
        raise EngineError(
            f"OpenVINO cannot run the model in {folder} with attention={attention}: "
            f"{last_line(error)}",
            _REMEDIES[attention],
        ) from error
    return model


def _refuse_other_inputs(model: openvino.Model, expected: frozenset[str]) -> None:
    found = {port.any_name for port in model.inputs} - cache_ports(model).keys()
    for what, names in (("no", expected - found), ("a further", found - expected)):
        if names:
            raise RuntimeError(f"it has {what} input {', '.join(sorted(names))}")


def _compute_only_wanted_logits(model: openvino.Model, tokens_axis: int) -> None:
    """Adds an input that says after which tokens logits are wanted.

    Without it the logits of a whole prompt would be computed, which llama.cpp and openvino-genai's
    own pipelines don't do either.
    """
    projection = model.output("logits").node
    while projection.get_type_name() != "MatMul":
        projection = projection.input_value(0).node
    wanted = opset13.parameter([-1], np.int64, name=WANTED)
    wanted.output(0).set_names({WANTED})
    axis = opset13.constant(tokens_axis, np.int64)
    hidden = projection.input_value(0)
    users = list(hidden.get_target_inputs())
    rows = opset13.gather(hidden, wanted, axis)
    for user in users:
        user.replace_source_output(rows.output(0))
    model.add_parameters([wanted])
    model.validate_nodes_and_infer_types()


def refuse_missing_device(core: openvino.Core, device: str) -> None:
    """Refuses a device that OpenVINO does not find, or that this engine does not use.

    Raises:
        SettingError: It is such a device.
    """
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


def refuse_settings_of_the_cpu(settings: OpenVinoSettings) -> None:
    """Refuses what only a CPU has, with another device.

    Raises:
        SettingError: There is such a setting.
    """
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


def compiled(
    core: openvino.Core, model: openvino.Model, settings: OpenVinoSettings
) -> openvino.CompiledModel:
    """Compiles a graph and makes sure that every setting is as it was asked for.

    Raises:
        EngineError: OpenVINO does not compile it.
        SettingError: OpenVINO makes something else of a setting.
    """
    asked = properties(settings)
    try:
        made = core.compile_model(model, settings.device, dict(asked.values()))
    except RuntimeError as error:
        raise _compile_error(settings, last_line(error)) from error
    for setting, (name, value) in asked.items():
        found = _found(made, name)
        if found != _plain(value):
            raise SettingError(
                f"{setting}={getattr(settings, setting)} cannot be had on this {settings.device}: "
                f"OpenVINO makes {name}={found} of it",
                f"set {setting} to its default",
            )
    return made


def _compile_error(settings: OpenVinoSettings, said: str) -> EngineError | SettingError:
    # The paged form knows fewer pairs of types, and says so only while it is compiled.
    if "kvcache type" in said:
        return SettingError(
            f"kv_cache_precision={settings.kv_cache_precision} cannot be had with attention="
            f"{settings.attention} and inference_precision={settings.inference_precision} on this "
            f"{settings.device}: {said}",
            "set kv_cache_precision to auto, inference_precision to the same type, or attention to "
            "stateful",
        )
    return EngineError(
        f"OpenVINO does not compile the model with {settings}: {said}",
        "leave the settings at their defaults, or take another device",
    )


def _found(compiled: openvino.CompiledModel, name: str) -> str:
    """What OpenVINO made of a property."""
    ports = cache_ports(compiled)
    if name == _KV_CACHE and ports:
        # The property stays as it was told; the blocks have the type that is used.
        return " ".join(sorted({_plain(port.element_type) for port in ports.values()}))
    return _plain(compiled.get_property(name))


def properties(settings: OpenVinoSettings) -> Mapping[str, tuple[str, Any]]:
    """The properties that OpenVINO is told, each with its value, by setting."""
    chosen = {
        "performance_hint": ("PERFORMANCE_HINT", settings.performance_hint),
        "threads": ("INFERENCE_NUM_THREADS", settings.threads or None),
        "inference_precision": ("INFERENCE_PRECISION_HINT", settings.inference_precision),
        "kv_cache_precision": (_KV_CACHE, settings.kv_cache_precision),
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


def kv_cache(compiled: openvino.CompiledModel, kv_values: int) -> KvCache:
    """How keys and values are kept.

    Args:
        compiled: The model.
        kv_values: Keys and values that a token leaves in the state of the graph in its folder.
    """
    ports = cache_ports(compiled)
    if ports:
        kind = min(_plain(port.element_type) for port in ports.values())
        return KvCache(kind, token_bytes(ports) / kv_values)
    supported = _KV_CACHE in compiled.get_property("SUPPORTED_PROPERTIES")
    kind = _found(compiled, _KV_CACHE) if supported else "f32"
    # The few bytes of their scales are not told.
    return KvCache(kind, getattr(openvino.Type, kind).bitwidth / 8)


def system(core: openvino.Core, compiled: openvino.CompiledModel, device: str) -> str:
    """What computes and how, as it was left to OpenVINO or asked for."""
    told = {
        "name": core.get_property(device, "FULL_DEVICE_NAME"),
        "capabilities": " ".join(core.get_property(device, "OPTIMIZATION_CAPABILITIES")),
        "attention": "paged" if cache_ports(compiled) else "stateful",
    }
    supported = compiled.get_property("SUPPORTED_PROPERTIES")
    told |= {name: _found(compiled, name) for name in _TOLD if name in supported}
    return " | ".join(f"{name} = {value}" for name, value in told.items())
