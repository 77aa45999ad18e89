"""Control groups: how much memory and processor time they leave to a process.

Formats: man 5 proc_pid_mountinfo, man 7 cgroups, and the kernel's admin-guide/cgroup-v2.rst,
admin-guide/cgroup-v1/memory.rst and scheduler/sched-bwc.rst.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from odllm_agent.files.small_files import read_int, read_text

# Version 1 control groups without a limit say 2**63 rounded down to a page.
UNLIMITED_BYTES = 2**62

# What does not look so is passed over. Of /proc/PID/cgroup: the controllers, none in version 2, and
# the group.
_CGROUP = re.compile(r"^\d+:([^:\n]*):(/.*)$", re.M)
# Of /proc/PID/mountinfo: what is mounted and where; behind the dash its file system and options.
_MOUNT = re.compile(r"^\S+ \S+ \S+ (\S+) (/\S*) \S+ (?:\S+ )*?- (\S+) \S* (\S*)$", re.M)


@dataclass(frozen=True, slots=True)
class GroupMembership:
    """Where a process stands in the control groups, as /proc tells it.

    Attributes:
        cgroup: The text of /proc/self/cgroup.
        mountinfo: The text of /proc/self/mountinfo.
        root: Where the system's files are.
    """

    cgroup: str
    mountinfo: str
    root: Path = Path("/")

    @classmethod
    def here(cls) -> "GroupMembership":
        """That of this process; of nothing on a system without /proc."""
        own = Path("/proc/self")
        return cls(_read_paths(own / "cgroup"), _read_paths(own / "mountinfo"))

    def groups(self, controller: str) -> Iterator[tuple[int, Path]]:
        """The version and folder of the groups that bind the process: its own and all above it.

        Args:
            controller: What they share out, such as `cpu`.
        """
        for controllers, path in _CGROUP.findall(self.cgroup):
            version = 1 if controllers else 2
            if version == 2 or controller in controllers.split(","):
                mounts = _mounts(self.mountinfo, version, controller)
                for folder in _upwards(PurePosixPath(path), mounts):
                    yield version, self.root / folder.relative_to("/")


def _mounts(mountinfo: str, version: int, controller: str) -> Mapping[PurePosixPath, PurePosixPath]:
    """Where a hierarchy is mounted, with the group that is seen there as its root."""
    found = {}
    for top, point, system, options in _MOUNT.findall(mountinfo):
        if _is_of(system, options, version, controller):
            found[PurePosixPath(_unescaped(point))] = PurePosixPath(_unescaped(top))
    return found


def _read_paths(path: Path) -> str:
    """A file in which the kernel lists paths, whose names need not be UTF-8."""
    try:
        return os.fsdecode(path.read_bytes())
    except OSError:
        return ""


def _is_of(system: str, options: str, version: int, controller: str) -> bool:
    if version == 2:
        return system == "cgroup2"
    return system == "cgroup" and controller in options.split(",")


def _unescaped(path: str) -> str:
    return re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), path)


def _upwards(
    path: PurePosixPath, mounts: Mapping[PurePosixPath, PurePosixPath]
) -> list[PurePosixPath]:
    """The folders of a group and of those above it.

    A container may see its own group as the root of all, and its path as the host sees it, or as
    one from outside (`/..`): then what is mounted is the nearest that can be seen.
    """
    for point, top in mounts.items():
        if path.is_relative_to(top) and ".." not in path.parts:
            group = point / path.relative_to(top)
            return [group, *(each for each in group.parents if each.is_relative_to(point))]
    return list(mounts)


@dataclass(frozen=True, slots=True)
class MemoryGroup:
    """The files of one memory control group.

    Attributes:
        limit: The bytes that its processes may use together, or `max`.
        usage: The bytes that they use, cached files included.
        stat: What the bytes are used for.
    """

    limit: Path
    usage: Path
    stat: Path

    def available_bytes(self) -> int | None:
        """What the group may still take, or `None` where it has no limit.

        Cached files count as free, for the kernel drops them before it refuses memory.
        """
        limit = read_int(self.limit)
        usage = read_int(self.usage)
        if limit is None or usage is None or not 0 <= limit < UNLIMITED_BYTES:
            return None
        in_use = max(0, usage - cached_bytes(read_text(self.stat) or ""))
        return max(0, limit - in_use)


def cached_bytes(memory_stat: str) -> int:
    """The bytes of cached files, from a control group's memory.stat.

    Version 1 tells the group's own as `inactive_file` and those below it too as
    `total_inactive_file`; version 2 has only the first name, for the second meaning.
    """
    fields = dict(re.findall(r"^(\w+) (\d+)$", memory_stat, re.M | re.A))
    prefix = "total_" if "total_inactive_file" in fields else ""
    return sum(int(fields.get(f"{prefix}{kind}_file", 0)) for kind in ("inactive", "active"))


def memory_groups(of: GroupMembership) -> tuple[MemoryGroup, ...]:
    """The memory control groups whose limits bind a process."""
    files = {
        1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat"),
        2: ("memory.max", "memory.current", "memory.stat"),
    }
    groups = (
        MemoryGroup(*(folder / name for name in files[version]))
        for version, folder in of.groups("memory")
    )
    return tuple(group for group in groups if read_text(group.limit) is not None)


@dataclass(frozen=True, slots=True)
class Quota:
    """The processor time that a control group may have.

    Attributes:
        cores: Seconds of processor time per second.
        group: The group's folder.
    """

    cores: float
    group: Path


@dataclass(frozen=True, slots=True)
class CpuGroup:
    """The files of one control group that share out processor time.

    Attributes:
        limit: Those that tell the quota and its period.
        stat: How often the quota was used up.
    """

    limit: tuple[Path, ...]
    stat: Path

    def quota(self) -> Quota | None:
        """The group's quota, or `None` where it has none."""
        cores = quota_cores(" ".join(read_text(path) or "" for path in self.limit))
        return None if cores is None else Quota(cores, self.stat.parent)

    def throttle_count(self) -> int | None:
        """The periods in which its quota was used up, where the kernel counts them."""
        return throttled_periods(read_text(self.stat) or "")


def quota_cores(limit: str) -> float | None:
    """Seconds of processor time per second, from a quota and its period in microseconds.

    Version 2 tells both in cpu.max, version 1 in a file each; `max` and `-1` are no quota.
    """
    found = re.fullmatch(r"\s*(\d+)\s+(\d*[1-9]\d*)\s*", limit, re.A)
    return int(found[1]) / int(found[2]) if found else None


def throttled_periods(cpu_stat: str) -> int | None:
    """The periods in which a group was stopped, from its cpu.stat."""
    found = re.search(r"^nr_throttled (\d+)$", cpu_stat, re.M)
    return int(found[1]) if found else None


def cpu_groups(of: GroupMembership) -> tuple[CpuGroup, ...]:
    """The control groups whose quotas of processor time bind a process."""
    files = {1: ("cpu.cfs_quota_us", "cpu.cfs_period_us"), 2: ("cpu.max",)}
    return tuple(
        CpuGroup(tuple(folder / name for name in files[version]), folder / "cpu.stat")
        for version, folder in of.groups("cpu")
    )


def tightest(groups: Iterable[CpuGroup]) -> Quota | None:
    """The least of the groups' quotas, which binds; `None` where none has any."""
    quotas = (quota for group in groups if (quota := group.quota()) is not None)
    return min(quotas, key=lambda quota: quota.cores, default=None)


def throttle_count(groups: Iterable[CpuGroup]) -> int | None:
    """The periods in which a quota of the groups was used up, where any of them counts them."""
    counts = [count for group in groups if (count := group.throttle_count()) is not None]
    return sum(counts) if counts else None
