"""What a file holds, by its first bytes."""

import json
from pathlib import Path

import pytest

from odllm_agent.errors import UsageError
from odllm_controller.exchange.kind import Kind, kind_of
from tests.odllm_controller.exchange.told import DATA, entry


@pytest.mark.parametrize(
    ("ending", "kind"),
    [("json", Kind.BENCH_JSON), ("jsonl", Kind.BENCH_JSON_LINES), ("sql", Kind.BENCH_SQL)],
)
def test_what_llama_bench_wrote_is_known(ending: str, kind: Kind) -> None:
    assert kind_of(DATA / f"llama-bench-0c1e570.{ending}") is kind
    assert kind.of_llama_bench


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"PAR1\0\0", Kind.PARQUET),
        (b'"run","device","trial_id"\n', Kind.CSV),
        (b'{"run": null, "device_kind": "real"}', Kind.JSON_LINES),
        (b'{"Opening":{"format":1}}', Kind.RUN),
        (b"\xef\xbb\xbf  [\n", Kind.BENCH_JSON),
        (b"insert into test (a) values ('1');", Kind.BENCH_SQL),
        (b"", Kind.RUN),
        (b"\xff\xfe\0", Kind.RUN),
        (json.dumps(entry()).encode()[:-20], Kind.BENCH_JSON_LINES),
    ],
)
def test_the_kind_follows_from_the_content(content: bytes, kind: Kind, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert kind_of(path) is kind
    assert not (kind is Kind.RUN and kind.of_llama_bench)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        kind_of(tmp_path / "none")
