"""`python -m benchmarks.idle_agent`: what a laptop pays for being in a fleet while nobody asks it.

The laptop is a virtual one, joined as a real one is: `odllm-agent join`, its Ray node, its agent.

Exit status: 0 the limit is met, 1 it is not, 2 wrong usage.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil
from rich.console import Console

from odllm_agent.clock import monotonic_ns, seconds_since
from odllm_controller.backends import agents_of, opened
from odllm_controller.experiment.config import FleetConfig, LimitsConfig

MOST_CORES = 0.01

_SETTLING_S = 10.0
_JOIN = ["-m", "odllm_agent", "join"]
_MB = 1e6
_ONE = FleetConfig(kind="virtual", devices=1, grace_s=60.0, limits=LimitsConfig())


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process takes at rest.

    Attributes:
        name: What it is.
        cores: CPU seconds per second.
        memory_bytes: Its memory that no other process shares.
    """

    name: str
    cores: float
    memory_bytes: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Watches an idle agent and prints what it takes.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.idle_agent",
        description="Tells what an idle agent and its Ray node take.",
        epilog="example: python -m benchmarks.idle_agent --idle-s 20",
    )
    parser.add_argument("--idle-s", type=float, default=60.0, help="seconds of rest (60)")
    idle_s: float = parser.parse_args(arguments).idle_s
    with opened(_ONE, ()) as fleet:
        agents_of(fleet)
        costs = watch(_laptop(), idle_s)
    cores = sum(cost.cores for cost in costs)
    out = Console(highlight=False, soft_wrap=True)
    for cost in costs:
        out.print(f"{cost.name}: {100 * cost.cores:.2f} %, {cost.memory_bytes / _MB:.0f} MB")
    out.print(
        f"an idle agent with Ray: {100 * cores:.2f} % of one core over {idle_s:.0f} s, "
        f"{sum(cost.memory_bytes for cost in costs) / _MB:,.0f} MB of its own "
        f"in {len(costs)} processes (wanted: under {100 * MOST_CORES:g} %)"
    )
    return int(cores >= MOST_CORES)


def watch(processes: Sequence[psutil.Process], watched_s: float) -> list[Cost]:
    """What processes take over a time, the most first."""
    # What Ray does once after a start is not what an idle laptop pays.
    time.sleep(min(_SETTLING_S, watched_s))
    before_s, start = [_cpu_s(each) for each in processes], monotonic_ns()
    time.sleep(watched_s)
    wall_s = seconds_since(start)
    found = [
        Cost(_name(each), (_cpu_s(each) - was_s) / wall_s, each.memory_full_info().uss)
        for each, was_s in zip(processes, before_s, strict=True)
    ]
    return sorted(found, key=lambda cost: -cost.cores)


def _laptop() -> list[psutil.Process]:
    """`odllm-agent join` with all that it started."""
    children = psutil.Process().children(recursive=True)
    join = next(each for each in children if each.cmdline()[1:4] == _JOIN)
    return [join, *join.children(recursive=True)]


def _name(process: psutil.Process) -> str:
    """What a process is called; of Python the module that it runs."""
    words = process.cmdline()
    module = words[words.index("-m") + 1] if "-m" in words else ""
    return module or words[0].rpartition("/")[2].strip()


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


if __name__ == "__main__":
    sys.exit(main())
