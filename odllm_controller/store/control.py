"""Having a store to oneself for the time of a run."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from odllm_agent.errors import StoreError
from odllm_agent.files.lock import Claim
from odllm_controller.store.writer import Store


@contextmanager
def controlling(path: Path) -> Iterator[Store]:
    """A store that no other run writes to as long as the context lasts.

    Runs that were under way when their controller was killed are marked so.

    Args:
        path: The file; it and its folders are made if they are missing.

    Raises:
        StoreError: Another run has it, or it cannot be opened; see `Store.open`.
    """
    store = Store.open(path)
    claim = Claim(store.path.with_name(f"{store.path.name}.lock"))
    if not claim.take():
        raise StoreError(
            f"the store {store.path} is in use by a run of {claim.holder}",
            "wait for that run or end it, or name another file with store.path",
        )
    try:
        store.abandon_runs()
        store.catch_up()
        yield store
    finally:
        claim.release()
