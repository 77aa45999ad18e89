"""The workers that a process has started, and what they have answered so far."""

from pathlib import Path

import psutil

from tests import family

_UNNAMED = "(deleted)"


def workers(of: psutil.Process) -> list[psutil.Process]:
    """The workers that measure among what a process and its children have started."""
    return family.descendants(of, "odllm_agent.worker measure")


def answers(worker: psutil.Process) -> str:
    """What a worker has answered so far, where /proc tells; nothing once it has ended."""
    # Its stderr is its log, and once it runs so is its stdout; the other nameless file is asked for.
    try:
        open_files = {
            each: str(each.readlink()) for each in Path(f"/proc/{worker.pid}/fd").iterdir()
        }
        log = open_files[Path(f"/proc/{worker.pid}/fd/2")]
        nameless = [
            each for each, file in open_files.items() if file.endswith(_UNNAMED) and file != log
        ]
        return nameless[0].read_text("utf-8") if nameless else ""
    except (OSError, KeyError):
        return ""
