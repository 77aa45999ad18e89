"""The kernel's powercap files as a tree that a test drives, and what runs above it.

The tree is bind-mounted over /sys/class in a private mount namespace, so that the real pyRAPL
opens its own fixed paths and finds the tree there.
"""

import collections
import contextlib
import itertools
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from odllm_agent.clock import seconds_between
from odllm_agent.contract import Phase, to_json
from odllm_agent.meters import energies, open_meters, read

MODULE = "tests.odllm_agent.meters.powercap"
REPOSITORY = Path(__file__).parents[3]
MOUNTED = Path("/sys/class")
RANGE_UJ = 262_143_328_850
NOBODY = 65534
WRAP_AFTER_S = 0.5
CORE_SHARE, DRAM_SHARE, PSYS_SHARE = 0.6, 0.25, 1.5


def build(
    root: Path,
    packages: int = 1,
    range_uj: int = RANGE_UJ,
    *,
    inner: Sequence[str] = ("core", "dram"),
    psys: bool = True,
) -> Path:
    """A tree as the kernel shows it: packages with zones inside, and psys beside them."""
    for number in range(packages):
        _zone(counter(root, number).parent, f"package-{number}", range_uj)
        for part, name in enumerate(inner):
            _zone(counter(root, number, part).parent, name, range_uj)
    if psys:
        _zone(counter(root, packages).parent, "psys", range_uj)
    return root


def counter(root: Path, zone: int = 0, part: int | None = None) -> Path:
    """The energy counter of a zone, or of a part of it; psys comes after the packages."""
    directory = root / f"powercap/intel-rapl/intel-rapl:{zone}"
    if part is not None:
        directory /= f"intel-rapl:{zone}:{part}"
    return directory / "energy_uj"


def write_uj(path: Path, value_uj: float) -> None:
    """Sets a counter in place and in one write, so that no reader sees a part of it."""
    descriptor = os.open(path, os.O_WRONLY)
    os.pwrite(descriptor, f"{int(value_uj):015d}\n".encode(), 0)
    os.close(descriptor)


def above(
    tree: Path, *arguments: str, sockets: int = 1, cpus: Path | None = None
) -> dict[str, object]:
    """What one of the scenarios below answers that runs where the tree is the system's.

    Args:
        tree: The tree.
        arguments: The scenario, and what it takes.
        sockets: How many processors are to be sockets of their own.
        cpus: What the system is to tell of its processors, or `None` for what it does.
    """
    mounts = [] if cpus is None else [f"mount --bind '{cpus}' /sys/devices/system/cpu"]
    for socket in range(1, sockets):
        number = tree.with_name(f"socket-{socket}")
        number.write_text(f"{socket}\n")
        topology = f"/sys/devices/system/cpu/cpu{socket}/topology/physical_package_id"
        mounts.append(f"mount --bind '{number}' {topology}")
    mounts.append(f"mount --bind '{tree}' {MOUNTED}")
    shell = ["unshare", "-m", "sh", "-c", f'{" && ".join(mounts)} && exec "$@"', "sh"]
    done = subprocess.run(
        [*shell, sys.executable, "-W", "error", "-m", MODULE, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
    )
    # Not a word may reach the user's terminal: neither pyRAPL's remarks nor a warning.
    assert not done.stderr, done.stderr
    done.check_returncode()
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def report() -> dict[str, object]:
    """What the meter says of the tree."""
    return {"report": to_json(open_meters(("rapl",))[0].report())}


def report_to_nobody() -> dict[str, object]:
    """What the meter says to a user who may not read the counters."""
    report()  # the modules are loaded while they can be
    os.seteuid(NOBODY)
    return report()


def windows(*watts: str) -> dict[str, object]:
    """The mean power in five windows, through a wrap, while each package draws so much."""
    meters = open_meters(("rapl",))
    with subprocess.Popen(
        [sys.executable, "-m", MODULE, "drive", *watts], stdout=subprocess.PIPE
    ) as driver:
        assert driver.stdout is not None
        driver.stdout.readline()
        edges = []
        for _ in range(6):
            edges.append((int(counter(MOUNTED).read_text()), read(meters)))
            time.sleep(0.3)
        driver.kill()
    power_w = collections.defaultdict[str, list[float | str]](list)
    for (_, before), (_, after) in itertools.pairwise(edges):
        for energy in energies(Phase.DECODE, meters, before, after):
            ends = before[0][energy.domain].at_ns, after[0][energy.domain].at_ns
            told = energy.energy_j and energy.energy_j / seconds_between(*ends)
            power_w[energy.domain].append(told or energy.reason)
    return report() | {
        "power_w": power_w,
        "wraps": sum(after < before for (before, _), (after, _) in itertools.pairwise(edges)),
        "pandas": "pandas" in sys.modules,
        "handlers": len(logging.getLogger().handlers),
    }


def drive(*watts: str) -> None:
    """Advances each package's counters at its power, soon through a wrap, until killed.

    Cores, DRAM and the platform draw their shares of it.
    """
    # A turn that comes late is an error of the driver, not of the meter.
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    range_uj = int(counter(MOUNTED).with_name("max_energy_range_uj").read_text())
    drawn_w = {
        counter(MOUNTED, package): power_w for package, power_w in enumerate(map(float, watts))
    }
    for package, power_w in enumerate(map(float, watts)):
        for part, share in enumerate((CORE_SHARE, DRAM_SHARE)):
            drawn_w[counter(MOUNTED, package, part)] = share * power_w
    drawn_w[counter(MOUNTED, len(watts))] = PSYS_SHARE * sum(map(float, watts))
    start = time.monotonic()
    for turn in itertools.count():
        for path, power_w in drawn_w.items():
            moved_uj = power_w * 1e6 * (time.monotonic() - start - WRAP_AFTER_S)
            write_uj(path, moved_uj % range_uj)
        if turn == 0:
            print(flush=True)
        time.sleep(0.0005)


def scripted(steps: str) -> dict[str, object]:
    """The energies between the steps of a script, and from the first to the last.

    Args:
        steps: JSON: by step, what the counter of each zone (`0` or `0:1`) is set to, in
            micro-joules, or `null` to empty it; `wait_s` is waited first.
    """
    meters = open_meters(("rapl",))
    edges = []
    for step in json.loads(steps):
        time.sleep(step.pop("wait_s", 0.02))
        for zone, value_uj in step.items():
            path = counter(MOUNTED, *map(int, zone.split(":")))
            os.truncate(path, 0) if value_uj is None else write_uj(path, value_uj)
        edges.append(read(meters))
    pairs = [*itertools.pairwise(edges), (edges[0], edges[-1])]
    return {
        "windows": [
            [to_json(energy) for energy in energies(Phase.DECODE, meters, before, after)]
            for before, after in pairs
        ]
    }


def cost() -> dict[str, object]:
    """The median cost of one reading, in micro-seconds."""
    meters = open_meters(("rapl",))
    costs = []
    for _ in range(200):
        start = time.perf_counter_ns()
        read(meters)
        costs.append((time.perf_counter_ns() - start) / 1000)
    return {"median_us": sorted(costs)[100]}


def _zone(directory: Path, name: str, range_uj: int) -> None:
    directory.mkdir(parents=True)
    (directory / "name").write_text(f"{name}\n")
    (directory / "max_energy_range_uj").write_text(f"{range_uj}\n")
    (directory / "energy_uj").write_text("")
    write_uj(directory / "energy_uj", 1_234_567)
    (directory / "energy_uj").chmod(0o400)


SCENARIOS = {run.__name__: run for run in (report, report_to_nobody, windows, scripted, cost)}

if __name__ == "__main__":
    scenario, *arguments = sys.argv[1:]
    if scenario == "drive":
        drive(*arguments)
    print(json.dumps(SCENARIOS[scenario](*arguments)))
