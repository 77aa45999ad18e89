"""Children: processes of this package that do one thing, may die of it, and end with their parent.

Most work on files that nobody vouches for.
"""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import odllm_agent
from odllm_agent.errors import EngineError, ModelInvalid, OdllmError

Goes = IO[bytes] | IO[str] | int
"""Where what a child writes goes: a file, or what `subprocess` has for it."""

REFUSED = 3
"""The exit status of a child whose library refuses the file."""

NEARLY_FULL_BYTES = 2**20
"""A disk with less room than this has most likely ended a child that wrote to it."""

# Slower than any laptop with any disk, so that only a process that hangs is ended.
_SLOWEST_BYTES_PER_S = 4_000_000
_LEAST_DEADLINE_S = 120.0
_LOG_LINES = 20
# The NTSTATUS codes of severity `error`, such as 0xC0000005 for an access violation.
_FIRST_WINDOWS_CRASH = 0xC0000000


@dataclass(frozen=True, slots=True)
class ChildWork:
    """What a child does, as its errors name it.

    Attributes:
        program: What is run, such as `quantizer`.
        library: What reads the file in it, such as `llama.cpp`.
        if_killed: What to do where memory ran out.
        if_refused: What to do where the library refuses the file or dies of it.
        if_failed: What to do where the program fails otherwise.
    """

    program: str
    library: str
    if_killed: str
    if_refused: str
    if_failed: str

    def error(self, what: str, status: int, log: list[str]) -> OdllmError:
        """Why a child did not do its work.

        Args:
            what: What it could not do, naming the file.
            status: Its exit status.
            log: The lines of its log.
        """
        last = log[-1] if log else "it said nothing"
        died = death(status)
        if died == "SIGKILL":
            return EngineError(
                f"{what}: the process was killed, most likely for want of memory", self.if_killed
            )
        if died or status == REFUSED:
            how = f"died with {died}" if died else "refuses it"
            return ModelInvalid(f"{what}: {self.library} {how} ({last})", self.if_refused)
        return EngineError(
            f"{what}: the {self.program} ended with status {status} ({last})", self.if_failed
        )


def deadline_s(source_bytes: int) -> float:
    """How long work that reads and writes a file of that size may take."""
    return _LEAST_DEADLINE_S + source_bytes / _SLOWEST_BYTES_PER_S


def note(error: OdllmError, log: list[str]) -> OdllmError:
    """The error with the last lines of a child's log."""
    error.add_note("\n".join(log[-_LOG_LINES:]))
    return error


@dataclass(frozen=True, slots=True)
class Ended:
    """A child that has ended.

    Attributes:
        status: Its exit status; `None` if it was ended for taking too long.
        output: What it wrote, unless that went to a file.
        errors: What it wrote to standard error, unless that went to a file or to its output.
    """

    status: int | None
    output: bytes = b""
    errors: bytes = b""


def ended(
    command: Sequence[str],
    deadline_s: float,
    *,
    order: str = "",
    environment: Mapping[str, str] | None = None,
    output: Goes = subprocess.PIPE,
    errors: Goes = subprocess.PIPE,
) -> Ended:
    """Runs a process of this package to its end.

    Its standard input closes when this process ends, however that goes: it has to end itself then
    (`end_with_parent`).

    Args:
        command: The command line.
        deadline_s: The time after which it is ended.
        order: The line that it is told on its standard input, if any.
        environment: Its whole environment; that of this process unless told.
        output: Where its standard output goes.
        errors: Where its standard error goes.
    """
    process = subprocess.Popen(  # noqa: S603 - our own modules, no shell
        command, stdin=subprocess.PIPE, stdout=output, stderr=errors, env=environment
    )
    # Not for `communicate`, which would close it at once.
    stdin, process.stdin = process.stdin, None
    assert stdin is not None  # noqa: S101 - for the type checker
    with process, _open(stdin), _ending(process, deadline_s) as late:
        # It may die, or be ended, before it has read its order.
        with contextlib.suppress(BrokenPipeError):
            stdin.write(order.encode() + b"\n" if order else b"")
            stdin.flush()
        written, said = process.communicate()
    return Ended(None if late.is_set() else process.returncode, written or b"", said or b"")


@contextlib.contextmanager
def _open(stdin: IO[bytes]) -> Iterator[None]:
    """Keeps a child's standard input open meanwhile."""
    try:
        yield
    finally:
        # What a child that is gone did not read is still to be written.
        with contextlib.suppress(BrokenPipeError):
            stdin.close()


@contextlib.contextmanager
def _ending(process: subprocess.Popen[bytes], deadline_s: float) -> Iterator[threading.Event]:
    """Kills a process after a time, which it tells, and with whoever waits for it."""
    late = threading.Event()

    def end() -> None:
        late.set()
        process.kill()

    # `Popen` polls for a deadline; a timer lets this process sleep while the child works.
    timer = threading.Timer(deadline_s, end)
    timer.start()
    try:
        yield late
    except BaseException:
        process.kill()
        process.wait()
        raise
    finally:
        timer.cancel()


def run(
    command: list[str], deadline_s: float, variables: Mapping[str, str] | None = None
) -> tuple[int | None, list[str]]:
    """Runs a process of this package that needs no order; see `ended`.

    Args:
        command: The command line.
        deadline_s: The time after which it is ended.
        variables: Of its environment, besides those of this process.

    Returns:
        Its exit status, `None` if it was ended for taking too long, and the lines of its log.
    """
    done = ended(
        command, deadline_s, environment=_environment(variables or {}), errors=subprocess.STDOUT
    )
    lines = done.output.decode("utf-8", "replace").splitlines()
    return done.status, [line for line in lines if line.strip()]


def said(
    command: Sequence[str], deadline_s: float, variables: Mapping[str, str]
) -> Generator[str, None, None]:
    """The lines that a process of this package says on its output and errors, as it says them.

    Whoever reads no further closes the generator, which ends the process; see `ended` for its
    standard input.

    Args:
        command: The command line.
        deadline_s: The time after which it is ended.
        variables: Of its environment, besides those of this process.

    Raises:
        TimeoutExpired: It was ended for taking too long.
        CalledProcessError: It ended by itself, but with another status than 0.
    """
    process = subprocess.Popen(  # noqa: S603 - our own modules, no shell
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=_environment(variables),
    )
    with process, _ending(process, deadline_s) as late:
        for line in process.stdout or ():
            yield line.decode("utf-8", "replace").rstrip()
    if late.is_set():
        raise subprocess.TimeoutExpired(command, deadline_s)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    # So that it finds this very package, however this process found it.
    here = str(Path(odllm_agent.__file__).parent.parent)
    path = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
    # Without the second, a failed assertion of llama.cpp waits for a debugger's backtrace.
    return {**os.environ, "PYTHONPATH": path, "GGML_NO_BACKTRACE": "1", **variables}


def death(status: int) -> str:
    """What ended a process from outside or by a crash, or nothing if it ended itself."""
    if status < 0:
        return signal.Signals(-status).name
    return f"{status:#x}" if status >= _FIRST_WINDOWS_CRASH else ""


def end_with_parent() -> None:
    """Has this process end once its standard input closes, whatever it is at then."""
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # Not through `sys.stdin`: its lock, held by a waiting thread, aborts Python at its end.
    while os.read(0, 4096):
        continue
    os._exit(1)
