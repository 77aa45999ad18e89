"""Files read where they are, by ranges."""

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from odllm_agent.models.download import range_file
from odllm_agent.models.download.range_file import NoRanges
from tests import wheels
from tests.hub_server import Fault
from tests.wheels import Index

NAME = "a-1-py3-none-any.whl"
CONTENT = os.urandom(3_000_000)


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with wheels.running() as running:
        running.wheels[NAME] = CONTENT
        yield running


def url(index: Index) -> str:
    return index.url.replace("/simple", f"/files/{NAME}")


def test_any_part_is_read_in_any_order(index: Index) -> None:
    with range_file.opened(url(index)) as (file, all_bytes):
        assert all_bytes == len(CONTENT)
        for start, n_bytes in ((2_999_000, 5000), (0, 10), (1_500_000, 1_500_000), (7, 2**20 + 1)):
            file.seek(start)
            assert file.read(n_bytes) == CONTENT[start : start + n_bytes]
        file.seek(-4, io.SEEK_END)
        assert (file.read(), file.read()) == (CONTENT[-4:], b"")


def test_the_end_comes_with_the_first_request(index: Index) -> None:
    with range_file.opened(url(index)) as (file, _):
        file.seek(-60_000, io.SEEK_END)
        assert file.read() == CONTENT[-60_000:]
    assert len(index.asked) == 1


def test_a_file_that_is_shorter_than_its_end_is_whole_with_the_first(index: Index) -> None:
    index.wheels[NAME] = CONTENT[:100]
    with range_file.opened(url(index)) as (file, all_bytes):
        assert (all_bytes, file.read()) == (100, CONTENT[:100])
    assert len(index.asked) == 1


def test_a_file_of_this_device_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "with a space.whl"
    path.write_bytes(CONTENT)
    with range_file.opened(path.as_uri()) as (file, all_bytes):
        file.seek(10)
        assert (file.read(5), all_bytes) == (CONTENT[10:15], len(CONTENT))


def test_a_file_of_this_device_that_is_gone_is_told(tmp_path: Path) -> None:
    with (
        pytest.raises(NoRanges, match="cannot be opened"),
        range_file.opened((tmp_path / "a.whl").as_uri()),
    ):
        pass


def test_a_server_without_ranges_is_not_read_to_its_end(index: Index) -> None:
    index.ranges = False
    with pytest.raises(NoRanges, match="answers 200"), range_file.opened(url(index)):
        pass


def test_a_server_that_refuses_or_is_gone_is_told(index: Index) -> None:
    index.faults.append(Fault(status=401))
    with pytest.raises(NoRanges, match="answers 401"), range_file.opened(url(index)):
        pass
    with pytest.raises(NoRanges), range_file.opened("http://127.0.0.1:9/a.whl"):
        pass


def test_a_server_that_fails_later_is_told(index: Index) -> None:
    with range_file.opened(url(index)) as (file, _):
        index.status = 503
        with pytest.raises(NoRanges, match="answers 503"):
            file.read(10)
