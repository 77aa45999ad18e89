"""What this device is."""

import hashlib
import os
import platform
import re
import socket
import subprocess
import sys
import uuid
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import psutil

from odllm_agent.builds import builds
from odllm_agent.contract import Device, DeviceKind
from odllm_agent.files.folders import VIRTUAL_VARIABLE
from odllm_agent.files.small_files import read_text
from odllm_agent.host import cores, linux, state
from odllm_agent.meters import AUTO, reports

if sys.platform == "win32":
    import winreg

NAME_VARIABLE = "ODLLM_NAME"
"""What its owner calls this device; a host name is often an accident."""


def describe(name: str | None = None, meters: Sequence[str] = (AUTO,)) -> Device:
    """What this device is.

    Args:
        name: What to call it; what `ODLLM_NAME` says, or its host name, unless told.
        meters: Names of the power meters to report on.

    Raises:
        UsageError: There is no power meter of such a name.
    """
    virtual = os.environ.get(VIRTUAL_VARIABLE, "")
    present = builds().present
    quota = state.quota()
    release = platform.version() if sys.platform == "win32" else platform.release()
    return Device(
        id=device_id(virtual),
        name=name or os.environ.get(NAME_VARIABLE) or virtual or socket.gethostname(),
        kind=DeviceKind.VIRTUAL if virtual else DeviceKind.REAL,
        system=f"{platform.system()} {release}",
        cpu=(_system_cpu() or platform.processor() or platform.machine()).strip(),
        physical_cores=_physical_cores(),
        logical_cores=state.logical_cores(),
        ram_bytes=psutil.virtual_memory().total,
        python_version=platform.python_version(),
        odllm_version=metadata.version("odllm"),
        engines={name: found.version for name, found in present.items()},
        meters=reports(meters),
        core_types={name: linux.physical_cores(cpus) for name, cpus in cores.types().items()},
        builds={name: found.build for name, found in present.items()},
        quota_cores=quota.cores if quota else None,
        online_cpus=state.online_cpus(),
        present_cpus=state.present_cpus(),
    )


def _physical_cores() -> int:
    usable = state.cpus()
    return linux.physical_cores(usable) or min(psutil.cpu_count(logical=False) or 1, len(usable))


def device_id(virtual: str = "") -> str:
    """A hash of this machine's own id, and of a virtual device's name if it is one."""
    # Whoever has a machine's own id may track it (man machine-id), so it leaves only as a hash.
    told = f"odllm:{_machine_id()}:{virtual}" if virtual else f"odllm:{_machine_id()}"
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _machine_id() -> str:
    told = (_system_machine_id() or "").strip()
    if told and told != "uninitialized":
        return told
    node = uuid.getnode()
    # This bit marks a number that Python drew because it found no network card (RFC 4122, 4.5).
    return socket.gethostname() if node >> 40 & 1 else f"{node:012x}"


def _system_machine_id() -> str | None:
    if sys.platform == "win32":
        return _registry(r"SOFTWARE\Microsoft\Cryptography", "MachineGuid")
    if sys.platform == "darwin":
        return mac_uuid(_output("/usr/sbin/ioreg", "-rd1", "-c", "IOPlatformExpertDevice") or "")
    return read_text(Path("/etc/machine-id"))


def mac_uuid(ioreg: str) -> str | None:
    """The machine's own id in what macOS's ioreg prints of it; the rest changes over time."""
    found = re.search(r'"IOPlatformUUID" = "([^"]+)"', ioreg)
    return found[1] if found else None


def _system_cpu() -> str | None:
    if sys.platform == "win32":
        key = r"HARDWARE\DESCRIPTION\System\CentralProcessor\0"
        return _registry(key, "ProcessorNameString")
    if sys.platform == "darwin":
        return _output("/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string")
    return linux.cpu_name(read_text(Path("/proc/cpuinfo")) or "")


if sys.platform == "win32":

    def _registry(key: str, name: str) -> str | None:
        try:
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, key) as opened:
                return str(winreg.QueryValueEx(opened, name)[0])
        except OSError:
            return None


def _output(*command: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - only the fixed commands above come here
            command, capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
