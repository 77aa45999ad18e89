"""What is served: the models of a cache, and those of a hub, which are fetched when asked for."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from odllm_agent.cache.cache import Cache, CachedFile, RemoteFile, Tell, tell_nobody
from odllm_agent.clock import monotonic_ns, seconds_since
from odllm_agent.contract import Progress
from odllm_agent.files.checksum import sha256_of
from odllm_agent.models.download import hub, hub_client
from odllm_agent.models.download.hub_client import Resolved
from odllm_agent.models.download.hub_file import HubFile

_AT_ONCE = 2
# Who asks within this time of a failure is told of it; later ones make another attempt.
_FAILED_FOR_S = 60.0
_BEGINNING = Progress("asking the hub", 0, 0)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stock:
    """A model that can be served.

    Attributes:
        files: Its files, in the order of its parts.
        paths: Where they lie.
        cache: Keeps them there as long as this object lives.
    """

    files: tuple[RemoteFile, ...]
    paths: tuple[Path, ...]
    cache: Cache


@dataclass(slots=True)
class Fetching:
    """The one fetch of a model from the hub, however many wait for it.

    Attributes:
        ended: Is done when the model is in the cache, or cannot be had.
        progress: How far it is.
        failed_ns: When it failed, if it did.
    """

    ended: Future[None] = field(default_factory=Future)
    progress: Progress = _BEGINNING
    failed_ns: int | None = None

    @property
    def over(self) -> bool:
        """Whether whoever asks next needs another."""
        if self.failed_ns is not None:
            return seconds_since(self.failed_ns) > _FAILED_FOR_S
        return self.ended.done()

    def tell(self, progress: Progress) -> None:
        """Remembers how far it is."""
        self.progress = progress


class Library:
    """The models of this device's cache, and those of the hub.

    Args:
        open_cache: Opens the cache; each answer has one of its own, which keeps what is served.
    """

    def __init__(self, open_cache: Callable[[Tell], Cache] = Cache.of_this_device) -> None:
        self._open_cache = open_cache
        self._fetches: dict[HubFile, Fetching] = {}
        self._lock = threading.Lock()
        # Many who ask at once for a file that has to be read through wait for one reading.
        self._reading = threading.Lock()
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="fetching")

    def content(self, sha256: str) -> Stock | None:
        """The model with that checksum, if it is in the cache and its content is right."""
        cache = self._open_cache(tell_nobody)
        with self._reading:
            return _stock(cache.file(sha256), cache)

    def find(self, at: HubFile) -> Stock | None:
        """The model of a hub, if it is in the cache and its content is right.

        Args:
            at: The model; one that is not at a commit is never found.
        """
        cache = self._open_cache(tell_nobody)
        with self._reading:
            return _stock(cache.find(hub.download_of(at)), cache) if at.pinned else None

    def resolve(self, wanted: HubFile) -> Resolved:
        """What the hub has under a name; of what is in the cache, without asking it.

        Raises:
            ModelMissing: There is no such repository, revision or file.
            AccessDenied: The hub does not tell whoever asks.
            DownloadFailed: The hub cannot be reached.
        """
        stock = self.find(wanted)
        if stock is None:
            return hub_client.resolve(wanted)
        named = zip(wanted.parts, stock.files, strict=True)
        return Resolved(
            wanted, tuple(RemoteFile(name, file.sha256, file.file_bytes) for name, file in named)
        )

    def fetch(self, at: HubFile) -> Fetching:
        """The fetch of a model at a commit, which begins unless it is under way."""
        with self._lock:
            current = self._fetches.get(at)
            if current is None or current.over:
                current = self._fetches[at] = Fetching()
                self._pool.submit(self._bring, at, current)
            return current

    def close(self) -> None:
        """Waits for nothing that is under way."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _bring(self, at: HubFile, current: Fetching) -> None:
        try:
            if self.find(at) is None:
                _log.info("fetching %s from the hub", at)
                hub.fetched(hub_client.resolve(at), self._open_cache(current.tell), current.tell)
                _log.info("fetched %s from the hub", at)
        except Exception as error:  # noqa: BLE001 - becomes the answer to all who wait for it
            _log.warning("could not fetch %s from the hub: %s", at, error)
            current.failed_ns = monotonic_ns()
            current.ended.set_exception(error)
        else:
            current.ended.set_result(None)


def _stock(found: CachedFile | None, cache: Cache) -> Stock | None:
    """What of the cache can be served: files, and no folder in OpenVINO's form."""
    paths = cache.shelf.parts(found.sha256) if found else ()
    if not paths or paths[0].is_dir():
        return None
    files = (RemoteFile(path.name, sha256_of(path), path.stat().st_size) for path in paths)
    return Stock(tuple(files), paths, cache)
