"""The fleet's token."""

from pathlib import Path

import pytest

from odllm_agent.errors import UsageError
from odllm_controller.head.token import token_file


def test_a_token_is_made_once_for_this_user_alone(tmp_path: Path) -> None:
    path = token_file(tmp_path / "fleet")
    made = path.read_text()
    assert len(bytes.fromhex(made)) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert token_file(tmp_path / "fleet").read_text() == made
    assert token_file(tmp_path / "other").read_text() != made


def test_a_token_that_others_may_read_is_refused(tmp_path: Path) -> None:
    token_file(tmp_path).chmod(0o644)
    with pytest.raises(UsageError, match="others on this machine may read"):
        token_file(tmp_path)
