"""Watching a file grow that another program writes, which does not tell how far it is."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from odllm_agent.cache.layout import content_bytes
from odllm_agent.contract import Progress

_LOOK_EVERY_S = 0.5


@contextmanager
def growing(
    path: Path, what: str, at_least_bytes: int, tell: Callable[[Progress], None]
) -> Iterator[None]:
    """Tells twice a second how far a file or folder is, for as long as the context lasts.

    Args:
        path: What is written; it need not be there yet.
        what: What is told of it.
        at_least_bytes: The size that it will surely have.
        tell: Is told, from a thread of its own.
    """
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_LOOK_EVERY_S):
            # A file that begins as a hole has its whole size at once.
            total_bytes = max(at_least_bytes, content_bytes(path))
            tell(Progress(what, content_bytes(path, allocated=True), total_bytes))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
