"""Machines with spoilt sensors, read by the agent and by a reader of its own.

`python -m tests.fuzz.sensors` reads 2,000 of them.
"""

import argparse
import math
import random
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from odllm_agent.host import linux
from odllm_agent.host.linux import Sensors
from odllm_agent.meters import hwmon
from odllm_agent.meters.base import Meter
from odllm_agent.meters.battery import meter as battery
from odllm_agent.meters.energy import counter, integral
from odllm_agent.meters.rapl import meter as rapl
from odllm_agent.meters.rapl import pyrapl
from odllm_agent.meters.request import Request
from tests.fuzz.sysfs_reader import ANYTHING, Reader, number
from tests.fuzz.sysfs_tree import POWERCAP, Tree, grow
from tests.odllm_agent.meters.hand_clock import HandClock

MACHINES = 2000
_LONGEST_S = 10
# Little enough for the moment between two readings.
_STEP_UJ = 250_000

Check = Callable[[Tree, Reader], Iterator[str]]


def misread(seed: int, machines: int = MACHINES) -> list[str]:
    """Prints how machines with spoilt sensors were read, and returns what was read wrongly."""
    ways: Counter[str] = Counter()
    found = []
    with tempfile.TemporaryDirectory(prefix="odllm-sensors-") as folder:
        for each in range(machines):
            tree, wrong = read_one(seed, each, Path(folder) / "machine")
            ways.update(tree.spoilt.values())
            found += [f"machine {each} of seed {seed}: {told}" for told in wrong]
    spoilt = ", ".join(f"{way} {times:,}" for way, times in ways.most_common())
    print(f"\n{machines:,} machines with sensors; spoilt: {spoilt}\n{len(found)} read wrongly")
    for line in found:
        print(line, flush=True)
    return found


def read_one(seed: int, which: int, root: Path) -> tuple[Tree, list[str]]:
    """One machine, and what of it is read wrongly.

    Args:
        seed: What all machines follow from.
        which: The number of this one.
        root: Where its files are to be, meanwhile.
    """
    tree = grow(root, random.Random(f"{seed}/{which}"))
    with _taken_for_this_machine(root), _bounded():
        reader = Reader(tree)
        wrong = [told for check in CHECKS for told in _outcome(check, tree, reader)]
    shutil.rmtree(root)
    return tree, wrong


def _outcome(check: Check, tree: Tree, reader: Reader) -> Iterable[str]:
    try:
        return list(check(tree, reader))
    except Exception:  # noqa: BLE001 - what is looked for
        return [f"{check.__name__}: {traceback.format_exc()}"]


def _state(tree: Tree, reader: Reader) -> Iterator[str]:
    sensors = Sensors.find(tree.root)
    figures = {
        "on_battery": (sensors.on_battery(), reader.on_battery()),
        "percent": (sensors.battery_percent(), reader.percent()),
        "temperature": (sensors.temperature_c(), reader.temperature_c()),
        "frequencies": (sorted(sensors.frequencies_hz()), reader.frequencies_hz()),
        "throttled": (sensors.throttle_count(), reader.throttle_count()),
    }
    for name, (told, expected) in figures.items():
        if expected is not ANYTHING and told != expected:
            yield f"{name}: {told} is told and {expected} is right"


def _processors(tree: Tree, reader: Reader) -> Iterator[str]:
    cpus = range(64)
    types = linux.core_types(tree.root)
    for capacity, name in ((1024, "performance"), (512, "efficiency")):
        for cpu in types.get(name, ()):
            if tree.files.get(f"sys/devices/system/cpu/cpu{cpu}/cpu_capacity") != capacity:
                yield f"cpu{cpu} is told as {name}"
    siblings = {value for path, value in tree.files.items() if "thread_siblings" in path}
    if linux.physical_cores(cpus, tree.root) > len(siblings):
        yield "more cores are told than there are"
    linux.online_cpus(tree.root), linux.present_cpus(tree.root)


def _battery(tree: Tree, reader: Reader) -> Iterator[str]:
    report = battery.open_meter(Request.parse("battery")).report()
    expected_w = reader.power_w()
    try:
        told_w: object = battery.Batteries(Sensors.find(tree.root)).power_w()
    except LookupError as error:
        told_w = None
        if not str(error):
            yield "a battery gives no reason"
    if isinstance(told_w, float) and not math.isclose(told_w, reader.true_power_w(), rel_tol=1e-3):
        yield f"{told_w} W are told and {reader.true_power_w()} W are true"
    if isinstance(expected_w, float) and not (told_w and report.domains):
        yield f"{expected_w} W are not told: {report.reason}"
    if not report.domains and not report.reason:
        yield "the battery's meter gives no reason"


def _rapl(tree: Tree, reader: Reader) -> Iterator[str]:
    meter = rapl.open_meter(Request.parse("rapl"))
    zones = reader.zones() if (tree.root / POWERCAP).is_dir() else {}
    before = meter.read()
    for path in {path for paths in zones.values() for path in paths}:
        path.write_text(f"{(number(path) or 0) + _STEP_UJ}\n")
    after = meter.read()
    for domain, reading in after.items():
        start_j, paths = before[domain].energy_j, zones.get(domain, ())
        if paths:
            moved_j = (reading.energy_j or 0.0) - (start_j or 0.0)
            if reading.energy_j is None or not math.isclose(moved_j, len(paths) / 4, rel_tol=1e-6):
                yield f"{domain} moved by {moved_j} J: {reading.reason}{reading.fault}"
        elif reading.energy_j is not None:
            yield f"{domain} is told, and some of it cannot be read"
        elif not reading.reason:
            yield f"{domain} gives no reason"
    yield from (f"{domain} is not told at all" for domain in zones.keys() - after.keys())
    yield from _reasons(meter)


def _graphics(tree: Tree, reader: Reader) -> Iterator[str]:
    meter = hwmon.open_meter(Request.parse("hwmon"))
    report, chips = meter.report(), reader.chips()
    if bool(chips) != (report.domains == ("gpu",)):
        yield f"{len(chips)} chips can be read, and {report.domains} is told"
    lost = {each.domain.removeprefix("gpu of ") for each in report.missing}
    if chips and lost & {chip.name for chip in chips}:
        yield f"a chip that can be read is not told: {report.missing}"
    yield from _reasons(meter)


def _reasons(meter: Meter) -> Iterator[str]:
    for each in meter.report().missing:
        if not each.reason:
            yield f"{each.domain} gives no reason"


CHECKS: tuple[Check, ...] = (_state, _processors, _battery, _rapl, _graphics)


@contextmanager
def _taken_for_this_machine(root: Path) -> Iterator[None]:
    def no_pyrapl(name: str, files: object) -> pyrapl.Counters:
        raise LookupError("pyRAPL reads the real machine")

    with (
        mock.patch.object(battery, "ROOT", root),
        mock.patch.object(rapl, "ROOT", root),
        mock.patch.object(rapl, "POWERCAP", root / POWERCAP),
        mock.patch.object(hwmon, "HWMON", root / "sys/class/hwmon"),
        mock.patch.object(pyrapl, "counters", no_pyrapl),
        # Threads that go on reading would read the next machine.
        mock.patch.object(integral, "_keep_reading"),
        mock.patch.object(counter, "monotonic_ns", HandClock()),
        mock.patch.object(integral, "monotonic_ns", HandClock()),
    ):
        yield


@contextmanager
def _bounded() -> Iterator[None]:
    """Ends what computes for too long."""

    def late(signum: int, frame: object) -> None:
        raise TimeoutError(f"it takes more than {_LONGEST_S} s of a processor")

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, _LONGEST_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def main() -> int:
    """Reads machines and prints what came of it.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.sensors", description=__doc__)
    parser.add_argument("--machines", type=int, default=MACHINES)
    parser.add_argument("--seed", type=int, help="another one every time unless told")
    options = parser.parse_args()
    seed = random.randrange(10**6) if options.seed is None else options.seed
    return 1 if misread(seed, options.machines) else 0


if __name__ == "__main__":
    sys.exit(main())
