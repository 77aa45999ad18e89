"""The progress bars of a run."""

from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bar

from odllm_agent.agenda import Task
from odllm_agent.contract import Device, ModelRequest, Progress, Result

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
    """Which model a device gets, and how far it is: a bar that is gone at the end.

    Args:
        console: Where it is drawn.
        device: The device.
    """

    def __init__(self, console: Console, device: Device) -> None:
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
        self._device = device
        self._told = f"{device.name}: preparing models"
        self._what = ""
        self._task = self._bar.add_task(self._told, total=None)

    def started(self, request: ModelRequest) -> None:
        """Shows which model is prepared."""
        kind = f" {request.quantization}" if request.quantization else ""
        self._told = f"{self._device.name}: {request.name}{kind}"
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


class RunProgress(_Drawn):
    """What is under way, how much is done, the time left, and the failures so far.

    On a terminal it is a bar; elsewhere it says nothing but the failures.

    Args:
        console: Where it is drawn.
        total: The number of orders.
    """

    def __init__(self, console: Console, total: int) -> None:
        super().__init__(
            console,
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("[red]{task.fields[failed]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
            shown=bool(total),
        )
        self._task = self._bar.add_task("starting", total=total, failed="")
        self._n_failed = 0
        self._n_done = 0

    def started(self, device: Device, order: Task) -> None:
        """Shows what a device has been sent."""
        self._bar.update(self._task, description=f"{device.name}: {order.told}")

    def finished(self, result: Result, left: int) -> None:
        """Counts a result.

        Args:
            result: What came in.
            left: The orders that are still to be given; a result may have made some needless.
        """
        if result.failure:
            self._n_failed += 1
            self._bar.update(self._task, failed=f"{self._n_failed} failed")
        self._n_done += 1
        self._bar.update(self._task, completed=self._n_done, total=self._n_done + left)
