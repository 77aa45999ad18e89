"""The view `results` in files: Parquet, CSV and JSON lines, written and read."""

import json
from typing import BinaryIO

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet

from odllm_agent.errors import UsageError
from odllm_controller.exchange.records import Numbered
from odllm_controller.exchange.source import ImportSource

_JSON = ("settings", "accuracies")


def write_parquet(rows: pa.Table, file: BinaryIO) -> None:
    """Writes all rows, with the types of their columns."""
    pa_parquet.write_table(rows, file)


def write_csv(rows: pa.Table, file: BinaryIO) -> None:
    """Writes a heading and a line per row; what is missing is left empty."""
    pa_csv.write_csv(rows, file)


def write_json_lines(rows: pa.Table, file: BinaryIO) -> None:
    """Writes a JSON object per row; settings are objects in it, and what is missing is null."""
    for batch in rows.to_batches():
        for row in batch.to_pylist():
            plain = row | {name: json.loads(row[name]) for name in _JSON if row.get(name)}
            file.write(json.dumps(plain, default=str).encode() + b"\n")


def parquet_rows(source: ImportSource) -> Numbered:
    """The rows of a Parquet file, with the number of each.

    Raises:
        UsageError: It is damaged.
    """
    try:
        with pa_parquet.ParquetFile(source.file) as file:
            batches = file.iter_batches(batch_size=1000)
            yield from enumerate((row for each in batches for row in each.to_pylist()), start=1)
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"{source.path} is damaged: {error}", "export it again") from error
