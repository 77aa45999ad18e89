"""`odllm fleet` as it is typed."""

import dataclasses
import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from odllm_agent.contract import Event, EventKind
from odllm_agent.doctor.device import device_id
from odllm_agent.errors import DispatchError, UsageError
from odllm_agent.host.versions import Versions
from odllm_agent.terminal.program import run
from odllm_controller.cli.commands.fleet import app
from tests import stores, support
from tests.joining import fleet_in, join


@pytest.mark.ray
def test_a_fleet_goes_up_once_shows_its_devices_and_goes_down(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with fleet_in(tmp_path / "fleet") as address:
        assert run(app, ["up", "--port", str(address.port)]) == 0
        told = capsys.readouterr().out
        line = f"odllm-agent join {address} --token-file odllm.token"
        assert line in told
        assert "Only this machine can reach it" in told
        assert run(app, ["up", "--json"]) == 0
        up = json.loads(capsys.readouterr().out)
        assert (up["address"], up["join"].startswith(line)) == (str(address), True)
        assert Path(up["token_file"]).exists()
        with join(tmp_path, up["address"], Path(up["token_file"]), "--name", "lab-1") as device:
            device.says("joined the fleet")
            # Ray reads its environment once in a process.
            command = [sys.executable, "-m", "odllm_controller", "fleet", "status", "--json"]
            elsewhere = ["--store", str(tmp_path / "none.duckdb")]
            done = subprocess.run([*command, *elsewhere], capture_output=True, check=True)
            (shown,) = json.loads(done.stdout)
            assert (shown["device_id"], shown["name"]) == (device_id(), "lab-1")
            assert (shown["state"], shown["trial"]) == ("joined", None)
            assert shown["odllm_version"] == metadata.version("odllm")
            assert shown["reasons"]["trial"] == "no controller has used it yet"
            assert device.leave() == 0
        another = dataclasses.replace(Versions.here(), python="3.10.1")
        with monkeypatch.context() as patch:
            patch.setattr(Versions, "here", lambda: another)
            with pytest.raises(DispatchError, match=r"Python is 3\.10"):
                run(app, ["up"])
        assert run(app, ["down"]) == 0
        assert f"the head at {address} is down" in capsys.readouterr().out
        assert run(app, ["down"]) == 0
        assert "no head of a fleet is up" in capsys.readouterr().out


def test_status_without_a_head_says_how_to_start_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODLLM_FLEET_DIR", str(tmp_path))
    with pytest.raises(DispatchError) as raised:
        run(app, ["status"])
    assert raised.value.remedy == "start it with `odllm fleet up`"


@pytest.mark.parametrize("address", ["0.0.0.0", "::"])
def test_an_address_that_no_laptop_can_reach_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("ODLLM_FLEET_DIR", str(tmp_path))
    with pytest.raises(UsageError, match="no address that a laptop can reach"):
        run(app, ["up", "--address", address])


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "store.duckdb"
    lab, other = support.device("lab-1"), support.device("[red]lab-2")
    written = stores.begun(path, lab, other)
    written.add(
        (),
        [
            ("run-1", Event(stores.later(1), EventKind.JOINED, lab.id, "as lab-1")),
            ("run-1", Event(stores.later(3), EventKind.REFUSED, other.id, "Ray is 1 [b]here[/b]")),
            ("run-1", Event(stores.later(2), EventKind.STORED, lab.id, "one trial")),
            ("run-1", Event(stores.later(4), EventKind.LEFT, "never measured")),
        ],
    )
    return path


def test_events_stand_in_the_order_of_their_time(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(app, ["events", "--store", str(store)]) == 0
    told = capsys.readouterr().out
    places = [told.index(word) for word in ("joined", "stored", "refused", "never measured")]
    assert places == sorted(places)
    # What a device says is no markup.
    assert "[red]lab-2" in told
    assert "Ray is 1 [b]here[/b]" in told


@pytest.mark.parametrize(
    ("options", "kinds"),
    [
        (["--device", "lab-1"], ["joined", "stored"]),
        (["--device", "id-of-lab-1", "--kind", "stored"], ["stored"]),
        (["--kind", "refused"], ["refused"]),
        (["--device", "' OR 1=1 --"], []),
    ],
)
def test_events_of_one_device_or_kind_as_json(
    store: Path, capsys: pytest.CaptureFixture[str], options: list[str], kinds: list[str]
) -> None:
    assert run(app, ["events", "--store", str(store), "--json", *options]) == 0
    assert [each["kind"] for each in json.loads(capsys.readouterr().out)] == kinds


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(app, ["--help"])
    assert "odllm fleet up --address" in capsys.readouterr().out
