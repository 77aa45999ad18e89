"""The store: one DuckDB file with everything that was ever measured."""

from odllm_controller.store.control import START_PATIENCE_S, controlling
from odllm_controller.store.database import read, read_table
from odllm_controller.store.outbox import EntryId, Outbox
from odllm_controller.store.run import Run
from odllm_controller.store.writer import Speeds, Store

__all__ = [
    "START_PATIENCE_S",
    "EntryId",
    "Outbox",
    "Run",
    "Speeds",
    "Store",
    "controlling",
    "read",
    "read_table",
]
