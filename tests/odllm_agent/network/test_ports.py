"""The ports that Ray is kept to."""

import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.errors import UsageError
from odllm_agent.network.ports import Ports


@given(st.integers(1024, 65526), st.integers(9, 1000))
def test_every_server_and_the_workers_get_ports_of_their_own_in_the_range(
    first: int, more: int
) -> None:
    last = min(first + more, 65535)
    options = Ports.parse(f"{first}-{last}").options()
    found = {name: int(port) for name, port in (each.split("=") for each in options)}
    workers = (found.pop("--min-worker-port"), found.pop("--max-worker-port"))
    assert len(set(found.values())) == len(found)
    assert first == min(found.values()) <= max(found.values()) < workers[0] < workers[1] == last


def test_the_options_are_those_that_ray_has() -> None:
    # In a process of its own: Ray reads its environment once, and other tests need another.
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--help"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    known = set(re.findall(r"--[a-z-]+", told))
    assert {each.split("=")[0] for each in Ports(20000, 20100).options()} <= known


@pytest.mark.parametrize("text", ["", "1", "20000", "a-b", "20100-20000", "80-200", "1-99999"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no range of ports"):
        Ports.parse(text)


def test_too_few_ports_are_refused_with_the_number() -> None:
    with pytest.raises(UsageError, match="too few") as raised:
        Ports.parse("20000-20005")
    assert re.search(r"needs \d+", raised.value.remedy)
