"""Where the files that this device makes or fetches lie."""

import errno
import hashlib
import os
import shutil
from pathlib import Path

import platformdirs

from odllm_agent.errors import DiskFull, UsageError
from odllm_agent.files.typed_path import typed_path

ROOT_VARIABLE = "ODLLM_CACHE_DIR"
STATE_VARIABLE = "ODLLM_STATE_DIR"
BUILDS_VARIABLE = "ODLLM_BUILDS_DIR"
VIRTUAL_VARIABLE = "ODLLM_VIRTUAL"
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""What the system says when a disk, or somebody's share of it, is full."""


def cache_root() -> Path:
    """The folder in `ODLLM_CACHE_DIR`, or the one that this system has for caches."""
    chosen = os.environ.get(ROOT_VARIABLE)
    root = typed_path(chosen) if chosen else platformdirs.user_cache_path("odllm")
    return root.absolute()


def state_root() -> Path:
    """The folder in `ODLLM_STATE_DIR`, or the one that this system has for an agent's state.

    A virtual device has one of its own in it.
    """
    chosen = os.environ.get(STATE_VARIABLE)
    root = typed_path(chosen) if chosen else platformdirs.user_state_path("odllm") / "agent"
    virtual = os.environ.get(VIRTUAL_VARIABLE)
    if virtual:
        # A name may be any text, and a folder may not be called so.
        root /= f"virtual-{hashlib.sha256(virtual.encode()).hexdigest()[:16]}"
    return root.absolute()


def builds_root() -> Path:
    """The folder of what was found out about this machine's engines.

    It is the one in `ODLLM_BUILDS_DIR`, or lies beside the agent's state; virtual devices share it,
    since they share the processor.
    """
    chosen = os.environ.get(BUILDS_VARIABLE)
    root = typed_path(chosen) if chosen else platformdirs.user_state_path("odllm") / "builds"
    return root.absolute()


def state_error(folder: Path, error: OSError) -> UsageError:
    """The error that tells why an agent's state cannot be kept.

    Args:
        folder: The folder of it that cannot be used.
        error: What the system says.
    """
    return UsageError(
        f"the agent's state folder {folder} cannot be used: {error.strerror or error}",
        f"set {STATE_VARIABLE} to a folder that can be written to",
    )


def why_no_state(folder: Path, error: OSError) -> str:
    """The same with what to do about it in one line, where a message has to have both."""
    told = state_error(folder, error)
    return f"{told.message}; {told.remedy}"


def write_error(folder: Path, error: OSError, at_least_bytes: int) -> DiskFull | UsageError:
    """The error that tells why nothing can be written to a folder of the cache.

    Args:
        folder: Where something had to be written.
        error: What the system says.
        at_least_bytes: What it needed at the least.
    """
    if error.errno in FULL:
        return disk_full(folder, at_least_bytes)
    return UsageError(
        f"the model cache {folder} cannot be used: {error.strerror or error}",
        f"set {ROOT_VARIABLE} to a folder that can be written to",
    )


def disk_full(folder: Path, at_least_bytes: int) -> DiskFull:
    """The error that tells how much room is missing in a folder.

    Args:
        folder: Where something had to be written.
        at_least_bytes: What it needed at the least.
    """
    there = next(place for place in (folder, *folder.parents) if place.exists())
    free_bytes = shutil.disk_usage(there).free
    return DiskFull(
        f"there is no room in {folder}: at least {at_least_bytes:,} bytes are needed, "
        f"{free_bytes:,} are free",
        f"free some disk space, or set {ROOT_VARIABLE} to a folder on a larger disk",
    )
