"""What a device does while nothing is measured on it, and what the agent and Ray take of it."""

import re
import time
from collections.abc import Mapping, Sequence

import psutil

from odllm_agent import meters
from odllm_agent.clock import monotonic_ns, now, seconds_since
from odllm_agent.contract import Baseline, Phase, Rest
from odllm_agent.host import state
from odllm_agent.meters.sampler import Sampler

# Long enough for CPU times, which are counted in hundredths of a second.
SHORT_S = 1.0

_RAYLET = "raylet"
# The folder that every process of one Ray is told of, such as `session_2026-11-01_12-00-00_1_42`.
_SESSION = re.compile(r"session_\d{4}-\d{2}-\d{2}_[\d_-]+")


def watch(order: Rest) -> Baseline:
    """Watches this device for as long as the order says, or for a second where nothing measures.

    Args:
        order: What to read, and for how long.

    Raises:
        UsageError: There is no power meter of such a name.
    """
    opened = meters.open_meters(order.meters)
    idle_s = order.idle_s if meters.measuring(opened) else min(order.idle_s, SHORT_S)
    own = own_processes()
    with Sampler(opened) as sampler:
        started_at, start = now(), monotonic_ns()
        own_s, busy_s = cpu_s(own), state.busy_s()
        sampler.begin()
        time.sleep(idle_s)
        window, wall_s = sampler.cut(), seconds_since(start)
    own_cores, unique_bytes = _share(own_s, cpu_s(own), wall_s), own_bytes(own)
    told = own_cores is not None and unique_bytes is not None
    return Baseline(
        device_id=order.device_id,
        round=order.round,
        started_at=started_at,
        wall_s=wall_s,
        own_cores=own_cores,
        own_bytes=unique_bytes,
        busy_cores=(state.busy_s() - busy_s) / wall_s,
        reason="" if told else "this user may not look into all processes of the agent",
        energy=meters.energies(Phase.IDLE, opened, *window),
    )


def own_processes() -> tuple[psutil.Process, ...]:
    """This process and, if Ray started it, all of Ray's on this device.

    The controller is none of them, even where it runs here.
    """
    own = psutil.Process()
    raylet = next((each for each in own.parents() if each.name().startswith(_RAYLET)), None)
    if raylet is None:
        return (own,)
    session = session_of(raylet.cmdline())
    named = [each for each in psutil.process_iter() if session and session == _session(each)]
    return tuple({each.pid: each for each in (own, raylet, *_descendants(raylet), *named)}.values())


def session_of(command: Sequence[str]) -> str | None:
    """The name of the Ray session in a command line, or `None`."""
    found = _SESSION.search(" ".join(command))
    return found[0] if found else None


def cpu_s(processes: Sequence[psutil.Process]) -> Mapping[int, float]:
    """The CPU seconds of each process so far, by its number; those that ended are left out."""
    found = {}
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        found[process.pid] = times.user + times.system
    return found


def own_bytes(processes: Sequence[psutil.Process]) -> int | None:
    """The memory that processes share with nobody, or `None` where one does not let it be read."""
    total = 0
    for process in processes:
        try:
            total += process.memory_full_info().uss
        except psutil.NoSuchProcess:
            continue
        except psutil.AccessDenied:
            return None
    return total


def _share(
    before_s: Mapping[int, float], after_s: Mapping[int, float], wall_s: float
) -> float | None:
    """The cores that processes kept busy, or `None` where none let its time be read."""
    both = before_s.keys() & after_s.keys()
    return sum(after_s[pid] - before_s[pid] for pid in both) / wall_s if both else None


def _session(process: psutil.Process) -> str | None:
    try:
        return session_of(process.cmdline())
    except psutil.Error:
        return None


def _descendants(process: psutil.Process) -> Sequence[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return ()
