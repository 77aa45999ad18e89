"""Work on files that nobody vouches for, done in a child process that may die of them."""

import os
import signal
import subprocess
from pathlib import Path

import odllm_agent

# The NTSTATUS codes of severity `error`, such as 0xC0000005 for an access violation.
_FIRST_WINDOWS_CRASH = 0xC0000000


def run(command: list[str], deadline_s: float) -> tuple[int | None, list[str]]:
    """Runs a process of this package to its end.

    Its standard input closes when this process ends, however that goes: it has to end itself then
    (`end_with_parent`).

    Args:
        command: The command line.
        deadline_s: The time after which it is ended.

    Returns:
        Its exit status, `None` if it was ended for taking too long, and the lines of its log.
    """
    held, kept = os.pipe()
    try:
        done = subprocess.run(  # noqa: S603 - our own modules, no shell
            command,
            stdin=held,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=deadline_s,
            check=False,
            # Without the second, a failed assertion of llama.cpp waits for a debugger's backtrace.
            env=os.environ | {"PYTHONPATH": _python_path(), "GGML_NO_BACKTRACE": "1"},
        )
    except subprocess.TimeoutExpired as late:
        return None, _lines(late.stdout or b"")
    finally:
        os.close(held)
        os.close(kept)
    return done.returncode, _lines(done.stdout)


def death(status: int) -> str:
    """What ended a process from outside or by a crash, or nothing if it ended itself."""
    if status < 0:
        return signal.Signals(-status).name
    return f"{status:#x}" if status >= _FIRST_WINDOWS_CRASH else ""


def end_with_parent() -> None:
    """Ends this process once its standard input closes; for a thread of its own."""
    # Not through `sys.stdin`: its lock, held by a waiting thread, aborts Python at its end.
    while os.read(0, 4096):
        continue
    os._exit(1)


def _python_path() -> str:
    """Lets the process find this very package, however this process found it."""
    here = str(Path(odllm_agent.__file__).parent.parent)
    return os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))


def _lines(raw: bytes) -> list[str]:
    return [line for line in raw.decode("utf-8", "replace").splitlines() if line.strip()]
