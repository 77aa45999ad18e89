"""What kind of file is imported, by its first bytes."""

import re
from enum import StrEnum
from typing import get_args

from odllm_agent.formats.file_kind import PACKINGS, FileKind
from odllm_agent.offline.logbook import Entry

HEAD_BYTES = 1 << 18
"""How much of a file tells its kind; a device's name may be long, and logs may come first."""

_PARQUET = b"PAR1"
_ENTRIES = "|".join(kind.__name__ for kind in get_args(Entry))
_ENTRY = re.compile(rf'^\s*\{{\s*"({_ENTRIES})"\s*:'.encode(), re.MULTILINE)


class Kind(StrEnum):
    """What a file holds."""

    RUN = "what `odllm-agent run` measured"
    PARQUET = "rows of `results` as Parquet"
    TEXT = "records, each of which says what it is"


# What holds records at best within it, by the bytes at a place, and how to get at them.
_NO_RECORDS = (
    *PACKINGS,
    (
        0,
        b"PK\x03\x04",
        FileKind("a zip archive, as of a spreadsheet", "unpack it, or save it as CSV"),
    ),
    (
        0,
        b"SQLite format 3\0",
        FileKind("a database of SQLite", "write its table with `sqlite3 -csv -header`"),
    ),
    (
        8,
        b"DUCK",
        FileKind("a database of DuckDB", "a store of ODLLM writes its results with `odllm export`"),
    ),
    (0, b"%PDF", FileKind("a PDF document", "import what it was made of")),
)


def packing_of(head: bytes) -> FileKind | None:
    """What a file is that holds no records as it is, and what to do about it.

    Args:
        head: Its first bytes.
    """
    return next((kind for at, mark, kind in _NO_RECORDS if head.startswith(mark, at)), None)


def kind_of(head: bytes) -> Kind:
    """The kind of a file.

    Args:
        head: Its first bytes.
    """
    if head.startswith(_PARQUET):
        return Kind.PARQUET
    return Kind.RUN if _ENTRY.search(head) else Kind.TEXT
