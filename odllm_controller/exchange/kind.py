"""What kind of figures a file holds, by its first bytes."""

from enum import StrEnum
from pathlib import Path

from odllm_agent.errors import UsageError

# A device's name may be long, and comes before what tells the kind.
_HEAD_BYTES = 1 << 18
_PARQUET = b"PAR1"
_SQL = (b"create table", b"insert into")


class Kind(StrEnum):
    """What a file holds."""

    RUN = "what `odllm-agent run` measured"
    PARQUET = "rows of `results` as Parquet"
    CSV = "rows of `results` as CSV"
    JSON_LINES = "rows of `results` as JSON lines"
    BENCH_JSON = "llama-bench's JSON"
    BENCH_JSON_LINES = "llama-bench's JSON lines"
    BENCH_SQL = "llama-bench's SQL"

    @property
    def of_llama_bench(self) -> bool:
        """Whether llama-bench wrote it."""
        return self in {Kind.BENCH_JSON, Kind.BENCH_JSON_LINES, Kind.BENCH_SQL}


def kind_of(path: Path) -> Kind:
    """The kind of a file.

    Args:
        path: The file.

    Raises:
        UsageError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}",
            "name a file of `odllm-agent run`, `odllm export` or llama-bench",
        ) from error
    return _kind(head)


def _kind(head: bytes) -> Kind:
    if head.startswith(_PARQUET):
        return Kind.PARQUET
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    first = start.partition(b"\n")[0]
    if start.startswith(b"["):
        return Kind.BENCH_JSON
    if start.startswith(b"{"):
        return _kind_of_line(first)
    if start[:12].lower().startswith(_SQL):
        return Kind.BENCH_SQL
    return Kind.CSV if b"trial_id" in first else Kind.RUN


def _kind_of_line(line: bytes) -> Kind:
    """The kind of JSON lines, also if the first one is damaged."""
    if b'"n_prompt"' in line:
        return Kind.BENCH_JSON_LINES
    return Kind.JSON_LINES if b'"device_kind"' in line else Kind.RUN
