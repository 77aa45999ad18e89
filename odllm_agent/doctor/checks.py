"""What stands in the way of a measurement on this device now."""

import contextlib
import ctypes
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import psutil

import odllm_agent
from odllm_agent import clock
from odllm_agent.builds import Builds, builds
from odllm_agent.contract import DeviceState, EngineBuild
from odllm_agent.engines import fallback
from odllm_agent.files import folders
from odllm_agent.host import state
from odllm_agent.host.control_groups import Quota
from odllm_agent.host.idle import Look

# A half-billion model at F16 takes 1.0 GB and its worker half as much again.
LITTLE_MEMORY_BYTES = 2 * 10**9
# The same model at all eight types takes 3.8 GB.
LITTLE_DISK_BYTES = 5 * 10**9
# Profiles and preferences by the kernel's names that hold the processor back.
_SAVING = frozenset({"low-power", "quiet", "cool", "power", "balance_power"})
# What adjtimex answers where no time server keeps the clock (man 2 adjtimex), and the size of the
# structure that it fills.
_TIME_ERROR, _TIMEX_BYTES = 5, 208


class Severity(StrEnum):
    """What a finding means for a measurement."""

    FINE = "fine"
    NOTE = "note"
    DISTURBS = "disturbs"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: What it is.
        verdict: What it means for a measurement.
        told: What was found.
        remedy: What to do about it, or `""`.
    """

    subject: str
    verdict: Severity
    told: str
    remedy: str = ""


def of_this_device(seen: Look, virtual: bool) -> tuple[Finding, ...]:
    """Everything that was looked at.

    Args:
        seen: The device watched for a moment.
        virtual: Whether a hypervisor runs the device.
    """
    root = folders.cache_root()
    installed_at = datetime.fromtimestamp(Path(odllm_agent.__file__).stat().st_mtime, UTC)
    return (
        *of_engines(builds()),
        of_cache(root),
        of_disk(root, _free_bytes(root)),
        of_memory(seen.after.available_bytes),
        of_swap(seen, psutil.swap_memory().used),
        of_load(seen),
        of_quota(seen, state.quota(), state.logical_cores()),
        *of_affinity(state.logical_cores(), state.online_cpus()),
        *of_offline(state.online_cpus(), state.present_cpus()),
        of_supply(seen.after),
        of_profile(seen.after),
        of_heat(seen),
        of_clock(clock.now(), installed_at, _is_kept_by_a_server()),
        *of_hypervisor(virtual),
    )


def of_engines(here: Builds) -> Iterator[Finding]:
    """Which engines there are, and what of their builds works; without any nothing is measured.

    Args:
        here: The engines of this machine.
    """
    for name, found in here.present.items():
        yield Finding(name, Severity.FINE, f"{found.version}, build {found.build.id}")
        yield from _of_build(name, found.build)
    verdict = Severity.NOTE if here.present else Severity.MISSING
    for name, error in here.absent.items():
        yield Finding(name, verdict, error.message, error.remedy)


def _of_build(name: str, build: EngineBuild) -> Iterator[Finding]:
    if build.untested:
        yield Finding(f"{name} build", Severity.NOTE, build.untested)
    elif not build.faults:
        told = f"all {len(build.tests)} types and code paths that were tried compute rightly"
        yield Finding(f"{name} build", Severity.FINE, told)
    wrong: dict[str, list[str]] = {}
    for fault in build.faults:
        wrong.setdefault(f"the {fault.path} path {fault.told}", []).append(fault.type)
    for told, types in wrong.items():
        stuck = [each for each in types if not build.works(each)]
        taken = f"; nothing runs {', '.join(stuck)}" if stuck else "; another path is taken"
        types_told = f"{told} with {', '.join(types)}{taken}"
        yield Finding(f"{name} build", Severity.NOTE, types_told, fallback.REMEDIES[name])
    for line in build.passed_over:
        yield Finding(f"{name} build", Severity.NOTE, f"not used: {line}", fallback.REMEDIES[name])


def of_cache(root: Path) -> Finding:
    """Whether the model cache can be written to, found by writing to it."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            return Finding("model cache", Severity.FINE, str(root))
    except OSError as error:
        return Finding(
            "model cache",
            Severity.MISSING,
            f"{root} cannot be written: {error.strerror}",
            f"set {folders.ROOT_VARIABLE} to a folder that can be written to",
        )


def of_disk(root: Path, free_bytes: int) -> Finding:
    """Whether there is room for models."""
    told = f"{free_bytes / 1e9:,.1f} GB are free in {root}"
    if free_bytes >= LITTLE_DISK_BYTES:
        return Finding("disk", Severity.FINE, told)
    return Finding(
        "disk",
        Severity.NOTE,
        told,
        f"free some, or set {folders.ROOT_VARIABLE} to a folder on a larger disk",
    )


def of_memory(available_bytes: int) -> Finding:
    """Whether there is memory for a model."""
    told = f"{available_bytes / 1e9:,.1f} GB can be had without swapping"
    if available_bytes >= LITTLE_MEMORY_BYTES:
        return Finding("memory", Severity.FINE, told)
    return Finding("memory", Severity.DISTURBS, told, "close what holds much of it")


def of_swap(seen: Look, used_bytes: int) -> Finding:
    """Whether memory is short already."""
    told = f"{used_bytes / 1e9:,.2f} GB are in use"
    if "swapped" in seen.flags:
        told += ", and pages go in and out"
    elif used_bytes > seen.after.available_bytes:
        told += ", more than what is free in memory"
    else:
        return Finding("swap", Severity.FINE, told)
    return Finding("swap", Severity.DISTURBS, told, "close what holds much memory")


def of_load(seen: Look) -> Finding:
    """Whether other processes take so much that every repeat would be flagged `busy`."""
    names = ", ".join(f"{name} {cores:.2f}" for name, cores in seen.busiest)
    told = f"others keep {seen.others_cores:.2f} of {seen.cores} hardware threads busy"
    told = f"{told}: {names}" if names else told
    if "busy" in seen.flags:
        return Finding("load", Severity.DISTURBS, told, "end them, or wait until they have ended")
    return Finding("load", Severity.FINE, told)


def of_quota(seen: Look, quota: Quota | None, logical_cores: int) -> Finding:
    """Whether a control group stops the engine when it has had its share of the processor.

    Args:
        seen: The device watched for a moment.
        quota: What the control groups leave to this process, if they limit it.
        logical_cores: The hardware threads that this process may use.
    """
    if quota is None:
        return Finding("quota", Severity.FINE, "no control group limits the processor time")
    told = f"{quota.cores:.3g} of {logical_cores} hardware threads' time, by {quota.group}"
    if quota.cores >= logical_cores and "throttled_by_quota" not in seen.flags:
        return Finding("quota", Severity.FINE, told)
    now = ", used up already" if "throttled_by_quota" in seen.flags else ""
    return Finding(
        "quota",
        Severity.DISTURBS,
        f"{told}{now}: once it is used up, everything in it is stopped till the next period; "
        "threads=auto is the whole cores of it, at least 1",
        "give it more (docker run --cpus, systemd's CPUQuota=), or measure outside of it",
    )


def of_affinity(logical_cores: int, online_cpus: int | None) -> Iterator[Finding]:
    """Whether this process may use all hardware threads that are switched on.

    Args:
        logical_cores: Those that it may use.
        online_cpus: Those that are switched on, where the system tells.
    """
    if online_cpus is None:
        return
    told = f"{logical_cores} of {online_cpus} hardware threads may be used"
    if logical_cores >= online_cpus:
        yield Finding("affinity", Severity.FINE, told)
        return
    yield Finding(
        "affinity",
        Severity.NOTE,
        f"{told}: this is measured as a smaller device",
        "allow all (taskset, docker run --cpuset-cpus, systemd's AllowedCPUs=)",
    )


def of_offline(online_cpus: int | None, present_cpus: int | None) -> Iterator[Finding]:
    """Whether hardware threads are switched off.

    Args:
        online_cpus: Those that are switched on, where the system tells.
        present_cpus: Those that there are, where the system tells.
    """
    if online_cpus is None or present_cpus is None:
        return
    offline = present_cpus - online_cpus
    if offline <= 0:
        yield Finding("offline", Severity.FINE, f"all {present_cpus} hardware threads are on")
        return
    yield Finding(
        "offline",
        Severity.NOTE,
        f"{offline} of {present_cpus} hardware threads are off: nothing runs on them",
        "echo 1 | sudo tee /sys/devices/system/cpu/cpu*/online, "
        "or echo on | sudo tee /sys/devices/system/cpu/smt/control",
    )


def of_supply(now: DeviceState) -> Finding:
    """Whether the device runs on its battery."""
    charge = "" if now.battery_percent is None else f" at {now.battery_percent:.0f} %"
    if now.on_battery is None and not charge:
        return Finding("supply", Severity.FINE, "no battery that tells anything")
    if now.on_battery is None:
        told = f"a battery{charge} does not tell whether it feeds the device"
        return Finding("supply", Severity.NOTE, told)
    if now.on_battery:
        return Finding(
            "supply",
            Severity.DISTURBS,
            f"on battery{charge}",
            "plug the power adapter in, unless the battery is what you measure",
        )
    return Finding("supply", Severity.FINE, f"on mains{charge and ', the battery'}{charge}")


def of_profile(now: DeviceState) -> Finding:
    """Whether the device is set to save power."""
    settings = {
        "power profile": now.power_profile,
        "energy preference": now.energy_preference,
        "governor": now.governor,
    }
    told = ", ".join(f"{name} {value}" for name, value in settings.items() if value)
    if not told:
        return Finding("saving", Severity.NOTE, "the system does not tell how it saves power")
    # With a preference, powersave is only the name of what follows the load.
    slowest = now.governor == "powersave" and now.energy_preference is None
    if slowest or _SAVING & {now.power_profile, now.energy_preference}:
        return Finding(
            "saving",
            Severity.DISTURBS,
            told,
            "powerprofilesctl set performance, or sudo cpupower frequency-set -g performance",
        )
    return Finding("saving", Severity.FINE, told)


def of_heat(seen: Look) -> Finding:
    """Whether the device is hot or throttled already."""
    temperature_c = seen.after.temperature_c
    told = "" if temperature_c is None else f"{temperature_c:.0f} C"
    if {"hot", "throttled"} & set(seen.flags):
        throttled = "it throttles" if "throttled" in seen.flags else ""
        return Finding(
            "heat",
            Severity.DISTURBS,
            ", and ".join(filter(None, (told, throttled))),
            "let it cool down, free its vents; cooldown.below_c lets trials wait",
        )
    if not told:
        return Finding("heat", Severity.NOTE, "the device does not tell its temperature")
    return Finding("heat", Severity.FINE, told)


def of_clock(now: datetime, installed_at: datetime, kept: bool | None) -> Finding:
    """Whether the clock can be right.

    Args:
        now: What it says, in UTC.
        installed_at: When ODLLM's files were written, in UTC.
        kept: Whether a time server keeps it, or `None` if the system does not tell.
    """
    remedy = "sudo timedatectl set-ntp true"
    if now < installed_at:
        return Finding(
            "clock",
            Severity.DISTURBS,
            f"it says {now:%Y-%m-%d %H:%M} UTC, before ODLLM was installed "
            f"({installed_at:%Y-%m-%d})",
            remedy,
        )
    told = f"{now:%Y-%m-%d %H:%M} UTC"
    if kept is False:
        return Finding("clock", Severity.NOTE, f"{told}, kept by no time server", remedy)
    return Finding("clock", Severity.FINE, told)


def of_hypervisor(virtual: bool) -> Iterator[Finding]:
    """What nobody inside a virtual machine can see."""
    if virtual:
        yield Finding(
            "hypervisor",
            Severity.DISTURBS,
            "this is a virtual machine: others may slow it down, unseen",
            "measure on the machine itself",
        )


def missing(findings: Sequence[Finding]) -> bool:
    """Whether something is missing without which nothing can be measured."""
    return any(finding.verdict is Severity.MISSING for finding in findings)


def _free_bytes(root: Path) -> int:
    for folder in (root, *root.parents):
        # What is not there, or not to be seen by this user, lies on the disk of what it lies in.
        with contextlib.suppress(OSError):
            return shutil.disk_usage(folder).free
    raise LookupError(f"nothing of {root} is there")


def _is_kept_by_a_server() -> bool | None:
    if sys.platform != "linux":
        return None
    answer: int = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return None if answer < 0 else answer != _TIME_ERROR
