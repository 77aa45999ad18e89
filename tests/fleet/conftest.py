"""A network for the tests of one file, where this machine can have one."""

from collections.abc import Iterator

import pytest

from tests.fleet.network import Network, network, why_not


@pytest.fixture(scope="module")
def switch() -> Iterator[Network]:
    """A network without hosts."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with network() as made:
        yield made
