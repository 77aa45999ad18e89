"""The workers that a process has started, and what they have answered so far."""

from pathlib import Path

import psutil

from tests import family


def workers(of: psutil.Process) -> list[psutil.Process]:
    """The workers that measure among what a process and its children have started."""
    return family.descendants(of, "odllm_agent.worker measure")


def answers(worker: psutil.Process) -> str:
    """What a worker has answered so far, where /proc tells; nothing once it has ended."""
    # Its own stdout is turned to its log once it runs; the answers lie beside it.
    try:
        log = Path(f"/proc/{worker.pid}/fd/1").readlink()
        return log.with_name("answers.jsonl").read_text()
    except OSError:
        return ""
