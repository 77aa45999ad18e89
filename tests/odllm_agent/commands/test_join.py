"""`odllm-agent join` and `install-service` as they are typed, without a head."""

import os
import plistlib
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from odllm_agent.cli import main
from odllm_agent.errors import UsageError
from odllm_agent.fleet import Membership
from odllm_agent.network.address import Address


@pytest.fixture
def token(tmp_path: Path) -> str:
    path = tmp_path / "token"
    path.touch(mode=0o600)
    path.write_text("secret")
    return str(path)


@pytest.fixture
def cpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The CPUs of this process, which has them again afterwards."""
    monkeypatch.setenv("ODLLM_VIRTUAL", "")
    before = psutil.Process().cpu_affinity() or []
    yield before
    psutil.Process().cpu_affinity(before)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--name", "two words"], "'two words' cannot be a name"),
        (["--label", "room"], "'room' is no label"),
        (["--label", "odllm-device=x"], "'odllm-device' is taken"),
        (["--label", "room=a,b"], "'a,b' cannot be a name or a label"),
        (["--ports", "1-2"], "is no range of ports"),
        (["--tls-dir", "/nowhere"], "lacks node.pem, node.key, ca.pem"),
        (["--cpus", "0"], "needs a name"),
        (["--cpus", "zero", "--name", "n"], "cannot keep to the CPUs zero"),
        (["--cpus", "4095", "--name", "n"], "cannot keep to the CPUs 4095"),
    ],
)
def test_wrong_usage_is_refused_by_name(
    token: str, cpus: list[int], capsys: pytest.CaptureFixture[str], options: list[str], told: str
) -> None:
    assert main(["join", "127.0.0.1:1", "--token-file", token, *options]) == 2
    assert told in capsys.readouterr().err


def test_a_token_file_that_others_may_read_is_refused(
    token: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(token).chmod(0o644)
    assert main(["join", "127.0.0.1:1", "--token-file", token]) == 2
    assert "chmod 600" in capsys.readouterr().err


def test_a_node_is_told_its_device_and_never_the_token(token: str) -> None:
    membership = Membership(
        Address("lab"), Path(token), "id-1", "lab-1", {"room": "12"}, model_server="http://lab:1"
    )
    options, environment = membership.options(), membership.environment()
    assert "--address=lab:6379" in options
    (labels,) = [each for each in options if each.startswith("--labels=")]
    assert {"room=12", "odllm-device=id-1", "odllm-name=lab-1"} <= {
        *labels.removeprefix("--labels=").split(",")
    }
    assert environment["ODLLM_MODEL_SERVER"] == "http://lab:1"
    assert environment["ODLLM_FLEET_TOKEN_FILE"] == environment["RAY_AUTH_TOKEN_PATH"] == token
    assert "secret" not in str((options, environment))


def test_a_label_may_not_take_the_place_of_the_devices_own() -> None:
    with pytest.raises(UsageError):
        Membership(Address("lab"), Path("t"), "id-1", "lab-1", {"odllm-name": "x"})


def test_a_service_joins_with_absolute_paths_and_all_options(
    token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ODLLM_CACHE_DIR", "/models")
    options = ["--token-file", "token", "--name", "lab-1", "--label", "room=12", "--print"]
    assert main(["install-service", "lab:1", *options, "--system", "launchd"]) == 0
    told = plistlib.loads(capsys.readouterr().out.encode())
    words = [sys.executable, "-m", "odllm_agent", "join", "lab:1", "--token-file", token]
    assert told["ProgramArguments"] == [*words, "--name", "lab-1", "--label", "room=12"]
    assert told["EnvironmentVariables"]["ODLLM_CACHE_DIR"] == "/models"


def test_without_systemd_nothing_is_installed(
    token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert main(["install-service", "lab", "--token-file", token, "--system", "systemd"]) == 2
    assert "no systemd" in capsys.readouterr().err
    assert not (tmp_path / "config").exists()
