"""What kind of file is imported, by its first bytes."""

import pytest

from odllm_controller.exchange.kind import Kind, kind_of


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"PAR1\0\0", Kind.PARQUET),
        (b'{"Opening":{"format":1}}\n', Kind.RUN),
        (b'a message\n{"Opening": {"format":1}}\n', Kind.RUN),
        (b'\xef\xbb\xbf{"Opening":', Kind.TEXT),
        (b'{"Opening', Kind.TEXT),
        (b'{"RoundResult":{}}\n', Kind.RUN),
        (b'"run","device","trial_id"\n', Kind.TEXT),
        (b'[{"n_prompt": 1}]', Kind.TEXT),
        (b"", Kind.TEXT),
        (b"\xff\xfe\0", Kind.TEXT),
    ],
)
def test_the_kind_follows_from_the_content(content: bytes, kind: Kind) -> None:
    assert kind_of(content) is kind
