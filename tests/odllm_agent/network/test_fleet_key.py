"""The key to the model server, which follows from the token and does not tell it."""

import hashlib
import hmac
from pathlib import Path

import pytest

from odllm_agent.network.fleet_key import key_of, read_key


def test_the_key_is_the_hmac_of_the_purpose() -> None:
    expected = hmac.digest(b"secret", b"odllm model server", hashlib.sha256).hex()
    assert key_of("secret") == expected
    assert "secret" not in key_of("secret")


def test_another_token_gives_another_key() -> None:
    assert key_of("secret") != key_of("secret2")


def test_the_newline_at_the_end_of_a_file_is_no_part_of_the_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    assert read_key(tmp_path / "token") == key_of("secret")


@pytest.mark.parametrize("content", [b"", b"\n", "tökén".encode()])
def test_a_file_that_holds_no_token_gives_no_key(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(ValueError, match=r"empty|ascii"):
        read_key(tmp_path / "token")
