"""The types of cores in a hybrid processor, and keeping an engine on those of one type."""

import os
import sys
from collections.abc import Mapping

from odllm_agent.errors import SettingError
from odllm_agent.host import linux

ANY = "any"


def types() -> Mapping[str, tuple[int, ...]]:
    """The CPUs of each type that this process may use: `performance` and `efficiency`.

    Returns:
        Nothing where all cores are alike, or the system does not tell.
    """
    if sys.platform != "linux":
        return {}
    allowed = set(linux.cpus())
    usable = {name: tuple(allowed & set(cpus)) for name, cpus in linux.core_types().items()}
    return {name: cpus for name, cpus in usable.items() if cpus}


def keep_to(core_type: str, threads: int) -> tuple[int, ...]:
    """Keeps this thread, and those that it will start, on cores of one type.

    Args:
        core_type: The type, or `any` to change nothing.
        threads: How many threads will compute on them.

    Returns:
        The CPUs that it may use otherwise, for `allow`; nothing if nothing was changed.

    Raises:
        SettingError: There are no such cores, or too few.
    """
    if core_type == ANY:
        return ()
    wanted = types().get(core_type, ())
    if not wanted:
        raise SettingError(
            f"core_type={core_type} cannot be had: this device has cores of one type only, or does "
            "not tell their types (only Linux does)",
            f"set core_type to {ANY}",
        )
    if threads > len(wanted):
        raise SettingError(
            f"threads={threads} cannot be had with core_type={core_type}, of which there are "
            f"{len(wanted)} hardware threads",
            f"set threads to at most {len(wanted)}",
        )
    before = linux.cpus()
    allow(wanted)
    return tuple(before)


def allow(cpus: tuple[int, ...]) -> None:
    """Lets this thread, and those that it will start, use these CPUs; nothing to change none."""
    if cpus:
        os.sched_setaffinity(0, cpus)  # type: ignore[attr-defined,unused-ignore]


def usable() -> int:
    """How many processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
