"""The workers that a process has started, and what they have answered so far."""

from pathlib import Path

import psutil

from tests import family


def workers(of: psutil.Process) -> list[psutil.Process]:
    """The workers that measure among what a process and its children have started."""
    return family.descendants(of, "odllm_agent.trials.worker measure")


def answers(worker: psutil.Process) -> str:
    """What a worker has answered so far, where /proc tells; nothing once it has ended."""
    folder = Path(f"/proc/{worker.pid}/fd")
    try:
        # Its stderr goes to its log, and so does its stdout once it runs.
        log = (folder / "2").readlink()
        nameless = (each for each in folder.iterdir() if each.readlink().name.endswith("(deleted)"))
        return next((each.read_text() for each in nameless if each.readlink() != log), "")
    except OSError:
        return ""
