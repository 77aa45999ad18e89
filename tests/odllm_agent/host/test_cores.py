"""Keeping an engine on cores of one type."""

import os
import sys
import threading
from collections.abc import Iterator

import pytest

from odllm_agent.errors import SettingError
from odllm_agent.host import cores, linux

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells types of cores")


@pytest.fixture
def hybrid(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    """A machine whose first CPU is of one type and whose second is of the other."""
    allowed = linux.cpus()
    if len(allowed) < 2:
        pytest.skip("this machine has one CPU")
    types = {"performance": (allowed[0], 9999), "efficiency": (allowed[1],)}
    monkeypatch.setattr(linux, "core_types", lambda: types)
    yield allowed[0], allowed[1]
    os.sched_setaffinity(0, allowed)


def test_cpus_that_may_not_be_used_are_of_no_type(hybrid: tuple[int, int]) -> None:
    assert cores.types() == {"performance": hybrid[:1], "efficiency": hybrid[1:]}


def test_threads_started_later_stay_on_the_type_until_all_are_allowed_again(
    hybrid: tuple[int, int],
) -> None:
    every = tuple(linux.cpus())
    before = cores.keep_to("efficiency", 1)
    found: list[set[int]] = []
    thread = threading.Thread(target=lambda: found.append(os.sched_getaffinity(0)))
    thread.start()
    thread.join()
    assert found == [{hybrid[1]}]
    cores.allow(before)
    assert tuple(linux.cpus()) == every


def test_any_changes_nothing(hybrid: tuple[int, int]) -> None:
    every = linux.cpus()
    cores.allow(cores.keep_to("any", 99))
    assert linux.cpus() == every


def test_more_threads_than_there_are_of_the_type_are_refused(hybrid: tuple[int, int]) -> None:
    with pytest.raises(SettingError, match="threads=2 cannot be had with core_type=performance"):
        cores.keep_to("performance", 2)


def test_a_machine_whose_cores_are_alike_refuses_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linux, "core_types", dict)
    with pytest.raises(SettingError, match="core_type=efficiency cannot be had") as refused:
        cores.keep_to("efficiency", 1)
    assert "any" in refused.value.remedy
