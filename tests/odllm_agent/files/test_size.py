import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.errors import UsageError
from odllm_agent.files.size import bytes_text, parse_bytes


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [
        ("0", 0),
        ("1000", 1000),
        ("1000B", 1000),
        ("50GB", 50 * 10**9),
        ("50 gb", 50 * 10**9),
        ("20GiB", 20 * 2**30),
        ("1.5T", 1_500_000_000_000),
        ("2KiB", 2048),
        (" 3M ", 3_000_000),
    ],
)
def test_a_size_is_read_as_people_write_it(text: str, n_bytes: int) -> None:
    assert parse_bytes(text) == n_bytes


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "1e3", "5 PB", "1,5GB", "many", "9" * 400])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no size") as caught:
        parse_bytes(text)
    assert "20GiB" in caught.value.remedy


@given(st.integers(0, 10**15))
def test_what_is_shown_is_what_it_is(n_bytes: int) -> None:
    shown = bytes_text(n_bytes).replace(",", "").removesuffix(" bytes")
    assert parse_bytes(shown) == pytest.approx(n_bytes, rel=0.005)
