"""What is imported as figures, record by record, whatever each of them is."""

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from odllm_agent.errors import UsageError
from odllm_agent.offline.logbook import Damage
from odllm_controller.exchange.figures import Figures
from odllm_controller.exchange.kind import Kind
from odllm_controller.exchange.llama_bench import record as bench_test
from odllm_controller.exchange.records import records
from odllm_controller.exchange.result_files import parquet_rows
from odllm_controller.exchange.result_row import ResultRows, Types
from odllm_controller.exchange.source import ImportSource

_OF_BENCH = frozenset({"n_prompt", "n_gen", "avg_ts", "samples_ns", "build_commit"})
_OF_RESULTS = frozenset({"device", "device_kind", "model", "trial_id", "status"})

Taken: TypeAlias = Iterator[tuple[int, Figures | Damage]]
"""Rows, or what is wrong with them, with the number of the line; of Parquet, of the row."""


def taken(source: ImportSource, types: Types, device: str | None = None) -> Taken:
    """What a file of figures holds.

    Args:
        source: The file; not a run of its own.
        types: The columns of the store's table `imported`.
        device: What to call the device of llama-bench's tests, if not by its processor.

    Raises:
        UsageError: The rest of it cannot be read, or it names its devices itself.
    """
    rows = ResultRows(types, source.name)
    parquet = source.kind is Kind.PARQUET
    for number, told in parquet_rows(source) if parquet else records(source.text()):
        if isinstance(told, Damage):
            yield number, told
        else:
            yield number, _checked(told, rows, source, device)


def _checked(
    told: object, rows: ResultRows, source: ImportSource, device: str | None
) -> Figures | Damage:
    names = told.keys() if isinstance(told, Mapping) else frozenset()
    try:
        if names & _OF_BENCH:
            return bench_test.figures(told, source.name, device)
        if not names & _OF_RESULTS:
            return Damage("it is neither a test of llama-bench nor a row of `results`")
        if device:
            raise UsageError(f"{source.path} names its devices itself", "leave out --device for it")
        return rows.figures(told)
    except ValueError as error:
        return Damage(str(error))
