"""From an experiment and a device that no fleet reaches to what that device shall do."""

from collections.abc import Collection, Sequence
from pathlib import Path

from odllm_agent.clock import now
from odllm_agent.contract import (
    CeilingKey,
    Cooldown,
    Device,
    Forecast,
    RepeatPolicy,
    to_json,
)
from odllm_agent.errors import UsageError
from odllm_agent.offline import assignment
from odllm_agent.offline.assignment import Assignment
from odllm_controller.experiment.config import Experiment
from odllm_controller.experiment.provenance import config_yaml, git_commit, versions
from odllm_controller.planning import plan


def assign(
    experiment: Experiment,
    device: Device,
    forecasts: Sequence[Forecast],
    known: Collection[CeilingKey],
    estimate_s: float,
) -> Assignment:
    """What a device shall do for an experiment.

    Args:
        experiment: The experiment.
        device: The device.
        forecasts: What each of the experiment's candidates will need there.
        known: What is known of what devices do at most.
        estimate_s: How long all of it will take: a guess.
    """
    quality = experiment.quality
    known_here = sorted((key for key in known if key.device_id == device.id), key=to_json)
    return Assignment(
        format=assignment.FORMAT,
        experiment=_recorded(experiment),
        device=device,
        requests=plan.runnable(device, forecasts),
        engines=plan.engines(experiment, device),
        workloads=plan.workloads(experiment),
        skips=plan.skips(device, forecasts),
        rounds=experiment.rounds,
        rounds_at_most=experiment.most_rounds,
        policy=RepeatPolicy(**experiment.repeats.model_dump()),
        cooldown=Cooldown(**experiment.cooldown.model_dump()),
        meters=experiment.power.meters,
        idle_s=experiment.power.idle_s,
        deadline_s=experiment.deadline_s,
        reading=plan.reading(quality, "") if quality.metrics else None,
        exams=plan.exams(quality),
        ceilings=experiment.ceilings != "never",
        known_ceilings=tuple(known_here) if experiment.ceilings == "missing" else (),
        estimate_s=estimate_s,
    )


def write(asked: Assignment, path: Path) -> None:
    """Writes an assignment into a file.

    Raises:
        UsageError: It cannot be written.
    """
    try:
        path.write_text(f"{to_json(asked)}\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", "name another file with --out"
        ) from error


def _recorded(experiment: Experiment) -> assignment.PlannedExperiment:
    return assignment.PlannedExperiment(
        name=experiment.name,
        config_yaml=config_yaml(experiment),
        seed=experiment.seed,
        versions=versions(),
        git_commit=git_commit(),
        planned_at=now(),
    )
