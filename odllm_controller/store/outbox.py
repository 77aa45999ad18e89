"""What a run has to store, in order, until the store takes it.

It lasts no longer than the process. That is enough: a device keeps each result on its own disk
until it is told that the result is stored, and the rest the next run works out again.
"""

import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from odllm_agent.clock import monotonic_ns, seconds_since
from odllm_agent.errors import StoreHeld
from odllm_controller.store.writer import Store

# Readers need the file for a moment. Once it has turned out to be held, each look costs a moment.
_PATIENCE_S, _LOOK_S = 2.0, 0.05
_PAUSE_S = 0.5

EntryId = tuple[str, str]
"""A device's id, and that of an entry in its journal."""


@dataclass(frozen=True, slots=True)
class _Write:
    """One transaction.

    Attributes:
        do: What it does.
        n_results: How many results it stores.
        entry_ids: The entries of devices' journals that these lie in.
    """

    do: Callable[[Store], None]
    n_results: int = 0
    entry_ids: frozenset[EntryId] = frozenset()


class Outbox:
    """The transactions that wait for a store; nothing waits unless another process holds it.

    Args:
        store: The store.
    """

    def __init__(self, store: Store) -> None:
        self._store = replace(store, patience_s=_PATIENCE_S)
        self._hasty = replace(store, patience_s=_LOOK_S)
        self._waiting: deque[_Write] = deque()
        self._held: StoreHeld | None = None

    def put(
        self, do: Callable[[Store], None], n_results: int = 0, entry_ids: Collection[EntryId] = ()
    ) -> bool:
        """Adds a transaction, and carries out all that the store takes.

        Args:
            do: What it does.
            n_results: How many results it stores.
            entry_ids: The entries of devices' journals that these lie in.

        Returns:
            Whether nothing waits.

        Raises:
            StoreError: The store cannot be written, for another reason than that it is held.
        """
        self._waiting.append(_Write(do, n_results, frozenset(entry_ids)))
        return self.look_again()

    def look_again(self) -> bool:
        """Carries out what the store takes now.

        Returns:
            Whether nothing waits.

        Raises:
            StoreError: See `put`.
        """
        try:
            while self._waiting:
                self._waiting[0].do(self._hasty if self._held else self._store)
                self._held = None
                self._waiting.popleft()
        except StoreHeld as held:
            self._held = held
        return not self._waiting

    def wait(self, patience_s: float) -> None:
        """Looks again and again until nothing waits, at most for so long.

        Raises:
            StoreError: See `put`.
        """
        start = monotonic_ns()
        while not self.look_again() and seconds_since(start) < patience_s:
            time.sleep(_PAUSE_S)

    def has_stored(self, entry_id: EntryId) -> bool:
        """Whether an entry does not wait."""
        return not any(entry_id in write.entry_ids for write in self._waiting)

    def check_empty(self) -> None:
        """Checks that nothing waits.

        Raises:
            StoreHeld: Something does.
        """
        if self._held and self._waiting:
            n_results = sum(write.n_results for write in self._waiting)
            count = "1 result is" if n_results == 1 else f"{n_results} results are"
            what = f"{count} not stored" if n_results else "what became of it is not stored"
            raise StoreHeld(
                f"the run is over, but {what}: {self._held.message}",
                "End that process or wait for it, then run the same command again: it stores what "
                "the devices have kept, and measures only what is missing.",
                self._held.holder,
            )

    @property
    def told(self) -> str:
        """Who holds the store and what waits for it, in a line, or `""`."""
        if not self._held or not self._waiting:
            return ""
        n_results = sum(write.n_results for write in self._waiting)
        waiting = {0: "", 1: "; 1 result waits"}.get(n_results, f"; {n_results} results wait")
        return f"the store is held by {self._held.holder}{waiting}"
