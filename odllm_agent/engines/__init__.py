"""The engines, each imported only when it is used."""

import importlib
import sys
from collections.abc import Mapping
from dataclasses import replace
from types import ModuleType
from typing import cast

from odllm_agent.contract import Engine, HeldMemory, ModelFile
from odllm_agent.engines.base import CeilingTeller, MemoryTeller, Session
from odllm_agent.engines.settings import ENGINE_SETTINGS
from odllm_agent.errors import EngineError, UsageError

_MODULES: Mapping[str, str] = {
    "llama_cpp": "odllm_agent.engines.llama_cpp.session",
    "openvino": "odllm_agent.engines.openvino.session",
}

# Without this package OpenVINO tells nobody; with it, every import writes into the home folder and
# sends an event to OpenVINO's makers, from a thread that would run beside what is measured.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

# Those that can tell the memory of a model file before it is loaded, or even made.
_MEMORY: Mapping[str, str] = {"llama_cpp": "odllm_agent.engines.llama_cpp.memory"}

# Where each multiplies matrices apart from any model, to tell how fast it can.
_CEILINGS: Mapping[str, str] = {
    "llama_cpp": "odllm_agent.engines.llama_cpp.ceilings",
    "openvino": "odllm_agent.engines.openvino.ceilings",
}


def prepare(engine: Engine, model: ModelFile) -> None:
    """Makes what an engine needs of a model file, once on this device.

    Loading does it too; done before, it is in no load's time.

    Raises:
        EngineError: The engine is not installed, or cannot run the file.
        ModelInvalid: The file cannot be converted.
        DiskFull: There is no room for what has to be made.
    """
    _module(engine.name).prepare(model)


def load(engine: Engine, model: ModelFile, context_tokens: int) -> Session:
    """Loads a model for windows of up to `context_tokens` tokens.

    Raises:
        EngineError: The engine is not installed, or refuses the model.
        SettingError: It cannot honour a setting.
    """
    return cast(Session, _module(engine.name).load(engine, model, context_tokens))


def versions() -> dict[str, str]:
    """The version of every engine that is installed here, by name."""
    found = {}
    for name in _MODULES:
        try:
            found[name] = cast(str, _module(name).version())
        except EngineError:
            continue
    return found


def absent() -> dict[str, EngineError]:
    """Why each engine that cannot be used here cannot be used, by name."""
    found = {}
    for name in _MODULES:
        try:
            _module(name)
        except EngineError as error:
            found[name] = error
    return found


def told(name: str) -> tuple[str, str, tuple[str, ...]]:
    """What an engine says of itself: its version, how it was built, and its variants.

    Returns:
        The variants are libraries of which one computes, the best for this processor first; none
        where there is no choice.

    Raises:
        EngineError: It is not installed.
    """
    module = _module(name)
    return module.version(), module.build_system(), tuple(map(str, module.variants()))


def why_untold(engine: Engine) -> str:
    """Why an engine cannot tell its memory beforehand, or `""` if it can."""
    if engine.name not in _MEMORY:
        return f"{engine.name} does not tell its memory before it has loaded a model"
    return memory(engine.name).why_untold(engine)


def memory(name: str) -> MemoryTeller:
    """The module in which an engine tells its memory beforehand; see `why_untold`.

    Raises:
        EngineError: The engine is not installed.
    """
    _module(name)
    return cast(MemoryTeller, importlib.import_module(_MEMORY[name]))


def ceilings(name: str) -> CeilingTeller:
    """The module in which an engine multiplies matrices of weights as fast as it can.

    Raises:
        EngineError: The engine is not installed.
    """
    _module(name)
    return cast(CeilingTeller, importlib.import_module(_CEILINGS[name]))


def with_told(held: HeldMemory, engine: Engine, log: str) -> HeldMemory:
    """What a worker held, with the parts of it that only its engine can tell.

    Args:
        held: What the system told of its process.
        engine: The engine that ran in it.
        log: All that the worker said.
    """
    if engine.name in _MEMORY:
        return memory(engine.name).with_told(held, log)
    missing = f"{engine.name} does not tell the sizes of its buffers"
    return replace(held, reason="; ".join(filter(None, (held.reason, missing))))


def _module(name: str) -> ModuleType:
    if name not in _MODULES:
        known = ", ".join(_MODULES)
        raise UsageError(f"there is no engine named {name!r}", f"known engines: {known}")
    try:
        return importlib.import_module(_MODULES[name])
    except ImportError as error:
        raise EngineError(
            f"the engine {name} is not installed here: {error}", ENGINE_SETTINGS[name].install
        ) from error
    except (OSError, RuntimeError) as error:
        raise EngineError(
            f"the engine {name} is installed and its library cannot be loaded: {error}",
            f"install it anew: {ENGINE_SETTINGS[name].install} --force-reinstall",
        ) from error
