"""The command that measures one trial more thoroughly, worked out from the run that measured it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from odllm_agent.contract import Quantization, Source
from odllm_agent.formats.file_types import FILE_TYPES
from odllm_controller import store
from odllm_controller.analysis.advice.next_measurement import Turning
from odllm_controller.metrics import Basis, metric
from odllm_controller.overrides import conf, line
from odllm_controller.overrides.writing import Value, override

_RUNS = "SELECT run_id, command, experiment FROM runs"
# Fewer tell hardly anything: Student's t is 4.3 for three rounds and 2.8 for five.
_LEAST_ROUNDS = 5
# What names one model, engine or workload among others in an experiment.
_SECTIONS = ("models", "engines", "workloads")
# Earlier versions stored the line of all jobs for each of them.
_KEPT_OPTIONS = ("--config-", "--multirun", "-m")


@dataclass(frozen=True, slots=True)
class RunRequest:
    """How a run was asked for.

    Attributes:
        command: The command line.
        experiment: The experiment's name.
    """

    command: str
    experiment: str


def load(path: Path) -> Mapping[str, RunRequest]:
    """How every run of a store was asked for, by its id.

    Raises:
        StoreError: The store cannot be read.
    """
    rows = store.read(path, _RUNS).itertuples(index=False, name=None)
    return {
        str(run): RunRequest(str(command), str(experiment)) for run, command, experiment in rows
    }


def next_command(turning: Turning | None, origins: Mapping[str, RunRequest], path: Path) -> str:
    """What to type next, or `""` if no figure would change the answer or its run is not known.

    Args:
        turning: The figure that most often changes the answer.
        origins: How each run was asked for; see `load`.
        path: The store.
    """
    if turning is None or turning.run not in origins:
        return ""
    return command(turning, origins[turning.run], path)


def command(turning: Turning, origin: RunRequest, path: Path) -> str:
    """What to type to know a figure better.

    Args:
        turning: The figure, with the trial that has it.
        origin: How the run was asked for that measured it.
        path: The store.
    """
    chosen = dict(_chosen(turning))
    kept = [each for each in _overrides(origin) if _is_kept(each, chosen, turning)]
    added = (override(name, value) for name, value in chosen.items())
    return line.joined([*line.PROGRAM, *kept, *added, override("store.path", str(path))])


def _chosen(turning: Turning) -> Iterator[tuple[str, Value]]:
    for group, name in _names(turning).items():
        if conf.option(group, name).exists():
            yield group, [name]
    if _can_be_asked_for(turning.quantization):
        yield "quantizations", [turning.quantization]
    if turning.threads is not None:
        yield f"engines.{turning.engine}.threads", turning.threads
    if metric(turning.metric).basis is Basis.CHECK:
        yield "quality.max_windows", None
        yield "quality.limit", None
    else:
        yield "rounds", max(_LEAST_ROUNDS, 2 * turning.rounds)


def _can_be_asked_for(quantization: str) -> bool:
    """Whether what a file is, is what a quantizer can make."""
    try:
        return Quantization(quantization).type in FILE_TYPES
    except ValueError:
        return False


def _names(turning: Turning) -> Mapping[str, str]:
    return {"model": turning.model, "engine": turning.engine, "workload": turning.workload}


def _overrides(origin: RunRequest) -> Sequence[str]:
    """The overrides of a run of this controller; of others, the experiment alone."""
    words = [word for word in line.words(origin.command) if _is_of_run(word)]
    if any(word.startswith("+experiment=") for word in words):
        return words
    return [override("+experiment", origin.experiment)]


def _is_of_run(word: str) -> bool:
    """Whether it is an override, or an option without which the same overrides mean others."""
    if word.startswith("-"):
        return word.startswith(_KEPT_OPTIONS)
    return "=" in word or word.startswith("~")


def _is_kept(word: str, chosen: Collection[str], turning: Turning) -> bool:
    name = word.partition("=")[0].lstrip("+~")
    if name in {*chosen, "store.path", "hydra.sweep.dir"}:
        return False
    section, *rest = name.split(".")
    if section not in _SECTIONS or not rest:
        return True
    group = section.removesuffix("s")
    named = _names(turning)[group]
    # A model that its own file names has the config of its source.
    of_source = group == "model" and not conf.option(group, named).exists()
    return rest[0] == named or (of_source and rest[0] in set(Source))
