"""A TCP proxy that cuts connections in the middle, as a bad line does."""

import socket
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_PIECE_BYTES = 16_384


class CuttingProxy:
    """Passes bytes between whoever connects to it and a server.

    Attributes:
        port: Where it listens.
        cuts: After how many bytes of the server's the next connections end; the rest do not.
        connections: How many there were.
    """

    def __init__(self, listening: socket.socket, to_port: int) -> None:
        self.port: int = listening.getsockname()[1]
        self.cuts: deque[int] = deque()
        self.connections = 0
        self._listening = listening
        self._to_port = to_port

    def accept(self) -> None:
        """Takes connections until its socket is closed."""
        with suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                self.connections += 1
                far = socket.create_connection(("127.0.0.1", self._to_port))
                left = self.cuts.popleft() if self.cuts else 2**62
                for source, target, at_most in ((near, far, 2**62), (far, near, left)):
                    threading.Thread(target=_pass, args=(source, target, at_most)).start()


def _pass(source: socket.socket, target: socket.socket, at_most_bytes: int) -> None:
    with suppress(OSError):
        while at_most_bytes and (piece := source.recv(min(_PIECE_BYTES, at_most_bytes))):
            target.sendall(piece)
            at_most_bytes -= len(piece)
    for each in (source, target):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()


@contextmanager
def running(to_port: int) -> Iterator[CuttingProxy]:
    """A proxy before a server of this machine, for as long as the context lasts."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        proxy = CuttingProxy(listening, to_port)
        thread = threading.Thread(target=proxy.accept)
        thread.start()
        try:
            yield proxy
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
