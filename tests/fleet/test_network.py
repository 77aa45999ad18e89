"""Hosts are apart from this machine and from each other, and what is done to one shows there."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import family
from tests.fleet.host import REPOSITORY, Host
from tests.fleet.network import Network, why_not
from tests.fleet.waiting import wait_until

_GET = "import socket, sys; socket.create_connection((sys.argv[1], 7000), 1)"
_SERVE = "import signal, socket; kept = socket.create_server(('', 7000)); signal.pause()"
_COUNT = "import time\nwhile True: print('.', flush=True); time.sleep(0.01)"
_ALIVE = """
from pathlib import Path
from tempfile import mkdtemp
from tests.fleet.network import network
with network() as switch:
    host = switch.host("ada", Path(mkdtemp()))
    host.start("sleep", "infinity")
    print(host.namespace.pid, flush=True)
    input()
"""


@pytest.fixture
def ada(switch: Network, tmp_path: Path) -> Host:
    return switch.host("ada", tmp_path / "ada")


@pytest.fixture
def bob(switch: Network, tmp_path: Path) -> Host:
    return switch.host("bob", tmp_path / "bob")


def _python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


def _reaches(host: Host, other: Host) -> bool:
    return host.start(*_python(_GET, other.address)).wait(family.PATIENCE_S) == 0


def _commands(host: Host) -> list[str]:
    return [each.command for each in host.processes()]


def test_hosts_have_names_addresses_and_machine_ids_of_their_own(ada: Host, bob: Host) -> None:
    asked = ["sh", "-c", "hostname; cat /etc/machine-id; hostname --all-ip-addresses"]

    assert not set(ada.run(*asked).split()) & set(bob.run(*asked).split())
    assert ada.run(*asked).startswith("ada")


def test_a_host_reaches_another_only_while_both_links_are_up(ada: Host, bob: Host) -> None:
    bob.start(*_python(_SERVE))
    wait_until(lambda: _reaches(ada, bob), family.PATIENCE_S, "bob answers")

    bob.link_down()
    assert not _reaches(ada, bob)

    bob.link_up()
    wait_until(lambda: _reaches(ada, bob), family.PATIENCE_S, "bob answers again")


def test_a_sleeping_host_does_nothing_until_it_wakes(ada: Host) -> None:
    counting = ada.start(*_python(_COUNT))
    wait_until(lambda: bool(ada.said(counting)), family.PATIENCE_S, "it counts")

    ada.sleep()
    before = len(ada.said(counting))
    assert set().union(*(each.states() for each in ada.processes())) == {"T"}
    assert len(ada.said(counting)) == before

    ada.wake()
    wait_until(lambda: len(ada.said(counting)) > before, family.PATIENCE_S, "it counts again")


def test_a_full_disk_is_full_only_on_its_host_and_until_it_is_cleared(ada: Host) -> None:
    note = ["sh", "-c", f"echo note > {ada.state}/note"]

    ada.fill(ada.state)
    with pytest.raises(RuntimeError, match="I/O error"):
        ada.run(*note)

    ada.clear(ada.state)
    ada.run(*note)
    assert ada.seen(ada.state / "note").read_text() == "note\n"
    assert not list(ada.state.iterdir())


def test_a_host_without_power_has_no_process_left(ada: Host, bob: Host) -> None:
    for host in (ada, bob):
        host.start("sleep", "infinity")
    wait_until(
        lambda: _commands(ada) == _commands(bob) == ["sleep infinity"],
        family.PATIENCE_S,
        "both run",
    )

    ada.end()

    assert not ada.processes()
    assert _commands(bob) == ["sleep infinity"]


def test_a_host_that_sleeps_can_lose_its_power(ada: Host) -> None:
    asleep = ada.start("sleep", "infinity")
    wait_until(lambda: _commands(ada) == ["sleep infinity"], family.PATIENCE_S, "it runs")
    ada.sleep()

    ada.end()

    assert not ada.processes()
    assert asleep.returncode == -signal.SIGKILL


def test_hosts_end_with_the_process_that_made_them() -> None:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with subprocess.Popen(
        _python(_ALIVE), cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as maker:
        assert maker.stdout is not None
        first = int(maker.stdout.readline())
        os.kill(maker.pid, signal.SIGKILL)

        wait_until(
            lambda: not Path(f"/proc/{first}").exists(), family.PATIENCE_S, "the host is gone"
        )


def test_an_orphan_that_ends_leaves_no_zombie(ada: Host) -> None:
    ada.run("sh", "-c", "sleep 0.1 & exit 0")

    wait_until(lambda: "sleep" not in ada.run("ps", "-e"), family.PATIENCE_S, "it is reaped")
