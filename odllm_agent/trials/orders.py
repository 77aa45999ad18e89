"""From what is asked of a device, and the model files that it has, to what it has to do."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from odllm_agent.contract import (
    READ,
    CeilingKey,
    CeilingsOrder,
    Device,
    Engine,
    Exam,
    Failure,
    ModelFile,
    ModelRequest,
    QualityCheck,
    Quantization,
    Reading,
    Skip,
    Source,
    Trial,
    Workload,
    to_json,
)
from odllm_agent.engines import fallback
from odllm_agent.engines.fallback import RunnableEngine, Tried
from odllm_agent.engines.floor import ceiling_types
from odllm_agent.engines.settings import check_settings
from odllm_agent.formats.file_types import UNQUANTIZED
from odllm_agent.trials import context
from odllm_agent.trials.context import ContextUse

QualitySubject = Reading | Exam
"""What a model file is asked: a text, or questions."""

Bases = Mapping[str, ModelFile | Failure]

# The scores that need no unquantized file to compare with.
_ALONE = frozenset({"perplexity"})
_BASE = Quantization("F16")
_BASE = Quantization("F16")


def trials(
    device: Device,
    files: Sequence[ModelFile],
    engines: Sequence[Engine],
    workloads: Sequence[Workload],
) -> tuple[Trial, ...]:
    """Every model file x engine with its settings x workload on one device, once.

    Where an engine's build cannot run a file as it was asked to, the trial has the settings of the
    next best that it can; what it cannot run at all is left out.
    """
    found = (
        Trial(device.id, file, choice.engine, workload)
        for file in files
        for choice in _choices(device, engines, file)
        for workload in workloads
    )
    return tuple({trial.id: trial for trial in found}.values())


def fallbacks(
    device: Device, files: Iterable[ModelFile], engines: Sequence[Engine]
) -> tuple[str, ...]:
    """What an engine does not run as it was asked to, why and what to do about it, a line each."""
    told: dict[str, list[str]] = {}
    names = {engine.name for engine in engines}
    passed_over = [
        f"{name} does not use the code of {line}. {fallback.REMEDIES[name]}"
        for name, build in device.builds.items()
        for line in build.passed_over
        if name in names
    ]
    for file in files:
        for choice in _choices(device, engines, file):
            if choice.faults:
                told.setdefault(choice.told, []).append(file.quantization)
    lines = (f"{', '.join(dict.fromkeys(types))} {line}" for line, types in told.items())
    return (*passed_over, *lines)


def _choices(
    device: Device, engines: Sequence[Engine], file: ModelFile
) -> Iterator[RunnableEngine]:
    found = (fallback.choice(engine, Tried.of(device), [file]) for engine in engines)
    return (choice for choice in found if not choice.unusable)


def beyond_context(
    planned: Iterable[Trial], checked: Iterable[QualityCheck] = ()
) -> tuple[str, ...]:
    """What goes beyond the context that its model was made for, a line each."""
    workloads = (ContextUse.of_workload(each.model, each.workload) for each in planned)
    readings = (ContextUse.of_reading(each.model, each.reading) for each in checked if each.reading)
    return context.beyond((*workloads, *readings))


def without(planned: Sequence[Trial], skipped: Sequence[Skip]) -> tuple[Trial, ...]:
    """The trials that are not skipped."""
    left_out = set(map(_subject, skipped))
    return tuple(trial for trial in planned if _subject(trial) not in left_out)


def ceilings(
    device: Device, planned: Sequence[Trial], known: Collection[CeilingKey] = frozenset()
) -> tuple[CeilingsOrder, ...]:
    """What a device has to be asked, so that its trials can be set against what it does at most.

    Ceilings are those of an engine's default settings with so many threads, so that trials with
    other settings are set against the same. There are none of a GPU.

    Args:
        device: The device.
        planned: Its trials.
        known: What needs no measuring any more.
    """
    names: dict[tuple[str, str, str, int], set[str]] = {}
    for trial in filter(_is_on_cpu, planned):
        engine = trial.engine
        key = (engine.name, engine.version, engine.build, int(engine.settings["threads"]))
        names.setdefault(key, {READ}).update(ceiling_types(engine, trial.model))
    orders: list[CeilingsOrder] = []
    for (name, version, build, threads), wanted in names.items():
        missing = [
            each
            for each in sorted(wanted)
            if CeilingKey(device.id, name, version, threads, each, build) not in known
        ]
        engine = Engine(name, version, check_settings(name, {"threads": threads}), build)
        orders += _ceilings_orders(device, engine, missing)
    return tuple(orders)


def _ceilings_orders(
    device: Device, engine: Engine, names: Sequence[str]
) -> Iterator[CeilingsOrder]:
    """One order, or two where some types need other settings than the rest."""
    by_settings: dict[str, tuple[Engine, list[str]]] = {}
    for name in names:
        working = fallback.alone(engine, Tried.of(device), name)
        by_settings.setdefault(to_json(working), (working, []))[1].append(name)
    for working, alike in by_settings.values():
        yield CeilingsOrder(device.id, working, tuple(alike))


def base_requests(
    requests: Sequence[ModelRequest], metrics: Collection[str]
) -> tuple[ModelRequest, ...]:
    """The files that quantized ones are compared with: each model's source as it is, once.

    Of a source that is quantized itself it is the F16 file made of it, where that is asked for.

    Args:
        requests: The model files that are asked for.
        metrics: The scores of a text that are asked for; none may need a file to compare with.
    """
    if _ALONE.issuperset(metrics):
        return ()
    sources = {
        request.name: replace(
            request, quantization=_BASE if request.requantize else None, imatrix=None
        )
        for request in requests
        if request.source is not Source.SHAPE
    }
    return tuple(sources.values())


def bases(prepared: Iterable[tuple[ModelRequest, ModelFile | Failure]]) -> Bases:
    """What a device gave for each of `base_requests`, by the model's name.

    Args:
        prepared: Each request with what the device gave: a file may have a name of its own.
    """
    return {
        found.name if isinstance(found, ModelFile) else request.name: found
        for request, found in prepared
    }


def checks(
    device: Device,
    files: Sequence[ModelFile],
    engines: Sequence[Engine],
    subjects: Sequence[QualitySubject],
    bases: Bases,
    deadline_s: float,
) -> tuple[QualityCheck, ...]:
    """Every quality check on one device: one per subject, file and engine.

    Quality does not depend on how fast an engine is made to run, so each engine is checked with
    the first of its settings only. A file whose quality cannot be told is not checked: it says
    itself why.

    Args:
        device: Where.
        files: The model files.
        engines: The engines with their settings.
        subjects: What each is checked on.
        bases: What the device gave for each of `base_requests`, by the model's name.
        deadline_s: The time after which a check is ended.
    """
    first = {engine.name: engine for engine in reversed(engines)}
    found = (
        _on(QualityCheck(device.id, file, engine, deadline_s=deadline_s), subject, bases)
        for file in files
        if not file.no_quality
        for engine in first.values()
        for subject in subjects
    )
    return tuple(_working(check, device) for check in found)


def _working(check: QualityCheck, device: Device) -> QualityCheck:
    """A check with the settings that both its files run with."""
    files = [file for file in (check.model, check.base) if file]
    return replace(check, engine=fallback.choice(check.engine, Tried.of(device), files).engine)


def of_trials(found: Sequence[QualityCheck], planned: Sequence[Trial]) -> tuple[QualityCheck, ...]:
    """The checks of files that some trial runs on the same engine; the others cannot run."""
    runs = {(trial.model.sha256, trial.engine.name) for trial in planned}
    return tuple(check for check in found if (check.model.sha256, check.engine.name) in runs)


def _on(check: QualityCheck, subject: QualitySubject, bases: Bases) -> QualityCheck:
    if isinstance(subject, Exam):
        return replace(check, exam=subject)
    alone = _ALONE.issuperset(subject.metrics)
    base, reason = (None, "") if alone else _base(bases.get(check.model.name))
    return replace(check, reading=subject, base=base, base_reason=reason)


def _base(found: ModelFile | Failure | None) -> tuple[ModelFile | None, str]:
    """The file to compare with, or why there is none."""
    if found is None:
        return None, "the unquantized file could not be had"
    if isinstance(found, Failure):
        return None, found.message
    if found.quantization in UNQUANTIZED:
        return found, ""
    return None, (
        f"its source is a {found.quantization} file: there is no unquantized one to compare with"
    )


def _subject(of: Trial | Skip) -> str:
    return to_json([of.model.name, of.model.quantization, of.engine, of.workload])


def _is_on_cpu(trial: Trial) -> bool:
    settings = trial.engine.settings
    return settings.get("device", "CPU") == "CPU" and not settings.get("gpu_layers", 0)
