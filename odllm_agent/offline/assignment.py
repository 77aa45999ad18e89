"""What a device shall do for an experiment without a controller: a file of one line of JSON."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from odllm_agent.contract import (
    CeilingKey,
    Cooldown,
    Device,
    Engine,
    Exam,
    ModelRequest,
    Reading,
    RepeatPolicy,
    Skip,
    Workload,
    from_plain,
)
from odllm_agent.errors import UsageError
from odllm_agent.files.json_fields import once

FORMAT = 2
"""What files of assignments and of results are like; a change of any type in them raises it."""

_NOT_ONE = "write it with `odllm plan +experiment=NAME --device-file DEVICE --out FILE`"


@dataclass(frozen=True, slots=True)
class PlannedExperiment:
    """The experiment that is carried out, as a store records it.

    Attributes:
        name: Its name.
        config_yaml: The whole resolved config.
        seed: What orders and token ids are drawn from.
        versions: Of Python and of the packages that planned it, by name.
        git_commit: Of the checkout that it was planned from, if it was.
        planned_at: When, in UTC.
    """

    name: str
    config_yaml: str
    seed: int
    versions: Mapping[str, str]
    git_commit: str | None
    planned_at: datetime


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a device shall do for an experiment, told before its model files are there.

    Trials are named by the bytes of their model files, so here are only requests for these: the
    device makes the trials of them, by the functions that a controller uses (`orders`, `steps`).

    Attributes:
        format: `FORMAT` of the ODLLM that wrote it.
        experiment: For which experiment.
        device: The device as it was planned for.
        requests: The model files to get ready.
        engines: Every engine with its settings.
        workloads: What is asked of them.
        skips: What of requests x engines x workloads cannot run there, with the reasons.
        rounds: How often each trial is measured.
        rounds_at_most: How often while its interval is wider than asked for.
        policy: How often a round repeats it.
        cooldown: What is waited for before each trial.
        meters: Names of the power meters to read.
        idle_s: How long the device is watched at rest.
        deadline_s: The time after which a worker is ended.
        reading: The text that quality is computed on, its checksum not yet known, or `None`.
        exams: The tasks likewise.
        ceilings: Whether to find out what the device does at most.
        known_ceilings: What of that is known already.
        estimate_s: How long all of it will take at most, quality aside: a guess.
    """

    format: int
    experiment: PlannedExperiment
    device: Device
    requests: tuple[ModelRequest, ...]
    engines: tuple[Engine, ...]
    workloads: tuple[Workload, ...]
    skips: tuple[Skip, ...]
    rounds: int
    rounds_at_most: int
    policy: RepeatPolicy
    cooldown: Cooldown
    meters: tuple[str, ...]
    idle_s: float
    deadline_s: float
    reading: Reading | None
    exams: tuple[Exam, ...]
    ceilings: bool
    known_ceilings: tuple[CeilingKey, ...]
    estimate_s: float

    def on(self, device: Device) -> "Assignment":
        """The same for the device that carries it out, with the engines that it has now."""

        def there(engine: Engine) -> Engine:
            build = device.builds.get(engine.name)
            return replace(
                engine,
                version=device.engines.get(engine.name, "not installed"),
                build=build.id if build else "",
            )

        return replace(
            self,
            device=device,
            engines=tuple(map(there, self.engines)),
            skips=tuple(
                replace(skip, device_id=device.id, engine=there(skip.engine)) for skip in self.skips
            ),
        )


def read(path: Path) -> tuple[Assignment, str]:
    """The assignment in a file, and the checksum of the file.

    Raises:
        UsageError: The file cannot be read, is no assignment, or is of another format.
    """
    try:
        content = path.read_bytes()
        plain = json.loads(content, parse_constant=_refuse_constant, object_pairs_hook=once)
        if not isinstance(plain, dict):
            raise TypeError("it holds no JSON object")
        refuse_other_format(plain, path)
        found = from_plain(Assignment, plain)
        _refuse_impossible(found)
        return found, hashlib.sha256(content).hexdigest()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", _NOT_ONE) from error
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"{path} is no assignment: {error}", _NOT_ONE) from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON's")


def _refuse_impossible(found: Assignment) -> None:
    """Checks what an experiment's config checks where `odllm plan` wrote the file.

    Raises:
        ValueError: A number cannot be.
    """
    policy, cooldown = found.policy, found.cooldown
    least: Sequence[tuple[str, float, float]] = [
        ("rounds", found.rounds, 1),
        ("rounds_at_most", found.rounds_at_most, found.rounds),
        ("idle_s", found.idle_s, 0),
        ("deadline_s", found.deadline_s, 0),
        ("estimate_s", found.estimate_s, 0),
        ("policy.warmups", policy.warmups, 0),
        ("policy.at_least", policy.at_least, 1),
        ("policy.at_most", policy.at_most, policy.at_least),
        ("policy.interval_target", policy.interval_target, 0),
        ("cooldown.at_most_s", cooldown.at_most_s, 0),
        ("cooldown.pause_s", cooldown.pause_s, 0),
        *(("prompt_tokens", each.prompt_tokens, 1) for each in found.workloads),
        *(("output_tokens", each.output_tokens, 1) for each in found.workloads),
        *(("depth_tokens", each.depth_tokens, 0) for each in found.workloads),
    ]
    for name, value, at_least in least:
        if not at_least <= value < math.inf:
            raise ValueError(f"{name} is {value:g}, and at least {at_least:g} is wanted")


def refuse_other_format(plain: Mapping[str, object], path: Path) -> None:
    """Checks that what was written by some ODLLM can be read by this one.

    Args:
        plain: What tells its format.
        path: The file, for the message.

    Raises:
        UsageError: It is of another format.
    """
    found = plain.get("format")
    if type(found) is int and found != FORMAT:
        raise UsageError(
            f"{path} is of format {found}, and this ODLLM reads {FORMAT}",
            "use the same version of ODLLM on both machines",
        )
