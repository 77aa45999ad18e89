"""Processes that belong together, told by a mark in their environment.

A child inherits the mark, whoever its parent is later, so that nothing of a Ray node is forgotten
when the process that started it is gone. Neither process groups nor sessions hold a node together:
Ray gives each of its workers a group of its own, and Windows has neither.
"""

import contextlib
import secrets

import psutil

_VARIABLE = "ODLLM_NODE"

_KILLED_S = 10.0


def new_mark() -> str:
    """A mark that no other process has."""
    return secrets.token_hex(16)


def marking(mark: str) -> dict[str, str]:
    """The variables that a process is given with a mark, and hands on to all that it starts."""
    # Ray's processes call themselves something else, and would write that over their environment
    # but for the second, which setproctitle knows.
    return {_VARIABLE: mark, "SPT_NOENV": "1"}


def marked(mark: str) -> list[psutil.Process]:
    """The running processes with a mark."""
    return [each for each in psutil.process_iter() if _is_marked(each, mark)]


def end(mark: str, grace_s: float = 0.0) -> int:
    """Ends every process with a mark.

    Args:
        mark: The mark.
        grace_s: How long they may take to end in order before they are killed.

    Returns:
        How many there were.
    """
    found = marked(mark)
    if grace_s:
        for each in found:
            with contextlib.suppress(psutil.Error):
                each.terminate()
        psutil.wait_procs(found, grace_s)
    return len(found) + _kill(mark, found)


def _kill(mark: str, known: list[psutil.Process]) -> int:
    """Kills until there is nothing with a mark: some start others while they are being killed.

    Returns:
        How many there were beside those known.
    """
    more = 0
    while found := marked(mark):
        more += len(set(found) - set(known))
        for each in found:
            with contextlib.suppress(psutil.Error):
                each.kill()
        _, alive = psutil.wait_procs(found, _KILLED_S)
        # What hangs in the kernel ends when that lets go of it.
        if alive:
            break
    return more


def _is_marked(process: psutil.Process, mark: str) -> bool:
    try:
        return process.environ().get(_VARIABLE) == mark
    # A process of somebody else, or one that is ending.
    except (psutil.Error, OSError):
        return False
