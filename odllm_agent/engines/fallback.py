"""What an engine runs a model with where the first choice does not work on a device.

It stands apart from the engines, so that a controller can plan with what a device told of its
builds.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from odllm_agent.contract import (
    PLAIN,
    Device,
    Engine,
    EngineBuild,
    ModelFile,
    Outcome,
    PathTest,
    Scalar,
)

# What stands for the types that openvino-genai's reader makes the same of.
_ALIKE = {"Q6_K": "Q8_0", "Q4_1": "Q4_K"}
_FORMS = ("paged", "stateful")
REMEDIES: Mapping[str, str] = {
    "llama_cpp": "Compiled anew, or by another compiler, it may work (GCC 12 makes AMX code that "
    "crashes, GCC 14 does not): pip install -c constraints.txt --force-reinstall --no-deps "
    "--no-cache-dir llama-cpp-python",
    "openvino": "Another version of OpenVINO may work, or, with one thread, two threads or more",
}
"""What to do about a build of which something does not work, by engine."""


@dataclass(frozen=True, slots=True)
class RunnableEngine:
    """What a model is run with.

    Attributes:
        engine: The engine with the settings that work, or as it was asked for.
        faults: What kept it from being run as it was asked for.
        unusable: Why it cannot be run at all, or `""`.
        changed: The settings that are not as they were asked for.
    """

    engine: Engine
    faults: tuple[PathTest, ...] = ()
    unusable: str = ""
    changed: Mapping[str, Scalar] = field(default_factory=dict)

    @property
    def told(self) -> str:
        """What an engine is run with instead, why, and what to do about it, in one line."""
        settings = ", ".join(f"{name}={value}".lower() for name, value in self.changed.items())
        wrong = "; ".join(dict.fromkeys(map(_without_figures, self.faults)))
        name = self.engine.name
        return f"run on {name} with {settings}: this build's {wrong}. {REMEDIES[name]}"


@dataclass(frozen=True, slots=True)
class Tried:
    """What a device told of itself when its engines were tried.

    Attributes:
        builds: How each engine was built, and what of it does not work there, by name.
        cores: The hardware threads that an engine may use.
    """

    builds: Mapping[str, EngineBuild]
    cores: int

    @classmethod
    def of(cls, device: Device) -> "Tried":
        """What a device told."""
        return cls(device.builds, device.logical_cores)


UNTRIED = Tried({}, 1)
"""Of a device that has told nothing."""


def choice(engine: Engine, tried: Tried, files: Iterable[ModelFile]) -> RunnableEngine:
    """What an engine can run model files with on a device: as it was asked for, or the next best.

    Args:
        engine: The engine as it was asked for.
        tried: What was found when the builds of the device's engines were tried.
        files: The files, all of which must run with the same settings.
    """
    build = tried.builds.get(engine.name)
    choose = _CHOICES.get(engine.name)
    if build is None or choose is None or not build.faults:
        return RunnableEngine(engine)
    types = frozenset(name for file in files for name in file.tensor_types)
    return choose(engine, build, types, tried.cores)


def should_run(engine: Engine, tried: Tried, file: ModelFile) -> bool | None:
    """Whether an engine's build computes the types of a file rightly, with the settings given.

    Returns:
        `None` where it was not tried with all of them.
    """
    build = tried.builds.get(engine.name)
    known = {test.type for test in build.tests} if build else set()
    types = set(file.tensor_types)
    # A file's vectors are F32 whatever its matrices are.
    weights = types - {"F32"} or types
    if not weights or any(_ALIKE.get(name, name) not in known for name in weights):
        return None
    found = choice(engine, tried, [file])
    return not found.faults and not found.unusable


def alone(engine: Engine, tried: Tried, type_name: str) -> Engine:
    """The same for weights of one type apart from any model, as ceilings are measured with."""
    build = tried.builds.get(engine.name)
    if build is None or engine.name != "llama_cpp" or not _repacked(build, {type_name}):
        return engine
    return _with(engine, repack=False)


def openvino_path(settings: Mapping[str, Scalar], cores: int) -> str:
    """The name of the code path that OpenVINO takes with some settings.

    With one thread for a request it takes other code than with several.

    Args:
        settings: All settings of the engine.
        cores: The hardware threads that it may use.
    """
    threads = int(settings["threads"]) or cores
    single = threads == 1 or settings["performance_hint"] == "THROUGHPUT"
    count = "one thread" if single else "several threads"
    exact = ", f32" if settings["inference_precision"] == "f32" else ""
    return f"{settings['attention']}, {count}{exact}"


def _llama_cpp(engine: Engine, build: EngineBuild, types: frozenset[str], _: int) -> RunnableEngine:
    cache = {str(engine.settings[f"kv_type_{each}"]).upper() for each in "kv"}
    broken = tuple(_faults(build, types | cache, (PLAIN,)))
    if broken:
        return RunnableEngine(engine, broken, _unusable(engine, broken))
    faults = _repacked(build, types) if engine.settings["repack"] else ()
    return (
        _changed(engine, _with(engine, repack=False), faults) if faults else RunnableEngine(engine)
    )


def _openvino(
    engine: Engine, build: EngineBuild, types: frozenset[str], cores: int
) -> RunnableEngine:
    alike = frozenset(_ALIKE.get(name, name) for name in types)
    found: tuple[PathTest, ...] = ()
    for candidate in _openvino_candidates(engine):
        path = openvino_path(candidate.settings, cores)
        faults = tuple(_faults(build, alike, (path,)))
        if not faults:
            return _changed(engine, candidate, found)
        found += faults
    return RunnableEngine(engine, found, _unusable(engine, found))


def _openvino_candidates(engine: Engine) -> Iterator[Engine]:
    """What is tried in turn: as asked for, computing in f32, and the other form of the model."""
    yield engine
    # Whoever names a type or a device has no use for another.
    if engine.settings["device"] != "CPU" or engine.settings["inference_precision"] != "auto":
        return
    exact = _with(engine, inference_precision="f32")
    yield exact
    for form in _FORMS:
        if form != engine.settings["attention"]:
            yield _with(engine, attention=form)
            yield _with(exact, attention=form)


def _repacked(build: EngineBuild, types: Iterable[str]) -> tuple[PathTest, ...]:
    """What is wrong with weights that are laid out anew."""
    return tuple(fault for fault in build.faults if fault.path != PLAIN and fault.type in types)


def _faults(build: EngineBuild, types: Iterable[str], paths: Iterable[str]) -> Iterator[PathTest]:
    wanted = set(paths)
    for each in sorted(types):
        yield from (fault for fault in build.faults if fault.type == each and fault.path in wanted)


def _unusable(engine: Engine, faults: Iterable[PathTest]) -> str:
    told = "; ".join(f"{fault.path} {fault.type} {fault.told}" for fault in faults)
    return f"this build of {engine.name} cannot run it: {told}"


def _changed(asked: Engine, engine: Engine, faults: tuple[PathTest, ...]) -> RunnableEngine:
    changed = {
        name: value for name, value in engine.settings.items() if value != asked.settings[name]
    }
    return RunnableEngine(engine, faults, changed=changed)


def _without_figures(fault: PathTest) -> str:
    """What is wrong with a code path, in words that all types share."""
    told = fault.told if fault.outcome is Outcome.CRASHED else fault.kind
    return f"{fault.path} path {told}"


def _with(engine: Engine, **settings: Scalar) -> Engine:
    return replace(engine, settings={**engine.settings, **settings})


_CHOICES: Mapping[str, Callable[[Engine, EngineBuild, frozenset[str], int], RunnableEngine]] = {
    "llama_cpp": _llama_cpp,
    "openvino": _openvino,
}
