"""`python -m benchmarks.fleet`: how much of a fleet one controller keeps up with.

Nothing is measured on the devices, which are simulated; everything else is what a real fleet has:
Ray's nodes with token authentication, planning, dispatch, acknowledgement and the store.

Exit status: 0 all limits met, 1 one is not, 2 wrong usage.
"""

import argparse
import contextlib
import itertools
import logging
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from hydra import compose, initialize_config_dir
from rich.console import Console

from odllm_agent.clock import monotonic_ns, seconds_since
from odllm_agent.contract import Device, Progress, Result
from odllm_agent.network.ray_environment import surround
from odllm_controller import store
from odllm_controller.backends import surroundings
from odllm_controller.experiment import config
from odllm_controller.experiment.config import Experiment
from odllm_controller.overrides.conf import FOLDER
from odllm_controller.run.device_activity import DeviceActivity
from odllm_controller.run.dispatch import Dispatch
from odllm_controller.run.record import recording
from odllm_controller.run.work import Participants
from odllm_controller.store.control import controlling

# Ray reads it when it is imported.
surround(surroundings.own())

import ray  # noqa: E402
from ray.cluster_utils import Cluster  # noqa: E402

from odllm_controller.backends.local import LocalFleet  # noqa: E402
from odllm_controller.backends.simulated import agents  # noqa: E402

MOST_GROWTH = 1.2
MOST_GAP_S = 0.05

_FEW = 1_000
_KINDS = ("Q8_0", "Q5_K_M", "Q5_0", "Q4_K_M", "Q4_0", "Q3_K_M", "Q2_K", "F16")
_NODE: dict[str, Any] = {
    "num_cpus": 1,
    "object_store_memory": 80 * 2**20,
    "include_dashboard": False,
}
_MB = 1e6
_MS = 1e3


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything is tried.

    Attributes:
        nodes: Ray nodes on this machine.
        devices: Simulated devices.
        actors: Processes that they share.
        results: Results in all, the same number from each device.
    """

    nodes: int
    devices: int
    actors: int
    results: int

    @property
    def trials(self) -> int:
        """The trials of each device."""
        return max(1, self.results // self.devices)


@dataclass(frozen=True, slots=True)
class Mark:
    """Where the controller stood when so many results had been stored and acknowledged.

    Attributes:
        results: So many.
        at_s: Since it began.
        cpu_s: The CPU seconds of its process.
        rss_bytes: The resident set of its process.
    """

    results: int
    at_s: float
    cpu_s: float
    rss_bytes: int


@dataclass(slots=True)
class Tape:
    """The display of a run: it shows nothing, and keeps where the controller stood.

    Attributes:
        every: Results between two marks.
        marks: The first at the start, before anything was planned.
    """

    every: int
    marks: list[Mark] = field(default_factory=list)
    _n: int = 0
    _start_ns: int = field(default_factory=monotonic_ns)

    def __post_init__(self) -> None:
        self._mark()

    def started(self, device: Device, what: str) -> None:
        """Shows nothing."""

    def said(self, device: Device, line: str) -> None:
        """Shows nothing."""

    def planned(self, device: Device, left: int) -> None:
        """Shows nothing."""

    def status(self, device: Device, status: DeviceActivity) -> None:
        """Shows nothing."""

    def moved(self, device: Device, progress: Progress) -> None:
        """Shows nothing."""

    def store_held(self, told: str) -> None:
        """Shows nothing."""

    def finished(self, device: Device, result: Result, left: int) -> None:  # noqa: ARG002
        """Counts a result."""
        self._n += 1
        if self._n == 1 or self._n % self.every == 0:
            self._mark()

    def _mark(self) -> None:
        process = psutil.Process()
        times = process.cpu_times()
        self.marks.append(
            Mark(
                results=self._n,
                at_s=seconds_since(self._start_ns),
                cpu_s=times.user + times.system,
                rss_bytes=process.memory_info().rss,
            )
        )


@dataclass(frozen=True, slots=True)
class Stretch:
    """What results cost between two marks."""

    wall_ms: float
    cpu_ms: float
    rss_bytes: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark and prints what it found.

    Returns:
        The exit status.
    """
    size = _size(arguments)
    out = Console(highlight=False, soft_wrap=True)
    unmet: list[str] = []

    def told(what: str, figure: str, wanted: str = "", *, met: bool = True) -> None:
        out.print(f"{what}: {figure}" + (f" (wanted: {wanted})" if wanted else ""))
        if not met:
            unmet.append(f"{what}: {figure}, wanted {wanted}")

    with tempfile.TemporaryDirectory(prefix="odllm-bench-") as folder:
        _load(size, Path(folder, "fleet.duckdb"), told)
        with nodes(1):
            _gap(size, Path(folder, "gap.duckdb"), told)
    for line in unmet:
        out.print(f"not met: {line}", style="bold red")
    return int(bool(unmet))


Told = Callable[..., None]


def _load(size: Size, path: Path, told: Told) -> None:
    start = monotonic_ns()
    with nodes(size.nodes):
        up_s = seconds_since(start)
        told("fleet", f"{size.nodes} Ray nodes up in {up_s:.1f} s")
        start = monotonic_ns()
        fleet = LocalFleet(agents(size.devices, size.actors))
        told(
            "devices", f"{size.devices} in {size.actors} processes in {seconds_since(start):.1f} s"
        )
        tape = run(experiment(size.devices, size.actors, size.trials, path), fleet, size)
    first, last = tape.marks[1], tape.marks[-1]
    # Towards the very end fewer and fewer devices have work, and so less comes in at once.
    few, many = stretch(tape.marks, _FEW), stretch(tape.marks, last.results * 9 // 10)
    told("from fleet up to the first result", f"{first.at_s:.1f} s, {size.devices} devices planned")
    per_s = (last.results - first.results) / (last.at_s - first.at_s)
    told("end to end", f"{last.results:,} results in {last.at_s:.0f} s, then {per_s:,.0f} per s")
    end = last.results * 9 // 10
    _told_growth(told, "wall time per result", few.wall_ms, many.wall_ms, f"ms after {end:,}")
    _told_growth(told, "CPU time per result", few.cpu_ms, many.cpu_ms, f"ms after {end:,}")
    few_mb, many_mb = few.rss_bytes / _MB, many.rss_bytes / _MB
    _told_growth(told, "the controller's memory", few_mb, many_mb, f"MB after {end:,}")
    told("the store", f"{path.stat().st_size / last.results:,.0f} bytes per result")


def _told_growth(told: Told, what: str, few: float, many: float, at: str) -> None:
    ratio = many / few
    told(
        what,
        f"{few:.2f} after {_FEW:,} results, {many:.2f} {at}, ratio {ratio:.2f}",
        f"at most {MOST_GROWTH}",
        met=ratio <= MOST_GROWTH,
    )


def _gap(size: Size, path: Path, told: Told) -> None:
    trials = min(200, size.trials)
    run(experiment(1, 1, trials, path), LocalFleet(agents(1, 1)), size)
    found = gaps_s(path)
    gap_s = statistics.median(found)
    told(
        "dispatch gap between two trials of one device",
        f"median {_MS * gap_s:.0f} ms of {len(found)}, longest {_MS * max(found):.0f} ms",
        f"at most {_MS * MOST_GAP_S:.0f} ms",
        met=gap_s <= MOST_GAP_S,
    )


@contextlib.contextmanager
def nodes(count: int) -> Iterator[Cluster]:
    """So many Ray nodes on this machine, which this process drives as long as the context lasts."""
    cluster = Cluster(initialize_head=True, connect=False, head_node_args=dict(_NODE))
    try:
        for _ in range(count - 1):
            cluster.add_node(**_NODE)
        ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR)
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()  # type: ignore[no-untyped-call]  # Ray's types lack it


def experiment(devices: int, actors: int, trials: int, path: Path) -> Experiment:
    """An experiment of so many trials on every device, each in one round of two repeats."""
    kinds = _KINDS[: min(len(_KINDS), trials)]
    lengths = [16 * n for n in range(1, trials // len(kinds) + 1)]
    with initialize_config_dir(str(FOLDER), version_base="1.3"):
        composed = compose(
            "config",
            [
                "+experiment=simulated",
                f"fleet.devices={devices}",
                f"fleet.actors={actors}",
                f"store.path={path}",
                "rounds=1",
                "ceilings=never",
                "power.idle_s=0",
                "repeats.at_least=2",
                "repeats.at_most=2",
                f"quantizations=[{','.join(kinds)}]",
                f"workloads.short.prompt_tokens={lengths}",
            ],
        )
    return config.experiment(composed)


def run(asked: Experiment, fleet: LocalFleet, size: Size) -> Tape:
    """Runs an experiment as the controller does, and keeps where it stood meanwhile."""
    tape = Tape(every=min(_FEW // 2, max(1, size.results // 10)))
    with controlling(asked.store.path) as opened, recording(opened, asked) as recorder:
        participants = Participants(asked, opened, recorder, tape)
        Dispatch(fleet, participants.work, recorder, tape, asked.fleet.grace_s).run()
    return tape


def stretch(marks: Sequence[Mark], results: int) -> Stretch:
    """What results cost in the two marks after so many, or in the last two, and the memory there.

    The first two marks are left out: until the first result everything is planned.
    """
    candidates = range(2, len(marks) - 2)
    start = min(candidates, key=lambda n: abs(marks[n].results - results))
    before, after = marks[start], marks[start + 2]
    n = after.results - before.results
    return Stretch(
        wall_ms=_MS * (after.at_s - before.at_s) / n,
        cpu_ms=_MS * (after.cpu_s - before.cpu_s) / n,
        rss_bytes=after.rss_bytes,
    )


def gaps_s(path: Path) -> list[float]:
    """The times between two rounds of the one device of a store; the formula itself takes none."""
    starts = store.read(path, "SELECT epoch(started_at) AS at_s FROM rounds ORDER BY started_at")
    return [after - before for before, after in itertools.pairwise(starts["at_s"])]


def _size(arguments: Sequence[str] | None) -> Size:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fleet",
        description="Tells how many results of how many devices one controller keeps up with.",
        epilog="example: python -m benchmarks.fleet --nodes 2 --devices 20 --results 2000",
    )
    parser.add_argument("--nodes", type=int, default=20, help="Ray nodes on this machine (20)")
    parser.add_argument("--devices", type=int, default=500, help="simulated devices (500)")
    parser.add_argument("--actors", type=int, default=4, help="processes that they share (4)")
    parser.add_argument("--results", type=int, default=100_000, help="in all (100000)")
    known = parser.parse_args(arguments)
    return Size(known.nodes, known.devices, known.actors, known.results)


if __name__ == "__main__":
    sys.exit(main())
