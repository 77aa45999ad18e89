"""`odllm plan`: what an experiment will need, before anything is made, fetched or measured."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from odllm_agent.contract import Device, Forecast, from_json
from odllm_agent.errors import UsageError
from odllm_agent.host.memory_fit import ASSUMED_SYSTEM_BYTES, assumed_available_bytes
from odllm_agent.terminal.program import TYPED_PATH, AsJson
from odllm_agent.trials import context
from odllm_agent.trials.context import ContextUse
from odllm_controller.analysis.queries import results, speeds
from odllm_controller.backends import agents_of, opened
from odllm_controller.cli.table import MISSING, Column, context_cell, number, print_rows
from odllm_controller.experiment.config import Experiment
from odllm_controller.experiment.selection import Selection
from odllm_controller.planning import offline, plan
from odllm_controller.planning.estimate import ASSUMPTIONS, TimeBasis, estimate
from odllm_controller.planning.plan_table import Row, Totals
from odllm_controller.run import reasons
from odllm_controller.run.dispatch import Agent
from odllm_controller.store import Store

_MB, _GB = 1e6, 1e9
_VERDICTS = {True: "runs", False: "skipped", None: "unknown"}
EXAMPLES = """\
examples:
  odllm plan +experiment=sweep
  odllm plan +experiment=sweep 'model=[file]' models.file.path=/models/mine-F16.gguf
  odllm plan +experiment=sweep engines.llama_cpp.kv_type_k=q8_0 workloads.short.depth_tokens=8192
  odllm plan +experiment=sweep --json > plan.json
  odllm plan +experiment=sweep --device-file laptop.json    laptop.json: `odllm-agent describe`
  odllm plan +experiment=sweep --device-file laptop.json --out trials.json    for `odllm-agent run`

Overrides are those of `odllm run`, whose --help tells them all. Nothing is made, fetched or stored.
Exit status: 0 done, 2 wrong usage, 3 of some trials nothing can be told.
"""


def _has_device(_: object, options: "PlanOptions") -> None:
    if options.out and not options.device_file:
        raise ValueError("--out needs --device-file: which device is it for?")


@Parameter(name="*", validator=_has_device)
@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """What `odllm plan` was asked beside the overrides.

    Attributes:
        as_json: a list with an object per trial
        device_file: plan for the device that this file describes
        out: write what that device shall do, for `odllm-agent run`
    """

    as_json: AsJson = False
    device_file: Annotated[Path | None, TYPED_PATH] = None
    out: Annotated[Path | None, TYPED_PATH] = None


def preview(experiment: Experiment, options: PlanOptions, console: Console) -> bool:
    """Tells what an experiment will need.

    Args:
        experiment: What would be run.
        options: For which device, and for whom it is told.
        console: Where a table is printed.

    Returns:
        Whether something can be told of every trial.

    Raises:
        UsageError: The file describes no device, or what it shall do cannot be written.
        DispatchError: The fleet cannot be reached.
        StoreError: The store is there and cannot be read.
    """
    elsewhere = _read_device(options.device_file) if options.device_file else None
    with opened(experiment.fleet, experiment.power.meters) as fleet:
        agents = agents_of(fleet)
        chosen = agents[:1] if elsewhere else [a for a in agents if _is_chosen(experiment, a)]
        told = [
            (elsewhere or agent.device, _forecasts(experiment, agent, elsewhere))
            for agent in chosen
        ]
    rows = [row for device, found in told for row in _rows(experiment, device, found)]
    if options.out:
        ((device, found),) = told
        _write(options.out, experiment, device, found)
    notes = [note for device, found in told for note in _notes(experiment, device, found)]
    if options.as_json:
        sys.stdout.write(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    else:
        _print(console, rows, elsewhere)
        for note in notes:
            console.print(f"note: {note}", markup=False, highlight=False)
    return all(row.fits is not None for row in rows)


def _notes(experiment: Experiment, device: Device, forecasts: Sequence[Forecast]) -> Iterator[str]:
    """What has to be known of what would run on a device, a line each."""
    files = [each.model for each in forecasts if each.model]
    yield from plan.fallbacks(experiment, device, files)
    yield from results.remark_lines((f.name, f.quantization, f.remarks) for f in files)
    runnable = [each for each in forecasts if each.model and not plan.why_not(each, device)]
    for line in context.beyond(_asked(experiment, runnable)):
        yield f"{device.label}: {line}"


def _asked(experiment: Experiment, forecasts: Sequence[Forecast]) -> Iterator[ContextUse]:
    reading = plan.reading(experiment.quality, "") if experiment.quality.metrics else None
    for each in forecasts:
        if each.model:
            yield ContextUse.of_workload(each.model, each.candidate.workload)
            if reading and not each.model.no_quality:
                yield ContextUse.of_reading(each.model, reading)


def _is_chosen(experiment: Experiment, agent: Agent) -> bool:
    select = experiment.fleet.select
    return select is None or Selection(select).includes(agent.device, agent.labels)


def _forecasts(
    experiment: Experiment, agent: Agent, elsewhere: Device | None
) -> tuple[Forecast, ...]:
    device = elsewhere or agent.device
    forecasts = agent.forecast(plan.candidates(experiment, device), here=elsewhere is None)
    if elsewhere is None:
        return forecasts
    available_bytes = assumed_available_bytes(elsewhere.ram_bytes)
    return tuple(replace(each, available_bytes=available_bytes) for each in forecasts)


def _rows(experiment: Experiment, device: Device, forecasts: Sequence[Forecast]) -> list[Row]:
    known = speeds.load(experiment.store.path, device.id)
    terms = experiment.repeats, experiment.most_rounds, experiment.cooldown.longest_s
    return [Row.of(device, each, estimate(each, device, known, *terms)) for each in forecasts]


def _write(
    path: Path, experiment: Experiment, device: Device, forecasts: Sequence[Forecast]
) -> None:
    store = Store(experiment.store.path)
    known = store.known_ceilings() if store.path.exists() else ()
    estimate_s = Totals.of(_rows(experiment, device, forecasts)).estimate_s
    offline.write(offline.assign(experiment, device, forecasts, known, estimate_s), path)


def _read_device(path: Path) -> Device:
    try:
        return from_json(Device, path.read_bytes())
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{path} describes no device: {error}",
            "write it on the device with `odllm-agent describe --out FILE`",
        ) from error


def _print(console: Console, rows: Sequence[Row], elsewhere: Device | None) -> None:
    print_rows(console, _COLUMNS, [asdict(row) | {"label": _label(row, rows)} for row in rows])
    for fits, verdict in _VERDICTS.items():
        told = [
            (
                f"{row.model} {row.quantization or 'as it is'}",
                row.engine,
                "\n    ".join(filter(None, (row.reason, row.remedy, *row.last_words))),
            )
            for row in rows
            if row.fits is fits and row.reason
        ]
        for line in reasons.lines(told):
            console.print(f"{verdict}: {line}", markup=False, highlight=False)
    for name in dict.fromkeys(row.device for row in rows):
        of_device = [row for row in rows if row.device == name]
        console.print(_summary(name, of_device), markup=False, highlight=False)
    if any(row.time_basis == TimeBasis.ASSUMED for row in rows):
        console.print(f"time: nothing like it is stored, so {ASSUMPTIONS}", highlight=False)
    if elsewhere:
        console.print(
            f"memory: on {elsewhere.name} {ASSUMED_SYSTEM_BYTES / _GB:.1f} of "
            f"{elsewhere.ram_bytes / _GB:.1f} GB are assumed to be in use; what the process itself "
            "takes, and how the engine lays out weights, is this machine's",
            markup=False,
            highlight=False,
        )


def _summary(name: str, rows: Sequence[Row]) -> str:
    totals = Totals.of(rows)
    return (
        f"{name}: {totals.trials} can run, {totals.skipped} cannot"
        f"{f', of {totals.unknown} nothing can be told' if totals.unknown else ''}; "
        f"disk {totals.disk_bytes / _GB:,.3f} GB, download {totals.download_bytes / _GB:,.3f} GB, "
        f"time at most about {_duration(totals.estimate_s)} (estimated, without quality)"
    )


def _duration(seconds: float) -> str:
    hours, rest_s = divmod(round(seconds), 3600)
    minutes, seconds_left = divmod(rest_s, 60)
    parts = ((hours, "h"), (minutes, "min"), (seconds_left, "s"))
    told = [f"{amount} {unit}" for amount, unit in parts if amount]
    return " ".join(told[:2]) or "0 s"


def _label(row: Row, rows: Sequence[Row]) -> str:
    """The engine, and those of its settings in which the rows differ."""
    alike = [each.settings for each in rows if each.engine == row.engine]
    differing = [
        f"{name} {value}"
        for name, value in row.settings.items()
        if any(other.get(name) != value for other in alike)
    ]
    return ", ".join([row.engine, *differing])


def _words(heading: str, tell: Callable[[Mapping[str, Any]], object], **options: bool) -> Column:
    return Column(heading, lambda row: str(tell(row)), text=True, **options)


def _workload(row: Mapping[str, Any]) -> str:
    sizes = f"{row['workload']}: {row['prompt_tokens']} in, {row['output_tokens']} out"
    return f"{sizes}, {row['depth_tokens']} before" if row["depth_tokens"] else sizes


_COLUMNS = (
    _words("device", lambda row: row["device"], optional=True, key=True),
    _words("model", lambda row: row["model"], key=True),
    _words("type", lambda row: row["quantization"] or "as it is", key=True),
    _words("workload", _workload, optional=True, key=True),
    _words("engine", lambda row: row["label"], optional=True, key=True),
    number("BPW", "file_bpw", 2),
    number("file MB", "file_bytes", 1, _MB),
    number("peak MB", "memory_bytes", 0, _MB),
    number("must stay MB", "needed_bytes", 0, _MB),
    number("KV MB", "kv_bytes", 1, _MB),
    Column("context", context_cell, text=True, figure=True),
    _words("fits", lambda row: {True: "yes", False: "no", None: "unknown"}[row["fits"]]),
    number("disk MB", "disk_bytes", 1, _MB),
    number("time s", "estimate_s", 0),
    _words("time from", lambda row: row["time_basis"] or MISSING),
)
