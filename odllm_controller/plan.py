"""The planner: from an experiment, a device and its model files to an ordered list of steps."""

import itertools
import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from odllm_agent.contract import (
    Device,
    Engine,
    ModelFile,
    ModelRequest,
    QualityCheck,
    Source,
    Trial,
    Workload,
)
from odllm_agent.settings import check_settings
from odllm_controller.config import AUTO, EngineConfig, Experiment, WorkloadConfig


@dataclass(frozen=True, slots=True)
class Step:
    """One trial in one round."""

    trial: Trial
    round: int


def requests(experiment: Experiment) -> tuple[ModelRequest, ...]:
    """The model files that an experiment needs on every device."""
    return tuple(
        ModelRequest(
            name=name,
            source=Source(model.source),
            location=model.location(name),
            quantization=quantization,
            sha256=model.sha256,
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


def steps(
    planned: Sequence[Trial],
    rounds: int,
    seed: int,
    finished: Collection[tuple[str, int]] = frozenset(),
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
    """
    ordered = sorted(planned, key=lambda trial: trial.id)
    return tuple(
        Step(trial, index)
        for index in range(rounds)
        for trial in _shuffled(ordered, f"{seed}:{index}")
        if (trial.id, index) not in finished
    )


def checks(
    experiment: Experiment,
    device: Device,
    files: Sequence[ModelFile],
    text_sha256: str,
) -> tuple[QualityCheck, ...]:
    """Every quality check of an experiment on one device: one per metric, file and engine.

    Quality does not depend on how fast an engine is made to run, so each engine is checked with
    the first of its settings only.
    """
    first = {engine.name: engine for engine in reversed(tuple(_engines(experiment, device)))}
    quality = experiment.quality
    return tuple(
        QualityCheck(
            device_id=device.id,
            model=file,
            engine=engine,
            metric=metric,
            text=quality.text,
            text_sha256=text_sha256,
            window_tokens=quality.window_tokens,
            deadline_s=experiment.deadline_s,
        )
        for metric in quality.metrics
        for file in files
        for engine in first.values()
    )


def _engines(experiment: Experiment, device: Device) -> Iterator[Engine]:
    for name, engine in experiment.engines.items():
        for values in _combinations(engine):
            chosen = dict(values)
            if chosen.get("threads") == AUTO:
                chosen["threads"] = min(device.physical_cores, device.logical_cores)
            version = device.engines.get(name, "not installed")
            yield Engine(name, version, check_settings(name, chosen))


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
