"""The memory of the process that asks."""

import sys
from pathlib import Path

if sys.platform == "win32":
    import psutil

_STATUS = Path("/proc/self/status")
_KIB = 1024


def peak_rss_bytes() -> int:
    """The peak resident set of this process, files that it maps included."""
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    if sys.platform == "darwin":
        import resource  # noqa: PLC0415 - the module is missing on Windows

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return _required(_STATUS.read_text(), "VmHWM")


def anonymous_bytes() -> int | None:
    """The part of this process's resident set that no file backs, where the system tells."""
    if not _STATUS.exists():
        return None
    return status_bytes(_STATUS.read_text(), "RssAnon")


def status_bytes(status: str, name: str) -> int | None:
    """A field of the kernel's /proc/PID/status, such as `VmHWM:    1234 kB`, in bytes."""
    for line in status.splitlines():
        label, _, value = line.partition(":")
        if label == name:
            return int(value.split()[0]) * _KIB
    return None


def _required(status: str, name: str) -> int:
    value = status_bytes(status, name)
    if value is None:
        raise LookupError(f"{_STATUS} has no {name}")
    return value
