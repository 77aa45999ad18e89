"""The command that measures one trial more thoroughly, worked out from the run that measured it."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from odllm_agent.contract import Quantization
from odllm_controller import store
from odllm_controller.analysis.metrics import Basis, metric
from odllm_controller.analysis.turning import Turning

_CONF = Path(__file__).parents[2] / "conf"
_RUNS = "SELECT run_id, command, experiment FROM runs"
# Fewer tell hardly anything: Student's t is 4.3 for three rounds and 2.8 for five.
_LEAST_ROUNDS = 5
# What names one model, engine or workload among others in an experiment.
_SECTIONS = ("models", "engines", "workloads")


@dataclass(frozen=True, slots=True)
class Origin:
    """How a run was asked for.

    Attributes:
        command: The command line.
        experiment: The experiment's name.
    """

    command: str
    experiment: str


def load(path: Path) -> Mapping[str, Origin]:
    """How every run of a store was asked for, by its id.

    Raises:
        StoreError: The store cannot be read.
    """
    rows = store.read(path, _RUNS).itertuples(index=False, name=None)
    return {str(run): Origin(str(command), str(experiment)) for run, command, experiment in rows}


def command(turning: Turning, origin: Origin, path: Path) -> str:
    """What to type to know a figure better.

    Args:
        turning: The figure, with the trial that has it.
        origin: How the run was asked for that measured it.
        path: The store.
    """
    chosen = dict(_chosen(turning))
    kept = [each for each in _overrides(origin) if _is_kept(each, chosen, turning)]
    words = [*kept, *(f"{name}={value}" for name, value in chosen.items()), f"store.path={path}"]
    return shlex.join(["odllm", "run", *words])


def _chosen(turning: Turning) -> Iterator[tuple[str, str]]:
    for group, name in _names(turning).items():
        if (_CONF / group / f"{name}.yaml").exists():
            yield group, f"[{name}]"
    if turning.quantization in set(Quantization):
        yield "quantizations", f"[{turning.quantization}]"
    if turning.threads is not None:
        yield f"engines.{turning.engine}.threads", str(turning.threads)
    yield from _more(turning)


def _more(turning: Turning) -> Iterator[tuple[str, str]]:
    if metric(turning.metric).basis is Basis.CHECK:
        yield "quality.max_windows", "null"
        yield "quality.limit", "null"
    else:
        yield "rounds", str(max(_LEAST_ROUNDS, 2 * turning.rounds))


def _names(turning: Turning) -> Mapping[str, str]:
    return {"model": turning.model, "engine": turning.engine, "workload": turning.workload}


def _overrides(origin: Origin) -> Sequence[str]:
    """The overrides of a run of this controller; of others, the experiment alone."""
    words = [word for word in origin.command.split() if "=" in word and not word.startswith("-")]
    if any(word.startswith("+experiment=") for word in words):
        return words
    return [f"+experiment={origin.experiment}"]


def _is_kept(word: str, chosen: Mapping[str, str], turning: Turning) -> bool:
    name = word.partition("=")[0].lstrip("+~")
    if name in {*chosen, "store.path", "hydra.sweep.dir"}:
        return False
    section, *rest = name.split(".")
    if section not in _SECTIONS or not rest:
        return True
    return rest[0] == _names(turning)[section.removesuffix("s")]
