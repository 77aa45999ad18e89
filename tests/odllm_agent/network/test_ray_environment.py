"""What Ray is told by its environment."""

import os
from pathlib import Path

import pytest

from odllm_agent.network.ray_environment import child_environment, ray_environment, surround

TOKEN = "0123456789abcdef"


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text(TOKEN)
    return tmp_path / "token"


def test_the_token_is_told_by_its_path_alone(token_file: Path) -> None:
    told = ray_environment(token_file)
    assert told["RAY_AUTH_TOKEN_PATH"] == str(token_file)
    assert told["RAY_AUTH_MODE"] == "token"
    assert TOKEN not in str(told)


def test_what_a_shell_has_of_ray_is_not_obeyed(
    token_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "of another fleet")
    monkeypatch.setenv("RAY_ADDRESS", "elsewhere:1")
    child = child_environment(ray_environment(token_file))
    assert "RAY_AUTH_TOKEN" not in child
    assert "RAY_ADDRESS" not in child
    assert child["PATH"] == os.environ["PATH"]
    surround(ray_environment(token_file))
    assert "RAY_AUTH_TOKEN" not in os.environ
    for name in ray_environment(token_file):
        monkeypatch.delenv(name)


def test_with_a_certificate_ray_encrypts_and_without_one_it_does_not(token_file: Path) -> None:
    assert ray_environment(token_file)["RAY_USE_TLS"] == "0"
    told = ray_environment(token_file, Path("/certificate"))
    assert told["RAY_USE_TLS"] == "1"
    assert told["RAY_TLS_CA_CERT"] == "/certificate/ca.pem"
