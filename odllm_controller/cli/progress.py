"""The progress bars of a run."""

from collections import Counter
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bar

from odllm_agent.contract import Device, ModelRequest, Progress, Result
from odllm_controller.run.device_activity import Activity, DeviceActivity

_GB = 1e9
_TOLD = {
    Activity.AWAY: "away",
    Activity.HELD: "held",
    Activity.WAITING: "waiting",
    Activity.DONE: "done",
}

# The bar is drawn on the cores that are measured, so it moves seldom.
_DRAWS_PER_S = 1


class _Drawn:
    """A bar that is drawn as long as its context lasts."""

    def __init__(
        self, console: Console, *columns: ProgressColumn, shown: bool, transient: bool = False
    ) -> None:
        self._bar = Bar(
            *columns,
            console=console,
            refresh_per_second=_DRAWS_PER_S,
            transient=transient,
            disable=not shown,
        )

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


class ModelProgress(_Drawn):
    """Which models devices get, and how far they are: a bar for each, gone at the end.

    Args:
        console: Where they are drawn.
    """

    def __init__(self, console: Console) -> None:
        super().__init__(
            console,
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            DownloadColumn(),
            TransferSpeedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            shown=console.is_terminal,
            transient=True,
        )

    def of(self, device: Device) -> "ModelBar":
        """The bar of a device, which is drawn from now on."""
        return ModelBar(self._bar, device)


class ModelBar:
    """Which model a device gets, and how far it is.

    Args:
        bar: What draws it.
        device: The device.
    """

    def __init__(self, bar: Bar, device: Device) -> None:
        self._bar = bar
        self._device = device
        self._told = f"{device.label}: preparing models"
        self._what = ""
        self._task = bar.add_task(self._told, total=None)

    def started(self, request: ModelRequest) -> None:
        """Shows which model is prepared."""
        self._told = f"{self._device.label}: {request.label}"
        self._what = ""
        self._bar.reset(self._task, total=None, description=self._told)

    def moved(self, progress: Progress) -> None:
        """Shows how far it is."""
        done_bytes, total_bytes = progress.done_bytes, progress.total_bytes
        if self._what != progress.what:
            # What was there before it began is no part of its speed.
            self._what = progress.what
            told = f"{self._told}, {progress.what}"
            self._bar.reset(self._task, completed=done_bytes, description=told)
        self._bar.update(self._task, completed=done_bytes, total=total_bytes)

    def ended(self) -> None:
        """Is no longer drawn."""
        self._bar.remove_task(self._task)


class RunProgress(_Drawn):
    """A row per device: what is under way, how much is done, the time left, and its failures.

    On a terminal they are bars; elsewhere they say nothing but what they end with.

    Args:
        console: Where they are drawn.
    """

    def __init__(self, console: Console) -> None:
        super().__init__(
            console,
            TextColumn("{task.fields[device]}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("[red]{task.fields[failed]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
            shown=True,
        )
        self._rows: dict[str, TaskID] = {}
        self._n_failed: Counter[str] = Counter()
        self._n_done: Counter[str] = Counter()
        self._told: dict[str, str] = {}
        self._store_row: TaskID | None = None

    @property
    def n_done(self) -> int:
        """The results of all devices so far."""
        return self._n_done.total()

    def started(self, device: Device, what: str) -> None:
        """Shows what a device does now."""
        self._told[device.id] = what
        self._bar.update(self._row(device), description=what)

    def said(self, device: Device, line: str) -> None:
        """Says what is to be known of a device before it begins."""
        self._bar.console.print(f"{device.label}: {line}", markup=False, highlight=False)

    def planned(self, device: Device, left: int) -> None:
        """Shows how many orders a device is to be given."""
        self._bar.reset(self._row(device), total=left, description="starting")

    def moved(self, device: Device, progress: Progress) -> None:
        """Shows how far the model file is that a device prepares."""
        share = f"{progress.done_bytes / _GB:.1f} of {progress.total_bytes / _GB:.1f} GB"
        told = f"{self._told.get(device.id, '')}, {progress.what}: {share}"
        self._bar.update(self._row(device), description=told)

    def status(self, device: Device, status: DeviceActivity) -> None:
        """Shows that a device is away, held or may not run, and why."""
        if status.activity in _TOLD:
            told = f"{_TOLD[status.activity]}: {status.reason}".removesuffix(": ")
            self._bar.update(self._row(device), description=told)

    def store_held(self, told: str) -> None:
        """Shows who holds the store and what waits for it, in a row that is gone after it."""
        if told and self._store_row is None:
            self._store_row = self._bar.add_task(told, total=None, device="store", failed="")
            self._note(f"{told}; the run goes on, and stores later")
        elif told and self._store_row is not None:
            self._bar.update(self._store_row, description=told)
        elif self._store_row is not None:
            self._bar.remove_task(self._store_row)
            self._store_row = None
            self._note("the store is held no more, and has everything")

    def finished(self, device: Device, result: Result, left: int) -> None:
        """Counts a result.

        Args:
            device: Whose it is.
            result: What came in.
            left: The orders that are still to be given; a result may have made some needless.
        """
        row = self._row(device)
        if result.failure:
            self._n_failed[device.id] += 1
            self._bar.update(row, failed=f"{self._n_failed[device.id]} failed")
        self._n_done[device.id] += 1
        done = self._n_done[device.id]
        self._bar.update(row, completed=done, total=done + left)

    def _note(self, line: str) -> None:
        """Says something where rows are not drawn while it lasts."""
        if not self._bar.console.is_terminal:
            self._bar.console.print(f"note: {line}", markup=False, highlight=False)

    def _row(self, device: Device) -> TaskID:
        if device.id not in self._rows:
            row = self._bar.add_task("", total=None, device=device.label, failed="")
            self._rows[device.id] = row
        return self._rows[device.id]
