"""`odllm-agent serve` as a process of its own, as a fleet starts it."""

import http.client
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from odllm_agent.cli import main
from odllm_agent.models import Cache, local_file
from odllm_agent.network.fleet_key import key_of
from tests import family

TOKEN = "a-token-that-nobody-may-see"


@dataclass(frozen=True, slots=True)
class Serving:
    process: subprocess.Popen[str]
    address: str

    def status(self, path: str, key: str) -> int:
        connection = http.client.HTTPConnection(urlsplit(self.address).netloc, timeout=30)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
            return connection.getresponse().status
        finally:
            connection.close()


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.touch(mode=stat.S_IRUSR | stat.S_IWUSR)
    path.write_text(f"{TOKEN}\n")
    return path


@contextmanager
def serving(token_file: Path, root: Path) -> Iterator[Serving]:
    command = [sys.executable, "-m", "odllm_agent", "serve", "--port", "0", "--json"]
    process = subprocess.Popen(
        [*command, "--token-file", str(token_file)],
        env=os.environ | {"ODLLM_CACHE_DIR": str(root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout
            told = json.loads(process.stdout.readline())
            assert told["root"] == str(root)
            yield Serving(process, told["address"])
        finally:
            process.kill()


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
def test_it_serves_this_device_s_cache_until_it_is_ended(
    token_file: Path, tiny: Path, tmp_path: Path
) -> None:
    root = tmp_path / "cache"
    sha256 = local_file.add([tiny], Cache(root)).sha256
    with serving(token_file, root) as served:
        assert served.address.startswith("http://127.0.0.1:")
        assert served.status(f"/sha256/{sha256}/{sha256}", key_of(TOKEN)) == 200
        assert served.status(f"/sha256/{sha256}/{sha256}", "wrong") == 401
        commands = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, check=True)
        served.process.send_signal(signal.SIGTERM)
        out, err = served.process.communicate(timeout=family.PATIENCE_S)
    assert f"GET '/sha256/{sha256}/{sha256}', all of it" in err
    assert "a wrong key" in err
    told = f"{out}{err}{commands.stdout.decode()}"
    assert not any(secret in told for secret in (TOKEN, key_of(TOKEN)))


@pytest.mark.parametrize("content", ["", "\n"])
def test_without_a_token_it_does_not_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    (tmp_path / "token").write_text(content)
    for name in ("token", "none"):
        assert main(["serve", "--port", "0", "--token-file", str(tmp_path / name)]) == 2
        assert "holds no token" in capsys.readouterr().err


def test_without_a_certificate_it_does_not_speak_tls(
    token_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--port", "0", "--token-file", str(token_file), "--tls-dir", str(tmp_path)]
    assert main(["serve", *arguments]) == 2
    assert "node.pem" in capsys.readouterr().err


def test_a_port_that_is_taken_is_told(token_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["serve", "--port", port, "--token-file", str(token_file)]) == 2
    assert port in capsys.readouterr().err


def test_a_laptop_that_serves_nothing_needs_no_server(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "sys.modules['starlette'] = sys.modules['uvicorn'] = None\n"
        "from odllm_agent.cli import main\n"
        f"(open({str(tmp_path / 'token')!r}, 'w')).write('x')\n"
        f"sys.exit(main(['serve', '--token-file', {str(tmp_path / 'token')!r}]))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert 'pip install "odllm[serve]"' in ended.stderr
