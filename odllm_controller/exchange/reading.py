"""What is imported as figures, record by record, whatever each of them is."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from odllm_agent.errors import UsageError
from odllm_agent.offline.logbook import Damage
from odllm_controller.exchange import result_row
from odllm_controller.exchange.figures import Figures
from odllm_controller.exchange.kind import Kind
from odllm_controller.exchange.llama_bench import record as llama_bench
from odllm_controller.exchange.record_form import RecordFile, RecordForm, RecordReader, Types
from odllm_controller.exchange.records import records
from odllm_controller.exchange.result_files import parquet_rows
from odllm_controller.exchange.source import ImportSource

FORMS: tuple[RecordForm, ...] = (llama_bench.FORM, result_row.FORM)
"""All kinds of records; of one that several know, the first is it."""

Taken: TypeAlias = Iterator[tuple[int, Figures | Damage]]
"""Rows, or what is wrong with them, with the number of the line; of Parquet, of the row."""


def taken(source: ImportSource, types: Types, device: str | None = None) -> Taken:
    """What a file of figures holds.

    Args:
        source: The file; not a run of its own.
        types: The columns of the store's table `imported`.
        device: What to call the device of records that name none, if not by its processor.

    Raises:
        UsageError: The rest of it cannot be read, or it names its devices itself.
    """
    file = RecordFile(source.name, types, device)
    readers = [(form, form.reader(file)) for form in FORMS]
    parquet = source.kind is Kind.PARQUET
    for number, told in parquet_rows(source) if parquet else records(source.text()):
        if isinstance(told, Damage):
            yield number, told
        else:
            yield number, _checked(told, readers, source, device)


def _checked(
    told: object,
    readers: Sequence[tuple[RecordForm, RecordReader]],
    source: ImportSource,
    device: str | None,
) -> Figures | Damage:
    record = told if isinstance(told, Mapping) else {}
    for form, read in readers:
        if form.knows(record):
            if device and form.names_device:
                remedy = "leave out --device for it"
                raise UsageError(f"{source.path} names its devices itself", remedy)
            try:
                return read(record)
            except ValueError as error:
                return Damage(str(error))
    *others, last = (form.what for form, _ in readers)
    return Damage(f"it is neither {', '.join(others)} nor {last}")
