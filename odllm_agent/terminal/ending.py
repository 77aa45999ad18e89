"""How a command ends: by itself, by a signal, or with nobody left to read what it says."""

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from odllm_agent.terminal import streams

Command = Callable[[list[str]], int]
Handler = Callable[[int, FrameType | None], object]

_FAULT = 1
_SIGNALED = 128
_AGAIN_S = 0.05
_MOST_SIGNALS = 1000
# Windows has not all of them.
SIGNALS = tuple(
    signal.Signals[name]
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if name in signal.Signals.__members__
)
"""Those that ask a process to end."""

# An exception cannot tell: Ray raises another `KeyboardInterrupt` in its place.
_heeded: list[int] = []
_MAIN_THREAD = threading.get_ident()


def carried_out(name: str, load: Callable[[], Command]) -> int:
    """Loads and runs the command of a process of its own, however it ends.

    A signal that comes while it loads ends it at once: nothing was begun yet, and an exception that
    is raised in the midst of an import may be lost, or be taken for a broken module.

    Args:
        name: What the user typed for it.
        load: Gives the command, which takes this process's arguments, and gives its exit status or
            exits with it.

    Returns:
        The exit status: the command's own, 128 and the number of the signal that ended it, or 1 if
        what it said could not be written.
    """
    streams.outlast_readers()
    _handle(lambda number, _: _leave(name, number))
    command = load()
    sys.unraisablehook = _raised_again
    heed_signals()
    status = _status(name, lambda: command(sys.argv[1:]))
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
    _handle(_stop if leave is None else lambda *_: leave())


def handlers() -> dict[signal.Signals, Handler]:
    """What is called at each signal that asks this process to end, unless it is not heeded."""
    found = {number: signal.getsignal(number) for number in SIGNALS}
    return {each: do for each, do in found.items() if callable(do) and do is not _ignore}


@contextlib.contextmanager
def heeding_signals() -> Iterator[None]:
    """Heeds signals in and after a context in which Ray would have them do something else.

    On SIGTERM Ray exits while it starts, or raises what Ctrl-C does, or loses it; so Python itself
    is asked which signals came.
    """
    reader, writer = socket.socketpair()
    with reader, writer:
        reader.setblocking(False)
        writer.setblocking(False)
        before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        exited: SystemExit | None = None
        try:
            yield
        except SystemExit as end:
            exited = end
        finally:
            signal.set_wakeup_fd(before)
            heed_signals()
            came = _asked_to_end(reader)
            _heeded.extend(came)
        if exited and not came:
            _heeded.append(signal.SIGTERM)
        if exited or came:
            raise KeyboardInterrupt from exited


def _handle(do: Handler) -> None:
    for number in SIGNALS:
        if signal.getsignal(number) not in {signal.SIG_IGN, _ignore}:
            signal.signal(number, do)


def _leave(name: str, number: int) -> None:
    sys.stderr.write(f"{name}: interrupted\n")
    sys.stderr.flush()
    os._exit(_SIGNALED + number)


def _raised_again(lost: "sys.UnraisableHookArgs") -> None:
    """Has what a signal raised where nothing can be raised, as in a finalizer, raised again.

    Not at once, for that would be in the same place.
    """
    if not (_heeded and isinstance(lost.exc_value, KeyboardInterrupt)):
        sys.__unraisablehook__(lost)
        return
    number = _heeded.pop()
    signal.signal(number, _stop)
    threading.Timer(_AGAIN_S, _send, [number]).start()


def _send(number: int) -> None:
    if sys.platform == "win32":
        signal.raise_signal(number)
    else:
        # To the thread that has to raise it: it may be waiting in a call, which must end.
        signal.pthread_kill(_MAIN_THREAD, number)


def _asked_to_end(reader: socket.socket) -> list[int]:
    """The signals that came and ask this process to end, in their order."""
    with contextlib.suppress(BlockingIOError):
        return [each for each in reader.recv(_MOST_SIGNALS) if each in SIGNALS]
    return []


def _status(name: str, command: Callable[[], int]) -> int:
    try:
        return command()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        sys.stderr.write(f"{end.code}\n")
        return _FAULT
    except KeyboardInterrupt:
        sys.stderr.write(f"{name}: interrupted\n")
        return status_of_signal()


def _stop(number: int, _: FrameType | None) -> None:
    for each in SIGNALS:
        if signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, _ignore)
    _heeded.append(number)
    raise KeyboardInterrupt


def _ignore(_: int, __: FrameType | None) -> None:
    """Takes no notice; unlike SIG_IGN it is not handed on to the processes that are started."""
