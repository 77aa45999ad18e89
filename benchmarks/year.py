"""Stores as large as a year of results, by formula: nothing in them was measured."""

from importlib import resources
from pathlib import Path

from odllm_controller.store import Store, database
from odllm_controller.store.scripts import script

ROUNDS = 5
REPEATS = 5
TOKENS = 16


def make(path: Path, repeats: int, devices: int) -> Store:
    """Makes a store.

    Args:
        path: Where; there is nothing yet.
        repeats: Measured repeats in all, in trials of 5 rounds of 5 repeats and a warm-up.
        devices: That the trials are spread over.
    """
    store = Store.open(path)
    sizes = {
        "devices": devices,
        "trials": repeats // (ROUNDS * REPEATS),
        "rounds": ROUNDS,
        "repeats": REPEATS,
        "tokens": TOKENS,
    }
    with database.writing(path) as connection:
        for name, size in sizes.items():
            connection.execute(f"SET VARIABLE {name} = {size}")
        connection.execute((resources.files("benchmarks") / "year.sql").read_text("utf-8"))
        connection.execute(f"INSERT INTO summaries BY NAME {script('summaries.sql')}")
    return store
