"""The command line of the controller."""

import importlib
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated

from cyclopts import App
from omegaconf import DictConfig
from rich.console import Console

from odllm_agent.commands import NAMES as AGENT_COMMANDS
from odllm_agent.errors import OdllmError, StoreHeld, UsageError
from odllm_agent.terminal import program
from odllm_agent.terminal.arguments import nearest
from odllm_agent.terminal.ending import Command, status_of_signal
from odllm_agent.terminal.program import Override
from odllm_agent.terminal.visible import visible_lines
from odllm_controller.analysis.queries import results
from odllm_controller.backends import opened
from odllm_controller.cli import preview, table, verbose
from odllm_controller.cli.commands import fleet_models
from odllm_controller.cli.preview import PlanOptions
from odllm_controller.cli.progress import RunProgress
from odllm_controller.cli.without_index import Instead, instead
from odllm_controller.experiment import config
from odllm_controller.overrides import line, meant
from odllm_controller.overrides.asked import Asked
from odllm_controller.overrides.composing import composed
from odllm_controller.run.dispatch import Dispatch
from odllm_controller.run.record import Recorder, recording
from odllm_controller.run.work import Participants
from odllm_controller.store import controlling

# The exit statuses; one that is larger is of the signal that ended the command.
DONE, FAULT, WRONG_USAGE, SOME_FAILED = 0, 1, 2, 3

_USAGE = """\
ODLLM measures which language model this machine should run, and at what cost.

  odllm run +experiment=sweep     run an experiment; also: python -m odllm_controller ...
  odllm run +experiment=sweep --verbose    also tell ceilings, and what bounds each trial
  odllm run --help                its settings, with examples
  odllm plan +experiment=sweep    tell what it needs and what cannot run, and make nothing
  odllm advise --max-memory 8GB   tell which configurations to choose here, and how sure that is
  odllm compare A B               set runs, devices, engines or versions against each other
  odllm claims                    tell what the figures say of the paper's five claims
  odllm explore                   open the explorer on what was measured
  odllm report                    write one HTML page of the latest run
  odllm export results.parquet    write what was measured; also: .csv, .jsonl
  odllm import results.jsonl      store what was measured elsewhere, by llama-bench too
  odllm fleet models list         tell which laptop has which model; also: push, prune
  odllm fleet up|status|down      many laptops: see odllm fleet --help
"""


def run(
    experiment: config.Experiment, console: Console, command: str, *, more: bool = False
) -> int:
    """Runs an experiment: plans it on every device, dispatches, records and shows it.

    Args:
        experiment: What to run.
        console: Where it is shown.
        command: The command line that runs it.
        more: Whether ceilings, and what bounds each trial, are shown too.

    Returns:
        The exit status.
    """
    try:
        with (
            controlling(experiment.store.path, partial(_note, console)) as store,
            recording(store, experiment, command) as recorder,
            opened(experiment.fleet, experiment.power.meters) as fleet,
            RunProgress(console) as display,
        ):
            participants = Participants(experiment, store, recorder, display)
            grace_s, expected = experiment.fleet.grace_s, participants.expected()
            Dispatch(fleet, participants.work, recorder, display, grace_s, expected=expected).run()
            participants.check()
            if not display.n_done and not recorder.holds:
                console.print(f"Nothing to measure: {_why_nothing(recorder)}")
    except KeyboardInterrupt:
        console.print(
            "Interrupted. What was finished is stored, or kept by its device until it is; the same "
            "command goes on from it."
        )
        return status_of_signal()
    try:
        path, run_id = experiment.store.path, recorder.run_id
        found = results.load(path, run_id)
        table.print_results(console, path, run_id, found)
        if more:
            verbose.print_bounds(console, path, found)
    except StoreHeld as held:
        # Everything is stored, and the store's holder is no fault of the run.
        _note(console, f"no table: {held.message}")
    return _farewell(experiment, recorder, console)


def _note(console: Console, told: str) -> None:
    console.print(f"note: {told}", style="yellow", markup=False)


def main(arguments: list[str]) -> int:
    """Runs a command, or the experiment of some overrides.

    Args:
        arguments: What follows the program's name.

    Returns:
        The exit status.
    """
    name = arguments[0] if arguments else "--help"
    if name in _COMMANDS:
        return _COMMANDS[name](arguments[1:])
    if name[0:1] in {"-", "+", "~"} or "=" in name:
        return _COMMANDS["run"](arguments)
    return _guarded(lambda: _no_command(name))


def _no_command(name: str) -> int:
    if name in AGENT_COMMANDS:
        raise UsageError(f"there is no command {name!r}", f"did you mean odllm-agent {name}?")
    raise UsageError(f"there is no command {name!r}", nearest(name, _SHOWN_COMMANDS))


def _why_nothing(recorder: Recorder) -> str:
    if recorder.n_planned:
        return "everything asked for is in the store."
    return "nothing that is asked for can run here."


def _farewell(experiment: config.Experiment, recorder: Recorder, console: Console) -> int:
    for skip in recorder.skips:
        console.print(f"skipped: {skip}", style="yellow", markup=False, highlight=False)
    for note in recorder.notes:
        console.print(f"note: {note}", style="yellow", markup=False, highlight=False)
    for hold in recorder.holds:
        console.print(f"held: {hold}", style="red", markup=False, highlight=False)
    for failure in recorder.failures:
        console.print(f"failed: {failure}", style="red", markup=False, highlight=False)
    for untried in recorder.untried:
        console.print(f"not tried: {untried}", style="red", markup=False, highlight=False)
    console.print(
        "Explore it with: "
        + line.joined(["odllm", "explore", "--store", str(experiment.store.path)]),
        markup=False,
        highlight=False,
    )
    if recorder.failures or recorder.holds:
        return SOME_FAILED
    return DONE if recorder.n_planned else FAULT


_run = program.program("odllm run")
_plan = program.program("odllm plan", examples=preview.EXAMPLES)
_models = program.program("odllm fleet models", examples=fleet_models.EXAMPLES)


@_run.default
def _run_asked(*overrides: Override, verbose: bool = False) -> int:
    def told(experiment: config.Experiment, command: str) -> int:
        return run(experiment, table.console(), command, more=verbose)

    return _composed(overrides, "odllm run", told, options=program.options(_run))


@_plan.default
def _plan_asked(*overrides: Override, options: PlanOptions = PlanOptions()) -> int:  # noqa: B008 - immutable
    """Tell what an experiment will need on each device, and what cannot run there.

    What it needs are bits per weight, disk, memory and time.

    Args:
        overrides: of the experiment
        options: for which device
    """

    def told(experiment: config.Experiment, _: str) -> int:
        return _status(preview.preview(experiment, options, table.console()))

    return _composed(overrides, "odllm plan", told, options=program.options(_plan))


@_models.default
def _models_asked(
    action: Annotated[fleet_models.FleetModelsAction, "list|push|prune"],
    /,
    *overrides: Override,
    options: fleet_models.FleetModelsOptions = fleet_models.FleetModelsOptions(),  # noqa: B008 - immutable
) -> int:
    """Tell which device has which model, and bring all to those that an experiment names.

    Args:
        action: what to do
        overrides: of the experiment
        options: for whom it is told
    """
    console, known = table.console(), program.options(_models)
    if action == "list":
        meant.check(overrides, known)
        if overrides:
            raise UsageError(
                f"there is nothing to do with {overrides[0]}", "list takes no override"
            )
        return _status(fleet_models.list_models(options, console))
    act = fleet_models.push_models if action == "push" else fleet_models.prune_models
    return _composed(
        overrides,
        f"odllm fleet models {action}",
        lambda experiment, _: _status(act(experiment, options, console)),
        options=known,
    )


def _status(done: bool) -> int:
    return DONE if done else SOME_FAILED


def _composed(
    words: Sequence[str],
    prog: str,
    action: Callable[[config.Experiment, str], int],
    *,
    options: Sequence[str],
) -> int:
    """Acts on the experiment that was asked for, or on that of each job of a multirun.

    Args:
        words: Options of Hydra's, and overrides.
        prog: What they were typed after.
        action: Is given an experiment, and the command line that runs it.
        options: What is taken beside them.

    Returns:
        The worst of the exit statuses.
    """
    statuses: list[int] = []
    replaced: list[Instead] = []

    def act(found: DictConfig, alone: Asked) -> int:
        experiment = config.experiment(found)
        if other := instead(experiment, alone):
            # Hydra composes one thing after another.
            replaced.append(other)
            return DONE
        return action(experiment, line.joined([*line.PROGRAM, *alone.words]))

    def job(found: DictConfig, alone: Asked) -> None:
        statuses.append(_guarded(lambda: act(found, alone)))
        if statuses[-1] > SOME_FAILED:
            sys.exit(statuses[-1])

    def all_jobs() -> int:
        composed(Asked.of(words, prog, options), job)
        for other in replaced:
            _note(table.console(stderr=True), other.told)
            composed(other.asked, job)
        return max(statuses, default=DONE)

    return _guarded(all_jobs)


def _guarded(action: Callable[[], int]) -> int:
    """Runs an action and tells an error in plain words, with its traceback only when asked for."""
    try:
        return action()
    except OdllmError as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            traceback.print_exc()
        sys.stderr.write(f"odllm: {visible_lines(str(error))}\n")
        return WRONG_USAGE if isinstance(error, UsageError) else FAULT


def _app(module: str, arguments: list[str]) -> int:
    """Runs a part of the app, which this package does not import."""
    with subprocess.Popen([sys.executable, "-m", module, *arguments]) as part:  # noqa: S603 - ours
        try:
            return part.wait()
        except KeyboardInterrupt:
            # It clears up behind itself, which it could not if it were killed.
            part.terminate()
            return part.wait()


def _fleet(arguments: list[str]) -> int:
    if arguments[:1] == ["models"]:
        return _here(_models)(arguments[1:])
    return _elsewhere("commands.fleet")(arguments)


def _here(app: App, *, helps: bool = True) -> Command:
    return lambda arguments: _guarded(lambda: program.run(app, arguments, helps=helps))


def _elsewhere(module: str) -> Command:
    """A command that is imported once it is asked for; a run needs none of it."""

    def command(arguments: list[str]) -> int:
        return _here(importlib.import_module(f"{__package__}.{module}").app)(arguments)

    return command


def _help(_: list[str]) -> int:
    sys.stdout.write(_USAGE)
    return DONE


_COMMANDS: Mapping[str, Command] = {
    # Hydra has a help of its own, with all settings.
    "run": _here(_run, helps=False),
    "plan": _here(_plan),
    "advise": _elsewhere("commands.advise"),
    "compare": _elsewhere("commands.compare"),
    "claims": _elsewhere("commands.claims"),
    "import": _elsewhere("importing"),
    "export": _elsewhere("exporting"),
    "explore": partial(_app, "odllm_app"),
    "report": partial(_app, "odllm_app.report"),
    "fleet": _fleet,
    "help": _help,
    "--help": _help,
    "-h": _help,
}
_SHOWN_COMMANDS = [name for name in _COMMANDS if not name.startswith("-")]
