"""The planner: from an experiment, a device and its model files to an ordered list of steps."""

import itertools
import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from odllm_agent.contract import (
    READ,
    Candidate,
    CeilingsOrder,
    Device,
    Engine,
    Exam,
    Failure,
    Forecast,
    Method,
    ModelFile,
    ModelRequest,
    QualityCheck,
    Reading,
    Rest,
    Source,
    Trial,
    Workload,
    to_json,
)
from odllm_agent.readable import why_unsupported
from odllm_agent.room import why_too_large
from odllm_agent.settings import ENGINE_SETTINGS, check_settings
from odllm_agent.work import ceiling_types
from odllm_controller.config import (
    AUTO,
    EngineConfig,
    Experiment,
    QualityConfig,
    WorkloadConfig,
)
from odllm_controller.store import CeilingKey, Skip

Subject = Reading | Exam
Bases = Mapping[str, ModelFile | Failure]

# The scores that need no unquantized file to compare with.
_ALONE = frozenset({"perplexity"})
_UNQUANTIZED = frozenset({"F32", "F16", "BF16"})


@dataclass(frozen=True, slots=True)
class Step:
    """One trial in one round.

    Attributes:
        trial: What is measured.
        round: Which pass over the device's trials it is, from 0.
        spare: Whether it is needed only while the trial's interval is too wide.
    """

    trial: Trial
    round: int
    spare: bool = False


def requests(experiment: Experiment) -> tuple[ModelRequest, ...]:
    """The model files that an experiment needs on every device."""
    return tuple(
        ModelRequest(
            name=name,
            source=Source(model.source),
            location=model.location(name),
            quantization=quantization,
            sha256=model.sha256,
            seed=model.seed or 0,
        )
        for name, model in experiment.models.items()
        for quantization in model.quantizations or experiment.quantizations
    )


def trials(experiment: Experiment, device: Device, files: Sequence[ModelFile]) -> tuple[Trial, ...]:
    """Every model file x engine x settings x workload of an experiment on one device, once."""
    found = (
        Trial(device.id, file, engine, workload)
        for file in files
        for engine in _engines(experiment, device)
        for workload in _workloads(experiment)
    )
    return tuple({trial.id: trial for trial in found}.values())


def candidates(experiment: Experiment, device: Device) -> tuple[Candidate, ...]:
    """Everything that an experiment asks of one device, before any model file is there, once."""
    found = (
        Candidate(request, engine, workload)
        for request in requests(experiment)
        for engine in _engines(experiment, device)
        for workload in _workloads(experiment)
    )
    return tuple({to_json(candidate): candidate for candidate in found}.values())


def why_not(forecast: Forecast, device: Device) -> str | None:
    """Why a candidate cannot run on a device, or `None` if nothing is known against it.

    What must fit is what the windows need in memory all the time, and in any case the file. A
    forecast that failed decides nothing: the attempt itself will tell.
    """
    unavailable = _why_unavailable(forecast.candidate.engine, device)
    if unavailable:
        return unavailable
    if forecast.model is None or forecast.failure:
        return None
    unsupported = why_unsupported(forecast.candidate.engine.name, forecast.model)
    if unsupported:
        return unsupported
    told_bytes = forecast.memory.needed_bytes if forecast.memory else 0
    needed_bytes = max(told_bytes, forecast.model.file_bytes)
    return why_too_large(needed_bytes, forecast.available_bytes)


def _why_unavailable(engine: Engine, device: Device) -> str | None:
    """Why a device does not offer what an engine's settings ask for."""
    if engine.name not in device.engines:
        install = ENGINE_SETTINGS[engine.name].install
        return f"{engine.name} is not installed on {device.name}: {install}"
    threads = engine.settings["threads"]
    if int(threads) > device.logical_cores:
        return f"threads={threads}, and {device.name} has {device.logical_cores} hardware threads"
    core_type = engine.settings.get("core_type", "any")
    # Other systems do not tell; there the engine itself knows, or refuses.
    if core_type != "any" and device.system.startswith("Linux") and not device.core_types:
        return f"core_type={core_type}, and {device.name} has cores of one type only"
    return None


def skips(device: Device, forecasts: Sequence[Forecast]) -> tuple[Skip, ...]:
    """What cannot run on a device, with the reasons."""
    return tuple(
        Skip(device.id, each.model, each.candidate.engine, each.candidate.workload, reason)
        for each in forecasts
        if each.model and (reason := why_not(each, device))
    )


def runnable(device: Device, forecasts: Sequence[Forecast]) -> tuple[ModelRequest, ...]:
    """The model files that something on a device can run with, once each."""
    wanted = (each.candidate.request for each in forecasts if not why_not(each, device))
    return tuple(dict.fromkeys(wanted))


def without(planned: Sequence[Trial], skipped: Sequence[Skip]) -> tuple[Trial, ...]:
    """The trials that are not skipped."""
    left_out = set(map(_subject, skipped))
    return tuple(trial for trial in planned if _subject(trial) not in left_out)


def steps(
    planned: Sequence[Trial],
    rounds: int,
    seed: int,
    finished: Collection[tuple[str, int]] = frozenset(),
    rounds_at_most: int | None = None,
) -> tuple[Step, ...]:
    """The order in which a device's trials are measured.

    Every round visits all trials in an order of its own, so that a drift of the device is not
    mistaken for an effect of what is measured. The order depends only on the seed and on what is
    planned; leaving out what is finished does not change it.

    Args:
        planned: The trials of one device.
        rounds: How often each is visited.
        seed: What the orders are drawn from.
        finished: Pairs of trial id and round that need no measuring any more.
        rounds_at_most: How often each may be visited; what goes beyond `rounds` is spare.
    """
    ordered = sorted(planned, key=lambda trial: trial.id)
    return tuple(
        Step(trial, index, spare=index >= rounds)
        for index in range(rounds_at_most or rounds)
        for trial in _shuffled(ordered, f"{seed}:{index}")
        if (trial.id, index) not in finished
    )


def ceilings(
    planned: Sequence[Trial], known: Collection[CeilingKey] = frozenset()
) -> tuple[CeilingsOrder, ...]:
    """What a device has to be asked, so that its trials can be set against what it does at most.

    Ceilings are those of an engine's default settings with so many threads, so that trials with
    other settings are set against the same. There are none of a GPU.

    Args:
        planned: The trials of one device.
        known: What needs no measuring any more.
    """
    names: dict[tuple[str, str, str, int], set[str]] = {}
    for trial in filter(_is_on_cpu, planned):
        engine = trial.engine
        key = (trial.device_id, engine.name, engine.version, int(engine.settings["threads"]))
        names.setdefault(key, {READ}).update(ceiling_types(engine, trial.model))
    orders = []
    for (device_id, name, version, threads), wanted in names.items():
        missing = [
            each
            for each in sorted(wanted)
            if CeilingKey(device_id, name, version, threads, each) not in known
        ]
        engine = Engine(name, version, check_settings(name, {"threads": threads}))
        orders += [CeilingsOrder(device_id, engine, tuple(missing))] if missing else []
    return tuple(orders)


def rested(
    measured: Sequence[Step], device: Device, meters: tuple[str, ...], idle_s: float
) -> tuple[Step | Rest, ...]:
    """The steps of a device with a rest before the first, and between rounds where power is read.

    Args:
        measured: The steps, in order.
        device: The device.
        meters: Names of the power meters to read.
        idle_s: How long a rest is; 0 for none.
    """
    metered = any(meter.method is Method.MEASURED for meter in device.meters)
    found: list[Step | Rest] = []
    for before, step in zip((None, *measured), measured, strict=False):
        begins = before is None or (metered and before.round != step.round)
        if idle_s and begins:
            found.append(Rest(device.id, step.round, meters, idle_s))
        found.append(step)
    return tuple(found)


def base_requests(experiment: Experiment) -> tuple[ModelRequest, ...]:
    """The files that quantized ones are compared with: each model's source as it is, once.

    None where no score asked for needs one.
    """
    if _ALONE.issuperset(experiment.quality.metrics):
        return ()
    sources = {
        request.name: replace(request, quantization=None)
        for request in requests(experiment)
        if request.source is not Source.SHAPE
    }
    return tuple(sources.values())


def reading(quality: QualityConfig, text_sha256: str) -> Reading:
    """How an experiment's text is read.

    Args:
        quality: What the experiment asks for.
        text_sha256: The checksum of its text.
    """
    return Reading(
        text=quality.text,
        sha256=text_sha256,
        window_tokens=quality.window_tokens,
        max_windows=quality.max_windows,
        metrics=quality.metrics,
    )


def exams(quality: QualityConfig) -> tuple[Exam, ...]:
    """The tasks of an experiment, their content not yet known."""
    return tuple(
        Exam(task, "", quality.limit, task in quality.allow_code_execution)
        for task in quality.tasks
    )


def checks(
    experiment: Experiment,
    device: Device,
    files: Sequence[ModelFile],
    subjects: Sequence[Subject],
    bases: Bases,
) -> tuple[QualityCheck, ...]:
    """Every quality check of an experiment on one device: one per subject, file and engine.

    Quality does not depend on how fast an engine is made to run, so each engine is checked with
    the first of its settings only. A file whose quality cannot be told is not checked: it says
    itself why.

    Args:
        experiment: What is asked for.
        device: Where.
        files: The model files.
        subjects: What each is checked on.
        bases: What the device gave for each of `base_requests`, by the model's name.
    """
    first = {engine.name: engine for engine in reversed(tuple(_engines(experiment, device)))}
    return tuple(
        _check(device, file, engine, subject, bases, experiment.deadline_s)
        for file in files
        if not file.no_quality
        for engine in first.values()
        for subject in subjects
    )


def _check(
    device: Device,
    file: ModelFile,
    engine: Engine,
    subject: Subject,
    bases: Bases,
    deadline_s: float,
) -> QualityCheck:
    check = QualityCheck(device.id, file, engine, deadline_s=deadline_s)
    if isinstance(subject, Exam):
        return replace(check, exam=subject)
    alone = _ALONE.issuperset(subject.metrics)
    base, reason = (None, "") if alone else _base(bases[file.name])
    return replace(check, reading=subject, base=base, base_reason=reason)


def _base(found: ModelFile | Failure) -> tuple[ModelFile | None, str]:
    """The file to compare with, or why there is none."""
    if isinstance(found, Failure):
        return None, found.message
    if found.quantization in _UNQUANTIZED:
        return found, ""
    return None, (
        f"its source is a {found.quantization} file: there is no unquantized one to compare with"
    )


def of_trials(found: Sequence[QualityCheck], planned: Sequence[Trial]) -> tuple[QualityCheck, ...]:
    """The checks of files that some trial runs on the same engine; the others cannot run."""
    runs = {(trial.model.sha256, trial.engine.name) for trial in planned}
    return tuple(check for check in found if (check.model.sha256, check.engine.name) in runs)


def _subject(of: Trial | Skip) -> str:
    return to_json([of.model.name, of.model.quantization, of.engine, of.workload])


def _is_on_cpu(trial: Trial) -> bool:
    settings = trial.engine.settings
    return settings.get("device", "CPU") == "CPU" and not settings.get("gpu_layers", 0)


def _engines(experiment: Experiment, device: Device) -> Iterator[Engine]:
    for name, engine in experiment.engines.items():
        for values in _combinations(engine):
            chosen = dict(values)
            if chosen.get("threads") == AUTO:
                on_cpu = chosen.get("device", "CPU") == "CPU"
                chosen["threads"] = _cores(device, chosen.get("core_type")) if on_cpu else 0
            version = device.engines.get(name, "not installed")
            yield Engine(name, version, check_settings(name, chosen))


def _cores(device: Device, core_type: object) -> int:
    """The physical cores that an engine may use, of one type if it is told to."""
    every = min(device.physical_cores, device.logical_cores)
    return device.core_types.get(str(core_type), every)


def _combinations(swept: EngineConfig) -> Iterator[dict[str, object]]:
    for values in itertools.product(*swept.values()):
        yield dict(zip(swept, values, strict=True))


def _workloads(experiment: Experiment) -> Iterator[Workload]:
    for name, config in experiment.workloads.items():
        for prompt, output, depth in _sizes(config):
            yield Workload(name, prompt, output, depth, experiment.seed)


def _sizes(config: WorkloadConfig) -> Iterator[tuple[int, int, int]]:
    return itertools.product(config.prompt_tokens, config.output_tokens, config.depth_tokens)


def _shuffled(ordered: Sequence[Trial], seed: str) -> list[Trial]:
    shuffled = list(ordered)
    random.Random(seed).shuffle(shuffled)  # noqa: S311 - not a secret
    return shuffled
