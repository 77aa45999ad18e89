"""What the supervisor does when the clock has jumped; a real head is in test_staying."""

import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from odllm_agent.errors import DispatchError, UsageError
from odllm_agent.fleet import Membership, Supervisor, rejoining
from odllm_agent.fleet.handshake import HeadAnswer
from odllm_agent.host.versions import Versions
from odllm_agent.network.address import Address
from tests import support

VERSIONS = Versions("2.60.0", "3.11.7", "0.1.0")


class Node:
    """A node that runs for four looks, a second apart, with a jump of the clock among them."""

    def __init__(self, jump_s: float) -> None:
        self._jump_s = jump_s
        self._looks = 0

    @property
    def is_running(self) -> bool:
        self._looks += 1
        return self._looks <= 4

    def now(self) -> datetime:
        jumped_s = self._jump_s if self._looks > 2 else 0.0
        return support.STARTED + timedelta(seconds=self._looks + jumped_s)


@pytest.fixture
def staying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Watches a node over whose clock a jump comes, with a head that has certain devices."""
    membership = Membership(Address("head"), tmp_path / "token", "mine", "lab-1")

    def watch(jump_s: float, head_has: tuple[str, ...] | None) -> str:
        def knock(*_: object) -> HeadAnswer:
            if head_has is None:
                raise DispatchError("no network yet")
            return HeadAnswer(VERSIONS, head_has)

        node = Node(jump_s)
        monkeypatch.setattr(rejoining, "now", node.now)
        monkeypatch.setattr(rejoining, "knock", knock)
        monkeypatch.setattr(rejoining, "_TICK_S", 0.001)
        watching = Supervisor(membership, tmp_path, lambda _: None)
        return watching._stay(node)  # type: ignore[arg-type]

    return watch


def test_after_sleep_a_device_that_the_head_gave_up_is_started_anew(
    staying: Callable[..., str],
) -> None:
    assert staying(3600, ()) == "away for 3601 s"


def test_after_sleep_a_device_that_the_head_still_counts_stays(
    staying: Callable[..., str],
) -> None:
    assert staying(60, ("other", "mine")) == "the Ray node has ended"


def test_after_sleep_without_a_network_the_node_is_left_to_itself(
    staying: Callable[..., str],
) -> None:
    assert staying(3600, None) == "the Ray node has ended"


@pytest.mark.parametrize("jump_s", [5.0, -3600.0])
def test_a_busy_machine_and_a_clock_that_is_set_back_are_no_sleep(
    staying: Callable[..., str], jump_s: float
) -> None:
    assert staying(jump_s, ()) == "the Ray node has ended"


def test_a_folder_that_cannot_be_used_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    membership = Membership(Address("head"), tmp_path / "token", "mine", "lab-1")
    with pytest.raises(UsageError, match="cannot be used") as raised:
        Supervisor(membership, tmp_path / "file", lambda _: None).run()
    assert "ODLLM_STATE_DIR" in raised.value.remedy


def test_a_full_disk_is_waited_for(small_disk: Callable[[int], Path], tmp_path: Path) -> None:
    folder = small_disk(64 * 1024)
    membership = Membership(Address("head"), tmp_path / "token", "mine", "lab-1")
    with contextlib.suppress(OSError):
        (folder / "filler").write_bytes(bytes(64 * 1024))
    with pytest.raises(DispatchError, match=r"does not start: .*No space left"):
        Supervisor(membership, folder, lambda _: None)._start()
