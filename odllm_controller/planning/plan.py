"""The planner: from an experiment, a device and its model files to what the device has to do."""

import itertools
from collections.abc import Iterable, Sequence

from odllm_agent.contract import (
    Candidate,
    Device,
    Engine,
    Exam,
    Forecast,
    ModelFile,
    ModelRequest,
    QualityCheck,
    Reading,
    Skip,
    Source,
    Trial,
    Workload,
    to_json,
)
from odllm_agent.engines import fallback
from odllm_agent.engines.fallback import RunnableEngine, Tried
from odllm_agent.engines.settings import ENGINE_SETTINGS, check_settings
from odllm_agent.formats.readable import why_unsupported
from odllm_agent.host.memory_fit import why_too_large
from odllm_agent.trials import orders
from odllm_agent.trials.orders import (
    Bases,
    QualitySubject,
    bases,
    beyond_context,
    ceilings,
    of_trials,
    without,
)
from odllm_agent.trials.steps import Step, rested, steps
from odllm_controller.experiment.config import (
    AUTO,
    Experiment,
    QualityConfig,
)

__all__ = [
    "Bases",
    "QualitySubject",
    "Step",
    "base_requests",
    "bases",
    "beyond_context",
    "candidates",
    "ceilings",
    "checks",
    "download_bytes",
    "engines",
    "exams",
    "fallbacks",
    "of_trials",
    "reading",
    "requests",
    "rested",
    "runnable",
    "skips",
    "steps",
    "trials",
    "why_not",
    "without",
    "workloads",
]


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
            requantize=model.requantize,
            # A config that is called by its source says nothing of the model.
            is_named=name != model.source,
            imatrix=experiment.imatrix_of(model) if quantization and quantization.imatrix else None,
        )
        for name, model in experiment.models.items()
        for quantization in model.quantizations or experiment.quantizations
    )


def trials(experiment: Experiment, device: Device, files: Sequence[ModelFile]) -> tuple[Trial, ...]:
    """Every model file x engine x settings x workload of an experiment on one device, once."""
    return orders.trials(device, files, engines(experiment, device), workloads(experiment))


def candidates(experiment: Experiment, device: Device) -> tuple[Candidate, ...]:
    """Everything that an experiment asks of one device, before any model file is there, once."""
    found = (
        Candidate(request, engine, workload)
        for request in requests(experiment)
        for engine in engines(experiment, device)
        for workload in workloads(experiment)
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
    unusable = _choice(forecast.candidate.engine, forecast.model, device).unusable
    if unusable:
        return unusable
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
        Skip(
            device.id,
            each.model,
            _choice(each.candidate.engine, each.model, device).engine,
            each.candidate.workload,
            reason,
        )
        for each in forecasts
        if each.model and (reason := why_not(each, device))
    )


def fallbacks(experiment: Experiment, device: Device, files: Iterable[ModelFile]) -> list[str]:
    """What a device does not run as an experiment asks, a line each; see `orders.fallbacks`."""
    found = orders.fallbacks(device, files, engines(experiment, device))
    return [f"{device.label}: {line}" for line in found]


def _choice(engine: Engine, model: ModelFile, device: Device) -> RunnableEngine:
    return fallback.choice(engine, Tried.of(device), [model])


def download_bytes(forecasts: Iterable[Forecast]) -> int:
    """What a device has to fetch: once for each model, from which all of its types are made."""
    of_models = {each.candidate.request.name: each.download_bytes for each in forecasts}
    return sum(of_models.values())


def runnable(device: Device, forecasts: Sequence[Forecast]) -> tuple[ModelRequest, ...]:
    """The model files that something on a device can run with, once each."""
    wanted = (each.candidate.request for each in forecasts if not why_not(each, device))
    return tuple(dict.fromkeys(wanted))


def base_requests(experiment: Experiment) -> tuple[ModelRequest, ...]:
    """The files that quantized ones of an experiment are compared with; see `orders`."""
    return orders.base_requests(requests(experiment), experiment.quality.metrics)


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
    subjects: Sequence[QualitySubject],
    base_files: Bases,
) -> tuple[QualityCheck, ...]:
    """Every quality check of an experiment on one device; see `orders.checks`."""
    checked = engines(experiment, device)
    return orders.checks(device, files, checked, subjects, base_files, experiment.deadline_s)


def engines(experiment: Experiment, device: Device) -> tuple[Engine, ...]:
    """Every engine x settings of an experiment, as a device has them."""
    return tuple(
        _engine(device, name, dict(zip(swept, values, strict=True)))
        for name, swept in experiment.engines.items()
        for values in itertools.product(*swept.values())
    )


def workloads(experiment: Experiment) -> tuple[Workload, ...]:
    """Every workload of an experiment at every size."""
    return tuple(
        Workload(name, prompt, output, depth, experiment.seed)
        for name, config in experiment.workloads.items()
        for prompt, output, depth in itertools.product(
            config.prompt_tokens, config.output_tokens, config.depth_tokens
        )
    )


def _engine(device: Device, name: str, chosen: dict[str, object]) -> Engine:
    if chosen.get("threads") == AUTO:
        on_cpu = chosen.get("device", "CPU") == "CPU"
        chosen["threads"] = _cores(device, chosen.get("core_type")) if on_cpu else 0
    version = device.engines.get(name, "not installed")
    build = device.builds.get(name)
    return Engine(name, version, check_settings(name, chosen), build.id if build else "")


def _cores(device: Device, core_type: object) -> int:
    """The physical cores that an engine may use all the time, of one type if it is told to."""
    every = min(device.physical_cores, device.logical_cores)
    return device.within_quota(device.core_types.get(str(core_type), every))
