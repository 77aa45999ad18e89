"""The command line of the controller: `odllm`, or `python -m odllm_controller`."""

import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import hydra
from omegaconf import DictConfig
from rich.console import Console

from odllm_agent.agenda import Agenda, Terms
from odllm_agent.contract import (
    CeilingsOrder,
    Cooldown,
    Failure,
    ModelFile,
    ModelRequest,
    QualityCheck,
    RepeatPolicy,
)
from odllm_agent.errors import OdllmError, UsageError
from odllm_controller import config, plan, table, verbose
from odllm_controller.dispatch import RemoteAgent, dispatch, local_fleet
from odllm_controller.importing import Options as ImportOptions
from odllm_controller.importing import import_files
from odllm_controller.preview import Options, preview
from odllm_controller.progress import ModelProgress, RunProgress
from odllm_controller.record import Recorder, recording
from odllm_controller.store import Store

# The exit statuses; the last is what shells give for Ctrl-C.
DONE, FAULT, WRONG_USAGE, SOME_FAILED, INTERRUPTED = 0, 1, 2, 3, 130

_VERBOSE = "--verbose"
_CONF = Path(__file__).parent.parent / "conf"
_USAGE = """\
ODLLM measures which language model this machine should run, and at what cost.

  odllm run +experiment=sweep     run an experiment; also: python -m odllm_controller ...
  odllm run +experiment=sweep --verbose    also tell ceilings, and what bounds each trial
  odllm run --help                its settings, with examples
  odllm plan +experiment=sweep    tell what it needs and what cannot run, and make nothing
  odllm import results.jsonl      store what `odllm-agent run` measured without a controller
  odllm explore                   open the explorer on what was measured
"""


def run(experiment: config.Experiment, console: Console, *, more: bool = False) -> int:
    """Runs an experiment: plans it on every device, dispatches, records and shows it.

    Args:
        experiment: What to run.
        console: Where it is shown.
        more: Whether ceilings, and what bounds each trial, are shown too.

    Returns:
        The exit status.
    """
    store = Store.open(experiment.store.path)
    try:
        with (
            recording(store, experiment) as recorder,
            local_fleet(experiment.power.meters) as fleet,
        ):
            agendas = {
                agent.device.id: _agenda(experiment, agent, store, recorder, console)
                for agent in fleet
            }
            total = sum(map(len, agendas.values()))
            if not total:
                console.print(f"Nothing to measure: {_why_nothing(recorder)}")
            with RunProgress(console, total) as progress:
                for result in dispatch(fleet, agendas, progress.started):
                    recorder.result(result)
                    progress.finished(result, left=sum(map(len, agendas.values())))
    except KeyboardInterrupt:
        console.print("Interrupted. What was finished is stored; the same command goes on from it.")
        return INTERRUPTED
    table.print_results(console, experiment.store.path, recorder.run_id)
    if more:
        verbose.print_bounds(console, experiment.store.path, recorder.run_id)
    return _farewell(experiment, recorder, console)


def main() -> None:
    """The entry point: a subcommand, or the overrides of an experiment."""
    name, rest = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else ("--help", [])
    if name in _COMMANDS:
        sys.exit(_COMMANDS[name](rest))
    sys.exit(_run(sys.argv[1:]))


def _why_nothing(recorder: Recorder) -> str:
    if recorder.n_planned:
        return "everything asked for is in the store."
    return "nothing that is asked for can run here."


def _agenda(
    experiment: config.Experiment,
    agent: RemoteAgent,
    store: Store,
    recorder: Recorder,
    console: Console,
) -> Agenda:
    with console.status("looking ahead"):
        forecasts = agent.forecast(plan.candidates(experiment, agent.device))
    skips = plan.skips(agent.device, forecasts)
    recorder.skipped(agent.device, skips)
    files = _prepare(plan.runnable(agent.device, forecasts), agent, recorder, console)
    trials = plan.without(plan.trials(experiment, agent.device, files), skips)
    recorder.plan(agent.device, trials)
    if experiment.ceilings != "never":
        known = store.known_ceilings() if experiment.ceilings == "missing" else ()
        _find_ceilings(plan.ceilings(trials, known), agent, recorder, console)
    finished = store.finished_rounds([trial.id for trial in trials])
    checks = plan.of_trials(_checks(experiment, agent, files, console), trials)
    checked = store.finished_checks([check.id for check in checks])
    steps = plan.steps(
        trials, experiment.rounds, experiment.seed, finished, experiment.rounds_at_most
    )
    power = experiment.power
    return Agenda(
        steps=plan.rested(steps, agent.device, power.meters, power.idle_s),
        checks=[check for check in checks if check.id not in checked],
        terms=_terms(experiment),
        earlier_decode_tok_s=store.earlier_decode_tok_s([trial.id for trial in trials]),
    )


def _terms(experiment: config.Experiment) -> Terms:
    return Terms(
        policy=RepeatPolicy(**experiment.repeats.model_dump()),
        meters=experiment.power.meters,
        deadline_s=experiment.deadline_s,
        cooldown=Cooldown(**experiment.cooldown.model_dump()),
    )


def _prepare(
    requests: Sequence[ModelRequest], agent: RemoteAgent, recorder: Recorder, console: Console
) -> list[ModelFile]:
    files = []
    for request, prepared in _prepared(requests, agent, console):
        if isinstance(prepared, Failure):
            recorder.unprepared(agent.device, request, prepared)
        else:
            files.append(prepared)
    return files


def _find_ceilings(
    orders: Sequence[CeilingsOrder], agent: RemoteAgent, recorder: Recorder, console: Console
) -> None:
    with console.status("measuring what the device does at most"):
        for order in orders:
            recorder.ceilings(agent.ceilings(order))


def _prepared(
    requests: Sequence[ModelRequest], agent: RemoteAgent, console: Console
) -> Iterator[tuple[ModelRequest, ModelFile | Failure]]:
    with ModelProgress(console, agent.device) as progress:
        for request in requests:
            progress.started(request)
            yield request, agent.prepare(request, progress.moved)


def _checks(
    experiment: config.Experiment, agent: RemoteAgent, files: list[ModelFile], console: Console
) -> tuple[QualityCheck, ...]:
    with console.status("preparing the quality checks"):
        subjects = _subjects(experiment.quality, agent)
    wanted = plan.base_requests(experiment)
    bases = {request.name: base for request, base in _prepared(wanted, agent, console)}
    return plan.checks(experiment, agent.device, files, subjects, bases)


def _subjects(quality: config.QualityConfig, agent: RemoteAgent) -> list[plan.Subject]:
    """What the files are checked on, its content known by its checksum."""
    exams = [agent.look_up(exam) for exam in plan.exams(quality)]
    if not quality.metrics:
        return [*exams]
    return [plan.reading(quality, agent.text_sha256(quality.text)), *exams]


def _farewell(experiment: config.Experiment, recorder: Recorder, console: Console) -> int:
    for skip in recorder.skips:
        console.print(f"skipped: {skip}", style="yellow", markup=False, highlight=False)
    for failure in recorder.failures:
        console.print(f"failed: {failure}", style="red", markup=False, highlight=False)
    console.print(
        f"Explore it with: odllm explore --store {experiment.store.path}",
        markup=False,
        highlight=False,
    )
    if recorder.failures:
        return SOME_FAILED
    return DONE if recorder.n_planned else FAULT


def _run(arguments: list[str]) -> int:
    overrides = [each for each in arguments if each != _VERBOSE]
    more = len(overrides) < len(arguments)
    return _composed(overrides, lambda experiment: run(experiment, table.console(), more=more))


def _plan(arguments: list[str]) -> int:
    options = Options.of(arguments)

    def told(experiment: config.Experiment) -> int:
        return DONE if preview(experiment, options, table.console()) else SOME_FAILED

    return _composed(list(options.overrides), told)


def _composed(overrides: list[str], action: Callable[[config.Experiment], int]) -> int:
    """Hands the overrides to Hydra, which calls `job` once, or once per job of a multirun."""
    statuses: list[int] = []

    @hydra.main(version_base="1.3", config_path=str(_CONF), config_name="config")
    def job(composed: DictConfig) -> None:
        statuses.append(FAULT)
        statuses[-1] = _guarded(lambda: action(config.experiment(composed)))
        if statuses[-1] == INTERRUPTED:
            sys.exit(INTERRUPTED)

    sys.argv[1:] = overrides
    try:
        job()
    except SystemExit as end:
        # Hydra ends with status 1 when the overrides do not compose, which is wrong usage.
        return WRONG_USAGE if end.code == 1 and not statuses else int(end.code or 0)
    except KeyboardInterrupt:
        return INTERRUPTED
    return max(statuses, default=DONE)


def _guarded(action: Callable[[], int]) -> int:
    """Runs an action and tells an error in plain words, with its traceback only when asked for."""
    try:
        return action()
    except OdllmError as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            traceback.print_exc()
        sys.stderr.write(f"odllm: {error}\n")
        return WRONG_USAGE if isinstance(error, UsageError) else FAULT


def _explore(arguments: list[str]) -> int:
    """Starts the explorer, which this package does not import."""
    return subprocess.call([sys.executable, "-m", "app", *arguments])  # noqa: S603 - our module


def _import(arguments: list[str]) -> int:
    options = ImportOptions.of(arguments)
    try:
        return _guarded(lambda: DONE if import_files(options, table.console()) else FAULT)
    except KeyboardInterrupt:
        return INTERRUPTED


def _help(_: list[str]) -> int:
    sys.stdout.write(_USAGE)
    return DONE


_COMMANDS: Mapping[str, Callable[[list[str]], int]] = {
    "run": _run,
    "plan": _plan,
    "import": _import,
    "explore": _explore,
    "help": _help,
    "--help": _help,
    "-h": _help,
}

if __name__ == "__main__":
    main()
