"""A claim on something that one process at a time may have, kept by the kernel."""

import contextlib
import os
from pathlib import Path

from filelock import FileLock, Timeout


class Claim:
    """A lock on a file that ends with the process that holds it, however that ends.

    Args:
        path: The file; who holds it stands beside it.
    """

    def __init__(self, path: Path) -> None:
        self._lock = FileLock(path)
        # The locked file itself is emptied by whoever tries to lock it.
        self._holder = path.with_name(f"{path.name}.pid")

    def take(self, patience_s: float = 0.0) -> bool:
        """Takes the claim unless another process has it; harmless when it is held already.

        Args:
            patience_s: How long to wait for the other.

        Raises:
            OSError: The file cannot be made.
        """
        if self._lock.is_locked:
            return True
        self._holder.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=patience_s)
        except Timeout:
            return False
        # A full disk hides who has the claim, and is no reason not to have it.
        with contextlib.suppress(OSError):
            self._holder.write_text(str(os.getpid()))
        return True

    def release(self) -> None:
        """Gives the claim up, if it is held."""
        if self._lock.is_locked:
            self._holder.unlink(missing_ok=True)
            self._lock.release()

    @property
    def holder(self) -> str:
        """Who has the claim, in words."""
        with contextlib.suppress(OSError, ValueError):
            return f"process {int(self._holder.read_text())}"
        return "another process"
