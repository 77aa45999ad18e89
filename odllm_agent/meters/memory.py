"""The memory of the process that asks."""

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from odllm_agent.contract import HeldMemory

if sys.platform == "win32":
    import psutil

_STATUS = Path("/proc/self/status")
_SMAPS = Path("/proc/self/smaps")
_KIB = 1024
# A mapping begins with its range of addresses; permissions, offset, device and inode follow, and
# the path, if it has one.
_NEXT = re.compile(r"^(?=[0-9a-f]+-[0-9a-f]+ )", re.M)
_HEAD = re.compile(r"(?:\S+ +){5}(.*)")
_FIELD = re.compile(r"^(Rss|Anonymous|Swap): +(\d+) kB$", re.M)


@dataclass(frozen=True, slots=True)
class Mapping:
    """One mapping of a process, as the kernel accounts for it.

    Attributes:
        path: The mapped file, or what the kernel calls the mapping; empty where it has no name.
        rss_bytes: What of it is resident.
        anonymous_bytes: The part of that that no file backs, such as pages that were written to.
        swapped_bytes: What of it was swapped out.
    """

    path: str
    rss_bytes: int
    anonymous_bytes: int
    swapped_bytes: int


def peak_rss_bytes() -> int:
    """The peak resident set of this process, files that it maps included."""
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    if sys.platform == "darwin":
        import resource  # noqa: PLC0415 - the module is missing on Windows

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak_bytes = status_bytes(_STATUS.read_text(), "VmHWM")
    if peak_bytes is None:
        raise LookupError(f"{_STATUS} has no VmHWM")
    return peak_bytes


def held_memory(folder: Path) -> HeldMemory:
    """What this process holds now, in the parts that the system tells.

    Args:
        folder: Where the files of the loaded model lie.
    """
    if sys.platform == "linux":
        return split(mappings(_SMAPS.read_text(errors="replace")), folder.resolve())
    return _told_by_psutil(folder)


def _told_by_psutil(folder: Path) -> HeldMemory:
    import psutil  # noqa: PLC0415 - a worker on Linux starts sooner without it

    process = psutil.Process()
    rss_bytes = process.memory_info().rss
    if sys.platform == "darwin":
        return HeldMemory(rss_bytes, reason="macOS does not tell what resident memory is used for")
    of_model = [m.rss for m in process.memory_maps() if Path(m.path).parent == folder.resolve()]
    return HeldMemory(
        rss_bytes,
        mapped_bytes=sum(of_model),
        reason="Windows does not tell what of resident memory no file backs",
    )


def split(found: Iterable[Mapping], folder: Path) -> HeldMemory:
    """The parts of a process's resident set.

    Args:
        found: Its mappings.
        folder: The folder, without links in its path, whose files are the model's.
    """
    found = tuple(found)
    of_model = [each for each in found if Path(each.path).parent == folder]
    return HeldMemory(
        rss_bytes=sum(each.rss_bytes for each in found),
        mapped_bytes=sum(each.rss_bytes - each.anonymous_bytes for each in of_model),
        anonymous_bytes=sum(each.anonymous_bytes for each in found),
        swapped_bytes=sum(each.swapped_bytes for each in found),
    )


def mappings(smaps: str) -> tuple[Mapping, ...]:
    """The mappings in the kernel's /proc/PID/smaps (Documentation/filesystems/proc.rst)."""
    return tuple(_mapping(block) for block in _NEXT.split(smaps) if block)


def _mapping(block: str) -> Mapping:
    head, _, rest = block.partition("\n")
    path = _HEAD.fullmatch(head)
    sizes = {name: int(kib) * _KIB for name, kib in _FIELD.findall(rest)}
    return Mapping(
        path=path[1] if path else "",
        rss_bytes=sizes.get("Rss", 0),
        anonymous_bytes=sizes.get("Anonymous", 0),
        swapped_bytes=sizes.get("Swap", 0),
    )


def status_bytes(status: str, name: str) -> int | None:
    """A field of the kernel's /proc/PID/status, such as `VmHWM:    1234 kB`, in bytes."""
    for line in status.splitlines():
        label, _, value = line.partition(":")
        if label == name:
            return int(value.split()[0]) * _KIB
    return None
