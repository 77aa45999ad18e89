"""`odllm import`: what was measured without this controller, into the store."""

import hashlib
import json
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, TypeVar

from cyclopts import Parameter
from rich.console import Console

from odllm_agent.contract import (
    Baseline,
    Ceilings,
    QualityResult,
    Result,
    RoundResult,
    to_json,
)
from odllm_agent.errors import UsageError, ValueRefused
from odllm_agent.failures import LeftOut
from odllm_agent.offline import logbook
from odllm_agent.offline.logbook import Closing, Damage, Entry, OfRun, Opening, Planned, Unprepared
from odllm_agent.terminal.program import STORE, TYPED_PATH, AsJson, StorePath, program
from odllm_agent.terminal.visible import visible_lines
from odllm_controller.cli import table
from odllm_controller.exchange.figures import SUBJECT_CHARACTERS, Figures, digest
from odllm_controller.exchange.kind import Kind
from odllm_controller.exchange.reading import taken
from odllm_controller.exchange.sessions import placed
from odllm_controller.exchange.source import ImportSource, opened
from odllm_controller.store import Run, Store

T = TypeVar("T")

_SHOWN = 10
_AT_ONCE = 500
_EXAMPLES = """\
examples:
  odllm import results.jsonl                        into results/odllm.duckdb
  odllm import laptop-*.jsonl --store fleet.duckdb
  odllm import laptop.parquet                       what `odllm export` wrote
  odllm import bench.jsonl --device "Kitchen PC"    what llama-bench timed there
  odllm import bench.md --device "Kitchen PC"       a table, which does not name its processor
  llama-bench -o jsonl | odllm import -             from a pipe
  odllm import results.jsonl --json                 what was stored and refused, for a script

The files are those of `odllm-agent run`, of `odllm export` (Parquet, CSV, JSON lines) and of
llama-bench (-o json, jsonl, sql, csv or md); which, is told by what is in them. To import one again
changes nothing; one that has grown meanwhile brings what is new. A line that is damaged, or no
record, such as a message of a tool, is told by its number; the rest is kept. What is imported as
figures is marked in the column `origin` of `results`.
Exit status: 0 done, 1 something was not understood or there was nothing, 2 wrong usage.
"""


app = program("odllm import", examples=_EXAMPLES)


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """What `odllm import` was asked beside the files.

    Attributes:
        store: where the results go
        as_json: answer as JSON
        device: where llama-bench ran; its processor if not given
    """

    store: StorePath = STORE
    as_json: AsJson = False
    device: Annotated[str | None, "NAME"] = None


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file.

    Attributes:
        path: The file.
        runs: The runs in it, by their names in the store.
        results: How many results of it are in the store.
        refused: What is not, by the number of its line, with the reason.
        reason: Why the rest of the file was not read, or `""`.
        notes: What should be known of what is stored.
    """

    path: str
    runs: tuple[str, ...]
    results: int
    refused: Mapping[int, str]
    reason: str = ""
    notes: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether nothing was refused."""
        return not (self.refused or self.reason)


@app.default
def read(
    *paths: Annotated[Path, Parameter(required=True), TYPED_PATH, "FILE"],
    options: ImportOptions = ImportOptions(),
) -> int:
    """Store what was measured without this controller.

    Args:
        paths: a file, a pipe, or - for the input
        options: where it goes
    """
    return 0 if import_files(paths, options, table.console()) else 1


def import_files(paths: Iterable[Path], options: ImportOptions, console: Console) -> bool:
    """Stores the results of files, and tells what became of each.

    Args:
        paths: The files.
        options: Where they go.
        console: Where it is told.

    Returns:
        Whether nothing was refused.

    Raises:
        StoreError: The store cannot be opened or written.
    """
    store = Store.open(options.store)
    found = [import_file(path, store, options.device) for path in paths]
    if options.as_json:
        sys.stdout.write(json.dumps([asdict(each) for each in found], indent=1) + "\n")
    else:
        for each in found:
            for line in _lines(each):
                console.print(visible_lines(line), markup=False, highlight=False, soft_wrap=True)
    return all(each.whole for each in found)


def import_file(path: Path, store: Store, device: str | None = None) -> Imported:
    """Stores what a file holds, but for what is damaged.

    Args:
        path: The file.
        store: Where it goes.
        device: What to call the device of llama-bench's tests, if not by its processor.

    Raises:
        StoreError: The store cannot be written.
    """
    try:
        with opened(path) as source:
            if source.kind is Kind.RUN:
                return _import_run(source, store, device)
            return _Figures(source, store).take_all(device)
    except UsageError as error:
        return Imported(str(path), (), 0, {}, str(error))


def _import_run(source: ImportSource, store: Store, device: str | None) -> Imported:
    if device:
        raise UsageError(f"{source.path} names its device itself", "leave out --device for it")
    importer = _Importer(store)
    refused: dict[int, str] = {}
    reason = ""
    try:
        for number, entry in logbook.entries_of(source.file, source.path):
            try:
                importer.take(entry)
            except (ValueError, ValueRefused) as error:
                refused[number] = str(error)
    except UsageError as error:
        reason = str(error)
    importer.end()
    found = tuple(importer.runs), importer.n_results
    return Imported(str(source.path), *found, refused, reason)


class _Figures:
    """Stores the figures of a file.

    Args:
        source: The file.
        store: Where they go.
    """

    def __init__(self, source: ImportSource, store: Store) -> None:
        self._source = source
        self._store = store
        self._n_results = 0
        self._refused: dict[int, tuple[str, int]] = {}
        self._rows: dict[str, tuple[int, str]] = {}
        self._n_replaced = 0
        self._unknown: set[str] = set()

    def take_all(self, device: str | None) -> Imported:
        """Stores what can be, and tells what became of all of it.

        Args:
            device: What to call the device of llama-bench's tests, if not by its processor.
        """
        starts: list[tuple[int, Figures]] = []
        reason = ""
        try:
            for found in _in_batches(self._taken(device), _AT_ONCE):
                starts += [each for each in found if each[1].start]
                self._add_rows([each for each in found if not each[1].start])
        except UsageError as error:
            reason = str(error)
        notes = (*self._add_starts(starts), *_notes_on_rows(self._n_replaced, self._unknown))
        refused = {
            number: f"{first}; and {n_more} more in this line" if n_more else first
            for number, (first, n_more) in self._refused.items()
        }
        if not (self._n_results or refused or reason):
            self._source.file.seek(0)
            is_empty = not self._source.file.read(1)
            reason = "it is empty" if is_empty else "there is no record in it"
        return Imported(str(self._source.path), (), self._n_results, refused, reason, notes)

    def _taken(self, device: str | None) -> Iterator[tuple[int, Figures]]:
        """What is understood, in its order; what is not is noted."""
        for number, found in taken(self._source, self._store.imported_types(), device):
            if isinstance(found, Damage):
                self._refuse(number, found.reason)
            else:
                yield number, found

    def _add_rows(self, found: Sequence[tuple[int, Figures]]) -> None:
        """Stores rows of `results`, and notes what they replace and what of them is not kept."""
        rows = [*self._consistent(found)]
        origins = {str(each.row["row_id"]): str(each.row["origin"]) for _, each in rows}
        self._n_replaced += self._store.imported_before(origins) if origins else 0
        self._unknown.update(*(each.unknown for _, each in rows))
        self._add(rows)

    def _consistent(self, found: Iterable[tuple[int, Figures]]) -> Iterator[tuple[int, Figures]]:
        """Rows, but for those of a trial of which the file has told other figures before."""
        for number, each in found:
            content = digest(each.row)
            first, known = self._rows.setdefault(str(each.row["row_id"]), (number, content))
            if content != known:
                self._refuse(number, f"it is the trial of line {first}, with other figures")
            else:
                yield number, each

    def _add_starts(self, found: Sequence[tuple[int, Figures]]) -> tuple[str, ...]:
        """Stores the starts of llama-bench in their rows, and notes what is to be known."""
        starts = [each.start for _, each in found if each.start]
        known = self._store.imported_rounds({start.id for start in starts})
        in_rows = placed(found, known)
        for number in in_rows.contradicted:
            self._refuse(number, "its averages are those of a test before, and its samples are not")
        self._n_results += in_rows.n_known
        for batch in _in_batches(in_rows.figures, _AT_ONCE):
            self._add(batch)
        rows = {str(each.row["row_id"]) for _, each in in_rows.figures}
        n_apart = self._store.imported_akin(rows, SUBJECT_CHARACTERS) if rows else 0
        return tuple(_notes(n_apart, in_rows.n_joined))

    def _add(self, found: Sequence[tuple[int, Figures]]) -> None:
        """Stores what can be, and notes why the rest cannot."""
        if not found:
            return
        try:
            self._store.add_imported(
                [each.row for _, each in found],
                [sample for _, each in found for sample in each.samples],
                [place for _, each in found for place in each.moved_from],
            )
        except ValueRefused as error:
            if len(found) == 1:
                self._refuse(found[0][0], str(error))
                return
            # One of them is to blame: each gets a transaction of its own.
            for each in found:
                self._add([each])
        else:
            self._n_results += len(found)

    def _refuse(self, number: int, reason: str) -> None:
        first, n_more = self._refused.get(number, (reason, -1))
        self._refused[number] = first, n_more + 1


def _in_batches(found: Iterable[T], size: int) -> Iterator[list[T]]:
    remaining = iter(found)
    while batch := list(islice(remaining, size)):
        yield batch


def _notes(n_apart: int, n_joined: int) -> Iterator[str]:
    if n_apart:
        yield (
            f"{_counted(n_apart, 'row')} kept apart from rows of other files with the same build, "
            "machine, model and settings, since builds of one commit look alike: name what differs "
            "with --device; what belongs together becomes rounds of one row if it is in one file"
        )
    if n_joined:
        yield (
            f"{_counted(n_joined, 'row')} of other files became rounds of rows of this one, which "
            "holds both; if they are of different builds or machines, import each with --device"
        )


def _notes_on_rows(n_replaced: int, unknown: Collection[str]) -> Iterator[str]:
    if n_replaced:
        yield (
            f"{_counted(n_replaced, 'row')} of other files replaced by those of this one, which "
            "are of the same trials"
        )
    if unknown:
        names = ", ".join(sorted(unknown))
        yield f"not kept, for this version has no such column: {names:.300}"


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
        match entry:
            case Damage(reason=reason):
                raise ValueError(reason)
            case Opening():
                self._begin(entry)
            case _ if not self.runs:
                raise ValueError("it belongs to no run: the line that begins one is missing")
            case _ if not {*_device_ids(entry)} <= {self._device_id}:
                raise ValueError("it is of another device than its run")
            case _:
                self._add(entry, self.runs[-1])

    def end(self) -> None:
        """Ends a run that did not do so itself, with the last that is known of it."""
        if self._last_at:
            self._store.end_run(self.runs[-1], self._last_at, logbook.RunStatus.INTERRUPTED)

    def _begin(self, opening: Opening) -> None:
        self.end()
        run = _run(opening)
        self._store.add_run(run)
        self._store.add_device(run.id, opening.device)
        self._store.add_skips(run.id, opening.skips)
        self.runs.append(run.id)
        self._device_id, self._last_at = opening.device.id, opening.started_at

    def _add(self, entry: OfRun, run_id: str) -> None:
        match entry:
            case Planned():
                rounds = entry.rounds, entry.rounds_at_most, entry.interval_target
                self._store.add_plan(run_id, entry.trials, *rounds)
            case Unprepared():
                self._store.add_failure(run_id, self._device_id, entry.request, entry.failure)
            case LeftOut():
                self._store.leave_out(run_id, entry)
            case Closing():
                self._store.end_run(run_id, entry.ended_at, entry.status)
                self._last_at = None
            case RoundResult():
                self._add_result(entry, run_id)
                self._last_at = entry.started_at
            case QualityResult() | Baseline() | Ceilings():
                self._add_result(entry, run_id)

    def _add_result(self, result: Result, run_id: str) -> None:
        self._store.add_results(run_id, (result,))
        self.n_results += 1


def _run(opening: Opening) -> Run:
    """The run of an opening; the same one has the same name whenever it is imported."""
    hashed = hashlib.sha256(to_json(opening).encode()).hexdigest()[:12]
    asked = opening.experiment
    return Run(
        id=f"{opening.started_at:%Y%m%dT%H%M%S}-{hashed}",
        started_at=opening.started_at,
        experiment=asked.name,
        command=opening.command,
        config_yaml=asked.config_yaml,
        seed=asked.seed,
        versions=asked.versions,
        git_commit=asked.git_commit,
        origin="import",
    )


def _device_ids(entry: OfRun) -> Iterator[str]:
    """The devices that an entry tells of."""
    match entry:
        case Planned(trials=trials):
            yield from (trial.device_id for trial in trials)
        case LeftOut(checks=checks):
            yield from (check.device_id for check in checks)
        case RoundResult() | QualityResult() | Ceilings() | Baseline():
            yield entry.device_id


def _lines(done: Imported) -> Iterator[str]:
    of_runs = f" of {_counted(len(done.runs), 'run')}" if done.runs else ""
    yield f"{done.path}: {_counted(done.results, 'result')}{of_runs}"
    for number in sorted(done.refused)[:_SHOWN]:
        yield f"  line {number} refused: {done.refused[number]}"
    if len(done.refused) > _SHOWN:
        yield f"  and {_counted(len(done.refused) - _SHOWN, 'more line')}"
    if done.reason:
        yield f"  refused: {done.reason}"
    for note in done.notes:
        yield f"  note: {note}"


def _counted(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
