"""The view `results` in files: Parquet, CSV and JSON lines, written and read."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet

from odllm_agent.errors import UsageError
from odllm_agent.logbook import Damage
from odllm_controller.exchange.lines import Numbered

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


def parquet_rows(path: Path) -> Numbered:
    """The rows of a Parquet file, with the number of each.

    Raises:
        UsageError: It is damaged.
    """
    try:
        with pa_parquet.ParquetFile(path) as file:
            yield from enumerate(_rows(file), start=1)
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"{path} is damaged: {error}", "export it again") from error


def csv_rows(path: Path) -> Numbered:
    """The rows of a CSV file, with the number of the line on which each ends.

    Raises:
        UsageError: It is damaged, or no text.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            heading = next(reader, [])
            for cells in reader:
                yield reader.line_num, _row(heading, cells)
    except (csv.Error, ValueError, OSError) as error:
        raise UsageError(f"{path} is damaged: {error}", "export it again") from error


def _rows(file: pa_parquet.ParquetFile) -> Iterator[dict[str, object]]:
    for batch in file.iter_batches(batch_size=1000):
        yield from batch.to_pylist()


def _row(heading: list[str], cells: list[str]) -> object:
    if len(cells) != len(heading):
        return Damage(f"it has {len(cells)} cells, and the heading has {len(heading)}")
    row = {name: cell or None for name, cell in zip(heading, cells, strict=True)}
    # A text that is empty and one that is missing look alike in CSV.
    without_flags = not row.get("flags") and row.get("repeats") not in {None, "0"}
    return row | {"flags": ""} if without_flags else row
