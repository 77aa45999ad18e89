"""Whoever does not hold the fleet's token stays outside, by whichever door."""

import json
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import family
from tests.fleet.fleet import Fleet
from tests.fleet.host import Host
from tests.fleet.network import network, why_not

# Ray itself takes 20 s and more to give up.
pytestmark = pytest.mark.chaos

_JOIN = ("-m", "odllm_agent", "join")
_NODE = ("-m", "ray.scripts.scripts", "start", "--block")
_DRIVER = "import ray, sys; ray.init(address=sys.argv[1])"
_FETCH = """
import sys, urllib.error, urllib.request
request = urllib.request.Request(sys.argv[1])
if sys.argv[2]:
    request.add_header("Authorization", f"Bearer {sys.argv[2]}")
try:
    sys.exit(f"was let in: {urllib.request.urlopen(request, timeout=9).status}")
except urllib.error.HTTPError as refused:
    print(refused.code)
"""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A head, and a host that is in no fleet."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with network() as switch:
        made = Fleet(switch, tmp_path_factory.mktemp("entry"), ["eve"])
        made.up()
        yield made


@pytest.fixture(params=["no token", "a wrong token"])
def forged(fleet: Fleet, request: pytest.FixtureRequest) -> Path | None:
    """What eve has for a token file."""
    if request.param == "no token":
        return None
    path = _eve(fleet).home / "forged.token"
    path.write_text(secrets.token_hex(32))
    path.chmod(0o600)
    return path


def test_an_agent_does_not_join(fleet: Fleet, forged: Path | None) -> None:
    missing = _eve(fleet).home / "no.token"

    said = _refused(fleet, forged, *_JOIN, fleet.desk.address, "--token-file", forged or missing)

    assert "token" in said
    assert "Traceback" not in said
    assert not fleet.device_ids()


def test_a_node_of_ray_does_not_join(fleet: Fleet, forged: Path | None) -> None:
    labels = "--labels=odllm-device=eve"

    _refused(fleet, forged, *_NODE, f"--address={_head(fleet)['address']}", labels)

    assert not fleet.device_ids()


def test_a_driver_is_not_let_in(fleet: Fleet, forged: Path | None) -> None:
    said = _refused(fleet, forged, "-c", _DRIVER, str(_head(fleet)["address"]))

    assert "authentication" in said.lower()


def test_a_file_is_not_given_out(fleet: Fleet, forged: Path | None) -> None:
    server = _head(fleet).get("model_server")
    if not server:
        pytest.skip("this head serves no models")
    key = forged.read_text() if forged else ""

    assert _eve(fleet).run(sys.executable, "-c", _FETCH, f"{server}/", key).strip() in {
        "401",
        "403",
    }


def _eve(fleet: Fleet) -> Host:
    return fleet.devices[0]


def _head(fleet: Fleet) -> dict[str, object]:
    told: dict[str, object] = json.loads((fleet.token.parent / "head.json").read_bytes())
    return told


def _refused(fleet: Fleet, token: Path | None, *command: object) -> str:
    """What a command of eve's says that has to fail."""
    entry = ["RAY_AUTH_MODE=token", f"RAY_AUTH_TOKEN_PATH={token}"] if token else []
    begun = _eve(fleet).start("env", *entry, sys.executable, *map(str, command))
    assert begun.wait(family.PATIENCE_S) != 0, _eve(fleet).said(begun)
    return _eve(fleet).said(begun)
