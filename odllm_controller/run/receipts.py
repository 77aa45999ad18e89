"""What a device keeps until it is told that it is stored."""

from collections.abc import Callable, Sequence

from odllm_agent.contract import Entry


class Receipts:
    """The entries of one device's journal that came in, until it was told that they are stored.

    Args:
        is_stored: Whether an entry is stored, by its id.
    """

    def __init__(self, is_stored: Callable[[str], bool]) -> None:
        self._is_stored = is_stored
        self._open: list[str] = []
        self._sent: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self._open)

    def new(self, entries: Sequence[Entry]) -> list[Entry]:
        """Those entries that had not come in before, which count as come in from now on."""
        found = [entry for entry in entries if entry.id not in self._open]
        self._open += [entry.id for entry in found]
        return found

    def stored(self) -> tuple[str, ...]:
        """What the device may forget, as it is told now."""
        self._sent = tuple(filter(self._is_stored, self._open))
        return self._sent

    def arrived(self) -> None:
        """The device has heard what it was told last."""
        self._open = [each for each in self._open if each not in self._sent]
        self._sent = ()
