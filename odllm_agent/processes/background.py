"""Processes of this package that go on in the background, each with a log of its own."""

import contextlib
import math
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from odllm_agent.clock import monotonic_ns, seconds_since

_LOOK_EVERY_S = 0.05

if sys.platform == "win32":
    _NEW_GROUP = subprocess.CREATE_NEW_PROCESS_GROUP
else:
    _NEW_GROUP = 0


def start(
    command: Sequence[str],
    log: Path,
    environment: Mapping[str, str] | None = None,
    *,
    alone: bool = True,
    tied: bool = False,
) -> subprocess.Popen[bytes]:
    """Starts a process.

    Args:
        command: The command line.
        log: Where everything goes that it says; what was there is gone.
        environment: Its whole environment; that of this process unless told.
        alone: Whether it stays when the terminal is closed, and Ctrl-C is not for it.
        tied: Whether its standard input closes when this process ends; see
            `child.end_with_parent`.
    """
    with log.open("wb") as file:
        return subprocess.Popen(  # noqa: S603 - our own modules, no shell
            command,
            env=environment,
            stdin=subprocess.PIPE if tied else subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=alone,
            creationflags=_NEW_GROUP if alone else 0,
        )


def has_said(
    process: subprocess.Popen[bytes], log: Path, words: bytes, within_s: float = math.inf
) -> bool:
    """Waits until a process has said something.

    Args:
        process: The process.
        log: Its log.
        words: What it is to say.
        within_s: The seconds after which it is waited for no longer.

    Returns:
        Whether it said that before it ended, and in time.
    """
    start_ns = monotonic_ns()
    while True:
        is_over = process.poll() is not None or seconds_since(start_ns) > within_s
        if words in log.read_bytes():
            return True
        if is_over:
            return False
        time.sleep(_LOOK_EVERY_S)


def leave(process: subprocess.Popen[bytes], within_s: float) -> None:
    """Asks a process to end in order, and waits for that no longer than so many seconds."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(within_s)


def last_words(log: Path, n_lines: int = 1) -> str:
    """The last lines of a log, as one; `""` if there are none."""
    return " ".join(log.read_text("utf-8", "replace").strip().splitlines()[-n_lines:])
