"""What kind of file is imported, by its first bytes."""

import re
from enum import StrEnum
from typing import get_args

from odllm_agent.logbook import Entry

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


def kind_of(head: bytes) -> Kind:
    """The kind of a file.

    Args:
        head: Its first bytes.
    """
    if head.startswith(_PARQUET):
        return Kind.PARQUET
    return Kind.RUN if _ENTRY.search(head) else Kind.TEXT
