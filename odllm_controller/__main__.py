"""The command line of the controller: `odllm`, or `python -m odllm_controller`."""

import importlib
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

import hydra
from omegaconf import DictConfig
from rich.console import Console

from odllm_agent.errors import OdllmError, UsageError
from odllm_agent.visible import visible_lines
from odllm_controller import config, table, verbose
from odllm_controller.commands import fleet_models
from odllm_controller.dispatch import Dispatch
from odllm_controller.fleets import opened
from odllm_controller.preview import Options, preview
from odllm_controller.progress import RunProgress
from odllm_controller.record import Recorder, recording
from odllm_controller.store import controlling
from odllm_controller.work import Desk

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


def run(experiment: config.Experiment, console: Console, *, more: bool = False) -> int:
    """Runs an experiment: plans it on every device, dispatches, records and shows it.

    Args:
        experiment: What to run.
        console: Where it is shown.
        more: Whether ceilings, and what bounds each trial, are shown too.

    Returns:
        The exit status.
    """
    try:
        with (
            controlling(experiment.store.path) as store,
            recording(store, experiment) as recorder,
            opened(experiment.fleet, experiment.power.meters) as fleet,
            RunProgress(console) as board,
        ):
            desk = Desk(experiment, store, recorder, board)
            grace_s, expected = experiment.fleet.grace_s, desk.expected()
            Dispatch(fleet, desk.work, recorder, board, grace_s, expected=expected).run()
            desk.check()
            if not board.n_done and not recorder.holds:
                console.print(f"Nothing to measure: {_why_nothing(recorder)}")
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
        f"Explore it with: odllm explore --store {experiment.store.path}",
        markup=False,
        highlight=False,
    )
    if recorder.failures or recorder.holds:
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


def _fleet_models(options: fleet_models.Options) -> int:
    console = table.console()
    if options.action == "list":
        return _guarded(lambda: _status(fleet_models.list_models(options, console)))
    action = fleet_models.push_models if options.action == "push" else fleet_models.prune_models
    return _composed(
        list(options.overrides), lambda experiment: _status(action(experiment, options, console))
    )


def _status(done: bool) -> int:
    return DONE if done else SOME_FAILED


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
        sys.stderr.write(f"odllm: {visible_lines(str(error))}\n")
        return WRONG_USAGE if isinstance(error, UsageError) else FAULT


def _explore(arguments: list[str]) -> int:
    return _app("app", arguments)


def _report(arguments: list[str]) -> int:
    return _app("app.report", arguments)


def _app(module: str, arguments: list[str]) -> int:
    """Starts a part of the app, which this package does not import."""
    return subprocess.call([sys.executable, "-m", module, *arguments])  # noqa: S603 - our module


def _fleet(arguments: list[str]) -> int:
    if arguments[:1] == ["models"]:
        return _fleet_models(fleet_models.Options.of(arguments[1:]))
    from odllm_controller.commands.fleet import fleet  # noqa: PLC0415 - a run needs none of it

    return _guarded(lambda: fleet(arguments))


def _import(arguments: list[str]) -> int:
    from odllm_controller import importing  # noqa: PLC0415 - a run needs none of it

    options = importing.Options.of(arguments)
    try:
        return _guarded(lambda: DONE if importing.import_files(options, table.console()) else FAULT)
    except KeyboardInterrupt:
        return INTERRUPTED


def _command(name: str) -> Callable[[list[str]], int]:
    """A command of `odllm_controller.commands`, imported once it is asked for."""

    def run(arguments: list[str]) -> int:
        module = importlib.import_module(f"odllm_controller.commands.{name}")
        return _guarded(lambda: int(module.main(arguments)))

    return run


def _export(arguments: list[str]) -> int:
    from odllm_controller import exporting  # noqa: PLC0415 - a run needs none of it

    options = exporting.Options.of(arguments)

    def told() -> int:
        exporting.export(options, table.console(stderr=True))
        return DONE

    return _guarded(told)


def _help(_: list[str]) -> int:
    sys.stdout.write(_USAGE)
    return DONE


_COMMANDS: Mapping[str, Callable[[list[str]], int]] = {
    "run": _run,
    "plan": _plan,
    "advise": _command("advise"),
    "compare": _command("compare"),
    "claims": _command("claims"),
    "import": _import,
    "export": _export,
    "explore": _explore,
    "report": _report,
    "fleet": _fleet,
    "help": _help,
    "--help": _help,
    "-h": _help,
}

if __name__ == "__main__":
    main()
