"""The store: one DuckDB file with everything that was ever measured."""

from odllm_controller.store.ceiling_key import CeilingKey
from odllm_controller.store.control import controlling
from odllm_controller.store.database import read
from odllm_controller.store.run import Run
from odllm_controller.store.skip import Skip
from odllm_controller.store.writer import Speeds, Store

__all__ = ["CeilingKey", "Run", "Skip", "Speeds", "Store", "controlling", "read"]
