"""The real model server on a free port of this machine, in a thread of the test."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from odllm_agent.cache import Cache
from odllm_agent.model_server.application import application
from odllm_agent.model_server.library import Library
from odllm_agent.model_server.server import listen, server
from odllm_agent.model_server.starts import Starts
from odllm_agent.network.fleet_key import key_of
from tests import family

TOKEN = "the-token-of-the-tests"


@dataclass(frozen=True, slots=True)
class ModelServer:
    """A running server.

    Attributes:
        url: Its address.
        port: The port of it.
        root: The folder of its cache.
        library: What it serves.
    """

    url: str
    port: int
    root: Path
    library: Library

    @property
    def cache(self) -> Cache:
        return Cache(self.root)


@contextmanager
def running(root: Path, tls: Path | None = None) -> Iterator[ModelServer]:
    """A server of the cache in a folder, for as long as the context lasts."""
    library, starts = Library(lambda tell: Cache(root, tell=tell)), Starts()
    run = server(application(library, starts, key_of(TOKEN)), tls)
    place = listen("127.0.0.1", 0, tls=tls is not None)
    up = threading.Event()
    startup = run.startup

    async def told(sockets: list[object] | None = None) -> None:
        await startup(sockets)  # type: ignore[arg-type]
        up.set()

    run.startup = told  # type: ignore[method-assign, assignment]
    thread = threading.Thread(target=run.run, kwargs={"sockets": [place.listening]})
    thread.start()
    try:
        assert up.wait(family.PATIENCE_S)
        port = place.listening.getsockname()[1]
        yield ModelServer(place.url, port, root, library)
    finally:
        run.should_exit = True
        thread.join()
        place.listening.close()
        library.close()
        starts.close()
