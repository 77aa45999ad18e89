"""How a command ends: by itself, by a signal, or with nobody left to read what it says."""

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType

from odllm_agent import streams

Handler = Callable[[int, FrameType | None], object]

_FAULT = 1
_SIGNALED = 128
# Windows has not all of them.
SIGNALS = tuple(
    signal.Signals[name]
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if name in signal.Signals.__members__
)
"""Those that ask a process to end."""

# An exception cannot tell: Ray raises another `KeyboardInterrupt` in its place.
_heeded: list[int] = []


def carried_out(name: str, command: Callable[[], int]) -> int:
    """Runs the command of a process of its own, however it ends.

    Args:
        name: What the user typed for it.
        command: Gives its exit status, or exits with it.

    Returns:
        The exit status: the command's own, 128 and the number of the signal that ended it, or 1 if
        what it said could not be written.
    """
    streams.outlast_readers()
    heed_signals()
    status = _status(name, command)
    lost = streams.why_lost()
    if lost is None:
        return status
    sys.stderr.write(f"{name}: standard output cannot be written: {lost.strerror}\n")
    return status or _FAULT


def status_of_signal() -> int:
    """The exit status that a shell gives for the signal that ended this command."""
    return _SIGNALED + next(iter(_heeded), signal.SIGINT)


def heed_signals(leave: Callable[[], None] | None = None) -> None:
    """Has every signal that asks a process to end do what Ctrl-C does.

    The first is heeded and those after it are not, so that what was begun to be cleared up is. One
    that this process was started to ignore, as by nohup, is still ignored.

    Args:
        leave: What to do in place of raising `KeyboardInterrupt`, as often as a signal comes.
    """
    for number in SIGNALS:
        if signal.getsignal(number) not in {signal.SIG_IGN, _ignore}:
            signal.signal(number, _stop if leave is None else lambda *_: leave())


def handlers() -> dict[signal.Signals, Handler]:
    """What is called at each signal that asks this process to end, unless it is not heeded."""
    found = {number: signal.getsignal(number) for number in SIGNALS}
    return {each: do for each, do in found.items() if callable(do) and do is not _ignore}


@contextlib.contextmanager
def heeding_signals() -> Iterator[None]:
    """Heeds signals in and after a context in which Ray would have them do something else."""
    try:
        yield
    except SystemExit as end:
        # What Ray does on SIGTERM while it starts.
        _heeded.append(signal.SIGTERM)
        raise KeyboardInterrupt from end
    finally:
        heed_signals()


def _status(name: str, command: Callable[[], int]) -> int:
    try:
        return command()
    except SystemExit as end:
        return _exit_status(end)
    except KeyboardInterrupt:
        sys.stderr.write(f"{name}: interrupted\n")
        return status_of_signal()


def _exit_status(end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    sys.stderr.write(f"{end.code}\n")
    return _FAULT


def _stop(number: int, _: FrameType | None) -> None:
    for each in SIGNALS:
        if signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, _ignore)
    _heeded.append(number)
    raise KeyboardInterrupt


def _ignore(_: int, __: FrameType | None) -> None:
    """Takes no notice; unlike SIG_IGN it is not handed on to the processes that are started."""
