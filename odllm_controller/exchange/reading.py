"""Files of figures, of any kind, row by row."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from odllm_agent.errors import UsageError
from odllm_agent.logbook import Damage
from odllm_controller.exchange import bench_test
from odllm_controller.exchange.bench_sql import sql_rows
from odllm_controller.exchange.figures import Figures
from odllm_controller.exchange.kind import Kind
from odllm_controller.exchange.lines import Numbered, json_array, json_lines, text_of
from odllm_controller.exchange.result_files import csv_rows, parquet_rows
from odllm_controller.exchange.result_row import ResultRows, Types

_READERS: Mapping[Kind, Callable[[Path], Numbered]] = {
    Kind.PARQUET: parquet_rows,
    Kind.CSV: csv_rows,
    Kind.JSON_LINES: json_lines,
    Kind.BENCH_JSON: lambda path: json_array(text_of(path)),
    Kind.BENCH_JSON_LINES: json_lines,
    Kind.BENCH_SQL: lambda path: sql_rows(text_of(path)),
}

Taken: TypeAlias = Iterator[tuple[int, Figures | Damage]]
"""Rows, or what is wrong with them, with the number of the line; of Parquet, of the row."""


def taken(path: Path, kind: Kind, types: Types, device: str | None = None) -> Taken:
    """What a file of figures holds.

    Args:
        path: The file.
        kind: What it holds; not a run of its own.
        types: The columns of the store's table `imported`.
        device: What to call the device of llama-bench's tests, if not by its processor.

    Raises:
        UsageError: The rest of it cannot be read, or it names its devices itself.
    """
    if device and not kind.of_llama_bench:
        raise UsageError(f"{path} names its devices itself", "leave out --device for it")
    rows = ResultRows(types, path.name)
    for number, told in _READERS[kind](path):
        yield number, told if isinstance(told, Damage) else _checked(told, kind, rows, path, device)


def _checked(
    told: object, kind: Kind, rows: ResultRows, path: Path, device: str | None
) -> Figures | Damage:
    try:
        if kind.of_llama_bench:
            return bench_test.figures(told, path.name, device)
        return rows.figures(told)
    except ValueError as error:
        return Damage(str(error))
