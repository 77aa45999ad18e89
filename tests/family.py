"""Processes that a process has started, as they are while others come and go."""

import contextlib

import psutil

PATIENCE_S = 200.0
"""How long what must come may take: far longer than on any machine, so that only a hang is told."""


def command(process: psutil.Process) -> str:
    """Its command line or title; nothing once it has ended, whether or not it was waited for."""
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def lives(process: psutil.Process) -> bool:
    """Whether it has not ended; one that nobody has waited for yet has."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def descendants(of: psutil.Process, words: str = "") -> list[psutil.Process]:
    """What it and its children have started that still lives.

    Args:
        of: The process.
        words: What their command lines have.
    """
    with contextlib.suppress(psutil.NoSuchProcess):
        return [
            each for each in of.children(recursive=True) if lives(each) and words in command(each)
        ]
    return []
