"""The token file, as a laptop takes it."""

from pathlib import Path

import pytest

from odllm_agent.errors import UsageError
from odllm_agent.network.fleet_token import checked_token_file


def test_a_file_of_this_user_alone_is_taken_by_its_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").touch(mode=0o600)
    (tmp_path / "token").write_text("secret")
    monkeypatch.chdir(tmp_path)
    assert checked_token_file(Path("token")) == tmp_path / "token"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_file_that_others_may_read_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "token"
    file.write_text("secret")
    file.chmod(mode)
    with pytest.raises(UsageError, match="others on this machine may read") as raised:
        checked_token_file(file)
    assert raised.value.remedy == f"chmod 600 {file}"
    assert "secret" not in str(raised.value)


def test_a_missing_and_an_empty_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        checked_token_file(tmp_path / "none")
    (tmp_path / "empty").touch(mode=0o600)
    with pytest.raises(UsageError, match="is empty"):
        checked_token_file(tmp_path / "empty")


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfsecret",
        "secret\r\n".encode("utf-16"),
        b"two words",
        b"s\xc3\xa9cret",
        b"a\nb",
    ],
)
def test_what_a_shell_made_of_a_token_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").touch(mode=0o600)
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(UsageError, match="something else than a token") as raised:
        checked_token_file(tmp_path / "token")
    assert "cret" not in str(raised.value)
