"""`odllm import`: what a device did without a controller, into the store."""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from rich.console import Console

from odllm_agent import logbook
from odllm_agent.contract import (
    Baseline,
    Ceilings,
    QualityResult,
    Result,
    RoundResult,
    to_json,
)
from odllm_agent.errors import UsageError, ValueRefused
from odllm_agent.logbook import Closing, Damage, Entry, Opening, Planned, Unprepared
from odllm_controller.store import Run, Store

_STORE = Path("results/odllm.duckdb")
_SHOWN = 10
_EXAMPLES = """\
examples:
  odllm import results.jsonl                        into results/odllm.duckdb
  odllm import laptop-*.jsonl --store fleet.duckdb
  odllm import results.jsonl --json                 what was stored and refused, for a script

The files are those of `odllm-agent run`. To import one again changes nothing; one that has grown
meanwhile brings what is new. A line that is damaged is refused by its number, the rest is kept.
Exit status: 0 done, 1 something was refused, 2 wrong usage.
"""


@dataclass(frozen=True, slots=True)
class Options:
    """What `odllm import` was asked.

    Attributes:
        paths: The files of results.
        store: Where they go.
        as_json: Whether a script will read the answer.
    """

    paths: tuple[Path, ...]
    store: Path
    as_json: bool

    @classmethod
    def of(cls, arguments: Sequence[str]) -> "Options":
        """The options of a command line; it ends the process if they are wrong, or with help."""
        parser = argparse.ArgumentParser(
            prog="odllm import",
            description="Stores what devices measured without a controller.",
            epilog=_EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        parser.add_argument("paths", nargs="+", type=Path, metavar="FILE")
        parser.add_argument("--store", type=Path, default=_STORE, help=f"{_STORE} unless told")
        parser.add_argument("--json", action="store_true", help="answer as JSON")
        known = parser.parse_args(list(arguments))
        return cls(tuple(known.paths), known.store, known.json)


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file.

    Attributes:
        path: The file.
        runs: The runs in it, by their names in the store.
        results: How many results of it are in the store.
        refused: What is not, by the number of its line, with the reason.
        reason: Why the rest of the file was not read, or `""`.
    """

    path: str
    runs: tuple[str, ...]
    results: int
    refused: Mapping[int, str]
    reason: str = ""

    @property
    def whole(self) -> bool:
        """Whether nothing was refused."""
        return not (self.refused or self.reason)


def import_files(options: Options, console: Console) -> bool:
    """Stores the results of files, and tells what became of each.

    Args:
        options: Which files, and where they go.
        console: Where it is told.

    Returns:
        Whether nothing was refused.

    Raises:
        StoreError: The store cannot be opened or written.
    """
    store = Store.open(options.store)
    found = [import_file(path, store) for path in options.paths]
    if options.as_json:
        sys.stdout.write(json.dumps([asdict(each) for each in found], indent=1) + "\n")
    else:
        for each in found:
            for line in _lines(each):
                console.print(line, markup=False, highlight=False, soft_wrap=True)
    return all(each.whole for each in found)


def import_file(path: Path, store: Store) -> Imported:
    """Stores what a file holds, but for what is damaged.

    Args:
        path: The file.
        store: Where it goes.

    Raises:
        StoreError: The store cannot be written.
    """
    importer = _Importer(store)
    refused: dict[int, str] = {}
    reason = ""
    try:
        for number, entry in logbook.entries(path):
            try:
                importer.take(entry)
            except (ValueError, ValueRefused) as error:
                refused[number] = str(error)
    except UsageError as error:
        reason = str(error)
    importer.end()
    return Imported(str(path), tuple(importer.runs), importer.n_results, refused, reason)


class _Importer:
    """Stores one entry after another.

    Args:
        store: Where they go.

    Attributes:
        runs: The runs so far.
        n_results: The results so far.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._device_id = ""
        self._last_at: datetime | None = None
        self.runs: list[str] = []
        self.n_results = 0

    def take(self, entry: Entry | Damage) -> None:
        """Stores an entry, unless it is there.

        Raises:
            ValueError: The entry is damaged, or belongs to no run, or is of another device.
            ValueRefused: The store cannot hold it.
        """
        if isinstance(entry, Damage):
            raise ValueError(entry.reason)
        if isinstance(entry, Opening):
            self._begin(entry)
            return
        if not self.runs:
            raise ValueError("it belongs to no run: the line that begins one is missing")
        if not {*_device_ids(entry)} <= {self._device_id}:
            raise ValueError("it is of another device than its run")
        self._add(entry, self.runs[-1])

    def end(self) -> None:
        """Ends a run that did not do so itself, with the last that is known of it."""
        if self._last_at:
            self._store.end_run(self.runs[-1], self._last_at, logbook.Status.INTERRUPTED)

    def _begin(self, opening: Opening) -> None:
        self.end()
        run = _run(opening)
        self._store.add_run(run)
        self._store.add_device(run.id, opening.device)
        self._store.add_skips(run.id, opening.skips)
        self.runs.append(run.id)
        self._device_id, self._last_at = opening.device.id, opening.started_at

    def _add(self, entry: Entry, run_id: str) -> None:
        if isinstance(entry, Planned):
            rounds = entry.rounds, entry.rounds_at_most, entry.interval_target
            self._store.add_plan(run_id, entry.trials, *rounds)
        elif isinstance(entry, Unprepared):
            self._store.add_failure(run_id, self._device_id, entry.request, entry.failure)
        elif isinstance(entry, Closing):
            self._store.end_run(run_id, entry.ended_at, entry.status)
            self._last_at = None
        elif not isinstance(entry, Opening):
            self._add_result(entry, run_id)

    def _add_result(self, result: Result, run_id: str) -> None:
        if isinstance(result, RoundResult):
            self._store.add_round(run_id, result)
            self._last_at = result.started_at
        elif isinstance(result, QualityResult):
            self._store.add_quality(run_id, result)
        elif isinstance(result, Baseline):
            self._store.add_baseline(run_id, result)
        else:
            self._store.add_ceilings(run_id, result)
        self.n_results += 1


def _run(opening: Opening) -> Run:
    """The run of an opening; the same one has the same name whenever it is imported."""
    digest = hashlib.sha256(to_json(opening).encode()).hexdigest()[:12]
    asked = opening.experiment
    return Run(
        id=f"{opening.started_at:%Y%m%dT%H%M%S}-{digest}",
        started_at=opening.started_at,
        experiment=asked.name,
        command=opening.command,
        config_yaml=asked.config_yaml,
        seed=asked.seed,
        versions=asked.versions,
        git_commit=asked.git_commit,
        origin="import",
    )


def _device_ids(entry: Entry) -> Iterator[str]:
    """The devices that an entry tells of."""
    if isinstance(entry, Planned):
        yield from (trial.device_id for trial in entry.trials)
    elif isinstance(entry, RoundResult):
        yield entry.trial.device_id
    elif isinstance(entry, QualityResult):
        yield entry.check.device_id
    elif isinstance(entry, Ceilings):
        yield entry.order.device_id
    elif isinstance(entry, Baseline):
        yield entry.device_id


def _lines(done: Imported) -> Iterator[str]:
    yield f"{done.path}: {_counted(done.results, 'result')} of {_counted(len(done.runs), 'run')}"
    for number in sorted(done.refused)[:_SHOWN]:
        yield f"  line {number} refused: {done.refused[number]}"
    if len(done.refused) > _SHOWN:
        yield f"  and {_counted(len(done.refused) - _SHOWN, 'more line')}"
    if done.reason:
        yield f"  refused: {done.reason}"


def _counted(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
