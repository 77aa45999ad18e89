"""Certificates, shown to each other by two ends of a real connection."""

import socket
import ssl
import threading
from pathlib import Path

import pytest

from odllm_agent.errors import UsageError
from odllm_agent.network.ray_environment import AUTHORITY, CERTIFICATE, KEY
from odllm_controller.head.certificates import certificate


def context(folder: Path, purpose: ssl.Purpose) -> ssl.SSLContext:
    found = ssl.create_default_context(purpose, cafile=str(folder / AUTHORITY))
    found.load_cert_chain(folder / CERTIFICATE, folder / KEY)
    found.verify_mode = ssl.CERT_REQUIRED
    # As Python does from 3.13 on.
    found.verify_flags |= ssl.VERIFY_X509_STRICT
    return found


def shake_hands(server: Path, client: Path, name: str) -> None:
    """Connects the two, each asking for the other's certificate."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.settimeout(10)
        ours.settimeout(10)
        answering = threading.Thread(target=answer, args=(server, theirs))
        answering.start()
        try:
            with context(client, ssl.Purpose.SERVER_AUTH).wrap_socket(
                ours, server_hostname=name
            ) as secured:
                assert secured.recv(1) == b"."
        finally:
            ours.close()
            answering.join()


def answer(server: Path, theirs: socket.socket) -> None:
    try:
        with context(server, ssl.Purpose.CLIENT_AUTH).wrap_socket(theirs, server_side=True) as end:
            end.send(b".")
    except OSError:
        theirs.close()


def test_machines_of_one_fleet_know_each_other_at_their_addresses(tmp_path: Path) -> None:
    head = certificate(tmp_path, ["192.168.1.10"], tmp_path / "head")
    laptops = certificate(tmp_path, ["192.168.1.0/24", "lab.local"], tmp_path / "laptops")
    shake_hands(head, laptops, "192.168.1.10")
    shake_hands(laptops, head, "192.168.1.77")
    shake_hands(laptops, head, "lab.local")
    shake_hands(laptops, head, "127.0.0.1")
    with pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"):
        shake_hands(laptops, head, "192.168.2.1")


def test_a_certificate_of_another_fleet_is_refused(tmp_path: Path) -> None:
    ours = certificate(tmp_path / "ours", ["192.168.1.10"], tmp_path / "a")
    theirs = certificate(tmp_path / "theirs", ["192.168.1.10"], tmp_path / "b")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(theirs, ours, "192.168.1.10")


def test_keys_are_this_users_alone_and_the_authoritys_stays(tmp_path: Path) -> None:
    out = certificate(tmp_path, ["h"], tmp_path / "out")
    keys = [*tmp_path.rglob("*.key")]
    assert {each.stat().st_mode & 0o777 for each in keys} == {0o600}
    assert sorted(each.name for each in out.iterdir()) == [AUTHORITY, KEY, CERTIFICATE]


def test_a_folder_that_has_one_is_left_alone(tmp_path: Path) -> None:
    out = certificate(tmp_path, ["h"], tmp_path / "out")
    key = (out / KEY).read_bytes()
    with pytest.raises(UsageError, match="has a certificate already"):
        certificate(tmp_path, ["h"], out)
    assert (out / KEY).read_bytes() == key


def test_a_network_that_is_too_large_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"10\.0\.0\.0/8 has too many addresses"):
        certificate(tmp_path, ["10.0.0.0/8"], tmp_path / "out")
