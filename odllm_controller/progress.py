"""The progress bar of a run."""

from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from odllm_agent.contract import Device, Measurement, Rest
from odllm_controller.dispatch import Order, Result

# The bar is drawn on the cores that are measured, so it moves seldom.
_DRAWS_PER_S = 1


class RunProgress:
    """What is under way, how much is done, the time left, and the failures so far.

    On a terminal it is a bar; elsewhere it says nothing but the failures.

    Args:
        console: Where it is drawn.
        total: The number of orders.
    """

    def __init__(self, console: Console, total: int) -> None:
        self._bar = Progress(
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("[red]{task.fields[failed]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
            console=console,
            refresh_per_second=_DRAWS_PER_S,
            disable=not total,
        )
        self._task = self._bar.add_task("starting", total=total, failed="")
        self._n_failed = 0

    def __enter__(self) -> "RunProgress":
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def started(self, device: Device, order: Order) -> None:
        """Shows what a device has been sent."""
        self._bar.update(self._task, description=f"{device.name}: {_told(order)}")

    def finished(self, result: Result) -> None:
        """Counts a result."""
        if result.failure:
            self._n_failed += 1
            self._bar.update(self._task, failed=f"{self._n_failed} failed")
        self._bar.advance(self._task)


def _told(order: Order) -> str:
    if isinstance(order, Rest):
        return f"at rest before round {order.round + 1}"
    if isinstance(order, Measurement):
        model, what = order.trial.model, f"round {order.round + 1}, {order.trial.workload.name}"
    else:
        model, what = order.model, f"quality on {order.subject}"
    return f"{model.name} {model.quantization}, {what}"
