"""Having a store to oneself for the time of a run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from odllm_agent.errors import StoreError, StoreHeld
from odllm_agent.files.lock import Claim
from odllm_controller.store.writer import Store

START_PATIENCE_S = 60.0
"""How long a run waits, before anything is measured, for whoever holds its store."""


@contextmanager
def controlling(path: Path, tell: Callable[[str], None] = lambda _: None) -> Iterator[Store]:
    """A store that no other run writes to as long as the context lasts.

    Runs that were under way when their controller was killed are marked so.

    Args:
        path: The file; it and its folders are made if they are missing.
        tell: Is told what is waited for, should another process hold the store.

    Raises:
        StoreError: Another run has it, or it cannot be opened; see `Store.open`.
    """
    try:
        store = replace(Store.open(path), patience_s=START_PATIENCE_S)
    except StoreHeld as held:
        tell(f"{held.message}; it is waited for, a minute at most")
        store = Store.open(path, START_PATIENCE_S)
    claim = Claim(store.path.with_name(f"{store.path.name}.lock"))
    if not claim.take():
        raise StoreError(
            f"the store {store.path} is in use by a run of {claim.holder}",
            "wait for that run or end it, or name another file with store.path",
        )
    try:
        store.abandon_runs()
        store.catch_up()
        yield replace(store, patience_s=None)
    finally:
        claim.release()
