"""The starts of a hub's files, for who wants to know what a model is before it is fetched."""

import tempfile
import threading
from pathlib import Path

from odllm_agent.cache.cache import RemoteFile
from odllm_agent.models.download import hub_client
from odllm_agent.models.download.hub_file import HubFile
from odllm_agent.models.outline import START_BYTES

_KEPT = 16


class Starts:
    """Files of their whole size of which only the start is there, each fetched once.

    They lie in a temporary folder, and the oldest make room for new ones.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="odllm-starts-")
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, int], Path] = {}

    def get(self, at: HubFile, file: RemoteFile, most_bytes: int) -> Path:
        """A file of the model's size that begins as it does.

        Args:
            at: The model, at a commit.
            file: The file of it.
            most_bytes: How much of it must be there; no more than the longest header.

        Raises:
            AccessDenied: The hub does not give it to whoever asks.
            DownloadFailed: It did not come.
        """
        start_bytes = next(each for each in START_BYTES if each >= most_bytes)
        key = (file.sha256, start_bytes)
        with self._lock:
            if key not in self._kept:
                path = Path(self._folder.name) / f"{file.sha256}-{start_bytes}"
                hub_client.fetch_start(at, file, path, start_bytes)
                self._kept[key] = path
                self._forget_oldest()
            return self._kept[key]

    def close(self) -> None:
        """Removes them all."""
        self._folder.cleanup()

    def _forget_oldest(self) -> None:
        while len(self._kept) > _KEPT:
            self._kept.pop(next(iter(self._kept))).unlink(missing_ok=True)
