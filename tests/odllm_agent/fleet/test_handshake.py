"""What a head says, from what Ray says; a real head is in test_staying."""

import json
import socket
from collections.abc import Iterator

import pytest

from odllm_agent.errors import DispatchError, JoinRefused
from odllm_agent.fleet.asking import told
from odllm_agent.fleet.handshake import _answer, knock
from odllm_agent.network.address import Address

ADDRESS = Address("head", 6379)
METADATA = {"ray_version": "2.60.0", "python_version": "3.11.7", "ray_init_cluster": "false"}
HEAD = {"odllm-role": "head", "odllm-version": "0.1.0"}


def test_the_versions_are_the_heads_and_the_devices_those_that_are_there() -> None:
    said = told(METADATA, [{"odllm-device": "a", "odllm-version": "9"}, HEAD, {"ray.io/x": "y"}])
    answer = _answer(ADDRESS, json.dumps(said).encode(), b"")
    assert (answer.versions.ray, answer.versions.odllm) == ("2.60.0", "0.1.0")
    assert answer.device_ids == ("a",)


@pytest.mark.parametrize(("metadata", "alive"), [({}, [HEAD]), (METADATA, [])])
def test_a_head_that_is_still_starting_is_not_there_yet(
    metadata: dict[str, str], alive: list[dict[str, str]]
) -> None:
    with pytest.raises(DispatchError, match="still starting"):
        _answer(ADDRESS, json.dumps(told(metadata, alive)).encode(), b"")


def test_a_refusal_names_the_remedy() -> None:
    with pytest.raises(JoinRefused) as raised:
        _answer(ADDRESS, b'a line of Ray\n{"refused": "the token"}\n', b"")
    assert "copy the token file" in raised.value.remedy


@pytest.mark.parametrize("stdout", [b"", b"\n", b"no json", b"[]", b'{"versions": 1}', b"1"])
def test_a_process_that_dies_counts_as_no_answer_with_its_last_words(stdout: bytes) -> None:
    with pytest.raises(DispatchError, match="Check failed"):
        _answer(ADDRESS, stdout, b"Fatal\nCheck failed\n")


@pytest.fixture
def silent() -> Iterator[Address]:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield Address("127.0.0.1", bound.getsockname()[1])


def test_where_nobody_is_no_process_is_started(
    silent: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("it started one"))
    with pytest.raises(DispatchError, match="Connection refused") as raised:
        knock(silent, {})
    assert "odllm fleet up" in raised.value.remedy
