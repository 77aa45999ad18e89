"""`odllm fleet models`: which device has which model, and what an experiment needs of them."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol, cast

from cyclopts import Parameter
from rich.console import Console

from odllm_agent import failures
from odllm_agent.contract import Device, Failure, Holding, ModelFile, ModelRequest, Progress
from odllm_agent.failures import Attempt, Failed
from odllm_agent.terminal.program import AsJson
from odllm_controller.backends import agents_of, opened
from odllm_controller.cli.progress import ModelProgress
from odllm_controller.cli.table import Column, print_rows
from odllm_controller.experiment.config import Experiment, FleetConfig, LimitsConfig
from odllm_controller.planning import plan

_MB = 1e6
_SHOWN_DIGITS = 12
EXAMPLES = """\
examples:
  odllm fleet models list                       which device has which model
  odllm fleet models list --json
  odllm fleet models push +experiment=sweep     gets all that it needs onto every device
  odllm fleet models prune +experiment=sweep    tells what it does not need, and asks
  odllm fleet models prune +experiment=sweep --yes

Overrides are those of `odllm run`. A model of a hub comes from the fleet's model server where there
is one. Whatever is added or removed is an event of its device (`odllm fleet events`), stored by the
next run. What another process was given is not removed. Exit status: 0 done, 2 wrong usage, 3 of
some devices not everything could be done.
"""


FleetModelsAction = Literal["list", "push", "prune"]


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class FleetModelsOptions:
    """What `odllm fleet models` was asked beside the overrides.

    Attributes:
        as_json: answer as JSON
        yes: remove without asking
    """

    as_json: AsJson = False
    yes: bool = False


class CacheAgent(Protocol):
    """What is asked of an agent here."""

    @property
    def device(self) -> Device:
        """What its device is."""

    def prepare(
        self, request: ModelRequest, show: Callable[[Progress], None] | None = None
    ) -> ModelFile | Failure:
        """Gets a model file ready on its device."""

    def holdings(self) -> tuple[Holding, ...] | Failure:
        """Which models its device has."""

    def unneeded(self, requests: tuple[ModelRequest, ...]) -> tuple[Holding, ...] | Failure:
        """What its device has and does not need for what is asked for."""

    def remove(self, sha256s: tuple[str, ...]) -> tuple[str, ...] | Failure:
        """Takes models off its device; gives the checksums of those that are gone."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a device has.

    Attributes:
        device: The device.
        holdings: Its models, or why they cannot be told.
    """

    device: Device
    holdings: tuple[Holding, ...] | Failure

    @property
    def failure(self) -> Failure | None:
        """Why its models cannot be told."""
        return self.holdings if isinstance(self.holdings, Failure) else None

    @property
    def found(self) -> tuple[Holding, ...]:
        """Its models; none where they cannot be told."""
        return () if isinstance(self.holdings, Failure) else self.holdings


@dataclass(frozen=True, slots=True)
class Pushed:
    """What came of a model that a device should have.

    Attributes:
        device: The device.
        request: The model.
        outcome: Its file there, or why there is none.
    """

    device: Device
    request: ModelRequest
    outcome: ModelFile | Failure

    @property
    def failure(self) -> Failure | None:
        """Why there is no file."""
        return self.outcome if isinstance(self.outcome, Failure) else None


@contextmanager
def fleet() -> Iterator[Sequence[CacheAgent]]:
    """The agents of the laptops that have joined the head on this machine.

    Raises:
        DispatchError: There is no head, or an agent does not answer.
    """
    asked = FleetConfig(kind="ray", grace_s=0, limits=LimitsConfig())
    with opened(asked, ()) as joined:
        yield cast(Sequence[CacheAgent], agents_of(joined))


def requests(experiment: Experiment) -> tuple[ModelRequest, ...]:
    """All that an experiment names: what it measures, and what that is compared with."""
    return tuple(dict.fromkeys((*plan.requests(experiment), *plan.base_requests(experiment))))


def kept(agents: Sequence[CacheAgent]) -> list[Kept]:
    """What every device has."""
    return [Kept(agent.device, agent.holdings()) for agent in agents]


def push(
    agents: Sequence[CacheAgent], wanted: Sequence[ModelRequest], console: Console
) -> list[Pushed]:
    """Gets models onto all devices, each device at its own pace.

    Args:
        agents: Their agents.
        wanted: The models.
        console: Where it is shown how far they are.
    """
    with ModelProgress(console) as progress, ThreadPoolExecutor(len(agents) or 1) as pool:

        def push_to(agent: CacheAgent) -> list[Pushed]:
            bar = progress.of(agent.device)
            pushed = []
            for request in wanted:
                bar.started(request)
                pushed.append(Pushed(agent.device, request, agent.prepare(request, bar.moved)))
            bar.ended()
            return pushed

        return [each for pushed in pool.map(push_to, agents) for each in pushed]


def unneeded(agents: Sequence[CacheAgent], wanted: Sequence[ModelRequest]) -> list[Kept]:
    """What every device has and does not need for these models."""
    return [Kept(agent.device, agent.unneeded(tuple(wanted))) for agent in agents]


def removed(agents: Sequence[CacheAgent], chosen: Sequence[Kept]) -> list[Kept]:
    """Takes models off devices, and tells which of them are gone."""
    return [_removed(agent, each) for agent, each in zip(agents, chosen, strict=True)]


def list_models(options: FleetModelsOptions, console: Console) -> bool:
    """Shows which device has which model.

    Returns:
        Whether every device could tell.
    """
    with fleet() as agents:
        found = kept(agents)
    _show(found, options, console)
    return not _failures(found)


def push_models(experiment: Experiment, options: FleetModelsOptions, console: Console) -> bool:
    """Gets what an experiment names onto every device.

    Args:
        experiment: The experiment.
        options: For whom it is told.
        console: Where it is shown.

    Returns:
        Whether every device has everything.
    """
    with fleet() as agents:
        pushed = push(agents, requests(experiment), console)
    if options.as_json:
        _print_json([asdict(each) for each in pushed])
    else:
        _show_pushed(pushed, console)
    return not any(each.failure for each in pushed)


def prune_models(experiment: Experiment, options: FleetModelsOptions, console: Console) -> bool:
    """Takes off every device what an experiment does not name, if that is agreed to.

    Args:
        experiment: The experiment.
        options: Whether anybody is to be asked, and for whom it is told.
        console: Where it is shown.

    Returns:
        Whether every device could tell, and all that was to go is gone.
    """
    with fleet() as agents:
        chosen = unneeded(agents, requests(experiment))
        if not options.as_json:
            _show(chosen, options, console)
        agreed = any(each.found for each in chosen) and (options.yes or _agreed(chosen))
        gone = removed(agents, chosen) if agreed else []
    if options.as_json:
        _print_json({"unneeded": _told(chosen), "removed": _told(gone)})
    elif agreed:
        _show_removed(chosen, gone, console)
    left = sum(len(each.found) for each in chosen) - sum(len(each.found) for each in gone)
    return not (_failures(chosen) or _failures(gone) or (agreed and left))


def _removed(agent: CacheAgent, chosen: Kept) -> Kept:
    gone = agent.remove(tuple(each.sha256 for each in chosen.found)) if chosen.found else ()
    if isinstance(gone, Failure):
        return Kept(chosen.device, gone)
    return Kept(chosen.device, tuple(each for each in chosen.found if each.sha256 in gone))


def _agreed(chosen: Sequence[Kept]) -> bool:
    """Whether somebody is there and says yes."""
    if not sys.stdin.isatty():
        return False
    holdings = [holding for each in chosen for holding in each.found]
    total_bytes = sum(holding.file_bytes for holding in holdings)
    sys.stdout.write(f"remove {len(holdings)} with {total_bytes / _MB:,.1f} MB? [y/N] ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


_COLUMNS = (
    Column("device", lambda row: str(row["device"]), text=True, key=True),
    Column("sha256", lambda row: str(row["sha256"])[:_SHOWN_DIGITS], text=True, key=True),
    Column("type", lambda row: str(row["quantization"]), text=True),
    Column("file MB", lambda row: f"{row['file_bytes'] / _MB:,.1f}"),
    Column("last used", lambda row: f"{row['used_at']:%Y-%m-%d %H:%M}", text=True),
    Column("from", lambda row: str(row["origin"]), text=True),
)


def _show(found: Sequence[Kept], options: FleetModelsOptions, console: Console) -> None:
    if options.as_json:
        _print_json(_told(found))
        return
    rows = [
        {"device": each.device.name, **asdict(holding)} for each in found for holding in each.found
    ]
    if rows:
        print_rows(console, _COLUMNS, rows)
    for each in found:
        total_bytes = sum(holding.file_bytes for holding in each.found)
        _print(console, f"{each.device.name}: {len(each.found)}, {total_bytes / _MB:,.1f} MB")
    for line in _failures(found):
        _print(console, line, style="red")


def _show_pushed(pushed: Sequence[Pushed], console: Console) -> None:
    for name in dict.fromkeys(each.device.name for each in pushed):
        there = [each for each in pushed if each.device.name == name]
        ready = sum(each.failure is None for each in there)
        _print(console, f"{name}: {ready} of {len(there)} models are ready")
    for told in failures.told(
        Failed(Attempt.of_request(each.request), each.failure, each.device.name)
        for each in pushed
        if each.failure
    ):
        _print(console, f"failed: {told}", style="red")


def _show_removed(chosen: Sequence[Kept], gone: Sequence[Kept], console: Console) -> None:
    for before, after in zip(chosen, gone, strict=True):
        freed_bytes = sum(holding.file_bytes for holding in after.found)
        left = [holding for holding in before.found if holding not in after.found]
        _print(
            console,
            f"{before.device.name}: {len(after.found)} removed, {freed_bytes / _MB:,.1f} MB",
        )
        for holding in left:
            _print(console, f"{before.device.name}: in use, not removed: {holding.sha256}")


def _failures(found: Sequence[Kept]) -> list[str]:
    return failures.told(
        Failed(Attempt("device", each.device.name), each.failure) for each in found if each.failure
    )


def _told(found: Sequence[Kept]) -> list[dict[str, Any]]:
    """A device a row, for a script."""
    return [
        {
            "device_id": each.device.id,
            "device": each.device.name,
            "models": [asdict(holding) for holding in each.found],
            "failure": asdict(each.failure) if each.failure else None,
        }
        for each in found
    ]


def _print_json(answer: object) -> None:
    print(json.dumps(answer, indent=1, default=str))


def _print(console: Console, text: str, style: str | None = None) -> None:
    console.print(text, markup=False, highlight=False, style=style)
