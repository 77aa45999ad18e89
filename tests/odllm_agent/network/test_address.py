"""Addresses as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.errors import UsageError
from odllm_agent.network.address import RAY_PORT, Address


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("lab.local", "lab.local", RAY_PORT),
        ("lab.local:6380", "lab.local", 6380),
        ("192.168.1.10", "192.168.1.10", RAY_PORT),
        ("192.168.1.10:1", "192.168.1.10", 1),
        ("fd00::2", "fd00::2", RAY_PORT),
        ("[fd00::2]:6380", "fd00::2", 6380),
    ],
)
def test_a_host_may_have_a_port(text: str, host: str, port: int) -> None:
    assert Address.parse(text) == Address(host, port)


@pytest.mark.parametrize("text", ["", ":6379", "a:b", "a:99999", "a/b", "user@a", "a?b", "a b:x"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no address"):
        Address.parse(text)


@given(st.ip_addresses(), st.integers(1, 65535))
def test_what_is_written_is_read(host: object, port: int) -> None:
    address = Address(str(host), port)
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "::1", "localhost"])
def test_loopback_is_known(host: str) -> None:
    assert Address(host).is_loopback
    assert not Address("192.168.1.10").is_loopback
