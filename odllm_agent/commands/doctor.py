"""`odllm-agent doctor`: what this device can measure, and what stands in the way now."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Annotated

from odllm_agent.commands import DONE, FAULT
from odllm_agent.contract import Device, to_json
from odllm_agent.doctor import capabilities, checks, device
from odllm_agent.doctor.capabilities import Ability
from odllm_agent.doctor.checks import Finding
from odllm_agent.files.small_files import read_text
from odllm_agent.host import linux
from odllm_agent.host.idle import look
from odllm_agent.meters.memory import held_memory
from odllm_agent.terminal.program import AsJson, exclusive, program

_EXAMPLES = """\
examples:
  odllm-agent doctor                      what can be measured here, and what would disturb it now
  odllm-agent doctor --json               the same for a script
  odllm-agent doctor --udev | sudo tee /etc/udev/rules.d/70-odllm-rapl.rules
  sudo udevadm control --reload && sudo udevadm trigger --subsystem-match=powercap
                                          lets every user read the energy counters, for good

It watches the device for a second; leave it alone meanwhile, as for a measurement.
Exit status: 0 done, 1 something is missing without which nothing can be measured.
"""
_UDEV_RULES = """\
# Lets every user of this machine read the energy counters of its processor. Their steps can give
# secrets of other processes away (CVE-2020-8694): use it on a machine that you share with nobody.
SUBSYSTEM=="powercap", KERNEL=="intel-rapl:*", RUN+="/bin/sh -c 'chmod a+r /sys%p/*energy*_uj'"
"""
_GAP = "  "
_ARROW = "-> "

Line = tuple[str, ...]

app = program("doctor", examples=_EXAMPLES)
_answer = exclusive()


@dataclass(frozen=True, slots=True)
class Checkup:
    """A device, what it lets be measured, and what stands in the way."""

    device: Device
    abilities: tuple[Ability, ...]
    findings: tuple[Finding, ...]


@app.default
def doctor(
    *, as_json: Annotated[AsJson, _answer] = False, udev: Annotated[bool, _answer] = False
) -> int:
    """Tell what this device can measure, and what would disturb a measurement now.

    What it cannot measure is told with how to allow it.

    Args:
        as_json: answer as JSON
        udev: print the udev rules that open the energy counters
    """
    if udev:
        print(_UDEV_RULES, end="")
        return DONE
    seen = look()
    virtual = linux.is_virtual(read_text(Path("/proc/cpuinfo")) or "")
    here = device.describe()
    found = Checkup(
        here,
        capabilities.of_this_device(seen.after, held_memory(Path()), virtual),
        checks.of_this_device(seen, virtual),
    )
    if as_json:
        print(to_json(found))
    else:
        _print(found)
    return FAULT if checks.missing(found.findings) else DONE


def _print(found: Checkup) -> None:
    here = found.device
    cores = f"{here.physical_cores} cores, {here.logical_cores} hardware threads"
    types = "".join(f", {count} {name}" for name, count in here.core_types.items())
    print(f"{here.name}: {here.cpu}, {cores}{types}, {here.ram_bytes / 1e9:.1f} GB")
    print(f"{here.system}, Python {here.python_version}, odllm {here.odllm_version}")
    print()
    _print_table(("can measure", "through", "method", "resolution"), _ability_lines(found))
    print()
    if here.builds:
        _print_table(("engine build", "code path", "outcome", "types"), _build_lines(here))
        print()
    _print_table(("now", "", ""), _finding_lines(found))


def _ability_lines(found: Checkup) -> Iterator[Line]:
    # What has the same remedy tells it once.
    for remedy, alike in groupby(found.abilities, lambda each: each.remedy):
        for each in alike:
            yield each.quantity, each.source, each.method, each.resolution or each.reason
        if remedy:
            yield "", "", "", _ARROW + remedy


def _build_lines(here: Device) -> Iterator[Line]:
    """What came of trying each engine's build, the types of one outcome in a line."""
    for engine, build in here.builds.items():
        alike: dict[tuple[str, str], list[str]] = {}
        for test in build.tests:
            alike.setdefault((test.path, test.told), []).append(test.type)
        for (path, told), types in alike.items():
            yield engine, path, told, " ".join(types)


def _finding_lines(found: Checkup) -> Iterator[Line]:
    for each in found.findings:
        yield each.subject, each.verdict, each.told
        if each.remedy:
            yield "", "", _ARROW + each.remedy


def _print_table(headings: Line, lines: Iterator[Line]) -> None:
    rows: Sequence[Line] = [headings, *lines]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print(_GAP.join(cells).rstrip())
