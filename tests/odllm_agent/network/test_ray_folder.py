"""The folder for Ray's sockets, wherever a user's temporary files lie."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from odllm_agent.errors import DispatchError
from odllm_agent.network import ray_folder
from odllm_agent.processes import tagged

SESSION = "session_2026-11-24_11-39-16_751060_4194304/sockets/plasma_store_1"


@pytest.fixture
def root() -> Iterator[Path]:
    """A folder with a short name, as none of pytest's has."""
    folder = Path("/tmp") / f"t{os.getpid()}"
    folder.mkdir(mode=0o700)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def _nowhere_else(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(root))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)


def ended_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def left_behind(root: Path, **changes: object) -> Path:
    """The folder of a Ray whose process is gone."""
    folder = ray_folder.make()
    assert folder.parent == root
    owner = json.loads((folder / "owner.json").read_bytes())
    owner |= {"pid": ended_pid()} | changes
    (folder / "owner.json").write_text(json.dumps(owner))
    (folder / "session").mkdir()
    (folder / "session" / "raylet.log").write_text("...")
    return folder


def test_it_is_this_users_alone_and_short_enough_for_a_socket(root: Path) -> None:
    folder = ray_folder.make()
    assert folder.parent == root
    assert folder.stat().st_mode & 0o777 == 0o700
    in_use = ray_folder.temp_dir(folder)
    assert folder in in_use.parents
    assert len(str(in_use / SESSION)) <= 103


@pytest.mark.parametrize(
    "name",
    [
        "a-long-name/of-a-user/project-2026/temporary",
        "t ü",
        "with space",
        "smile-☺",
        "ж" * 12,
        "new\nline",
        "not/there",
        "a-file",
        "quote'd",
        "x" * 40,
    ],
)
def test_where_a_socket_cannot_lie_another_place_is_taken(
    name: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = root / name
    if name == "a-file":
        there.write_text("")
    elif name != "not/there":
        there.mkdir(parents=True)
    monkeypatch.setenv("TMPDIR", str(there))
    folder = ray_folder.make()
    try:
        assert there not in folder.parents
        assert str(folder).isascii()
        assert len(str(ray_folder.temp_dir(folder) / SESSION)) <= 103
        assert folder.stat().st_uid == os.getuid()
    finally:
        ray_folder.remove(folder)
    assert not folder.exists()


def test_a_folder_that_is_full_or_read_only_is_passed_over(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root may write to any folder, but for those of the kernel.
    for each in ("/proc", "/sys"):
        monkeypatch.setenv("TMPDIR", each)
        folder = ray_folder.make()
        assert not folder.is_relative_to(each)
        ray_folder.remove(folder)
    monkeypatch.setenv("TMPDIR", str(root))
    monkeypatch.setattr(ray_folder, "_LEAST_FREE_BYTES", 2**70)
    with pytest.raises(DispatchError, match=f"{root}: less than"):
        ray_folder.make()


def test_where_there_is_no_place_each_is_named_with_its_reason(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(root / "t ü"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(root / ("x" * 60)))
    monkeypatch.setattr(ray_folder, "_FIXED_ROOTS", (str(root / "gone"),))
    monkeypatch.setattr(ray_folder, "_LAST_ROOTS", ())
    with pytest.raises(DispatchError) as told:
        ray_folder.make()
    assert "t ü: Ray takes neither spaces nor letters outside ASCII" in told.value.message
    assert "gone: No such file or directory" in told.value.message
    assert f"{'x' * 60}: the name is too long" in told.value.message
    assert "set TMPDIR" in told.value.remedy


def test_what_a_killed_run_left_is_removed_by_the_next(root: Path) -> None:
    left = left_behind(root)
    alive = ray_folder.make()
    assert not left.exists()
    ray_folder.make()
    assert alive.exists()


def test_a_run_that_was_killed_for_real_leaves_nothing_after_the_next(root: Path) -> None:
    code = (
        "from odllm_agent.network import ray_folder; print(ray_folder.make(), flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout
        folder = Path(run.stdout.readline().strip())
        ray_folder.make()
        assert folder.exists()
        run.kill()
    ray_folder.make()
    assert not folder.exists()


def test_a_head_that_outlives_the_command_keeps_its_folder(root: Path) -> None:
    mark = tagged.new_mark()
    sleep = "import time; print(flush=True); time.sleep(600)"
    environment = os.environ | tagged.marking(mark)
    with subprocess.Popen(
        [sys.executable, "-c", sleep], env=environment, stdout=subprocess.PIPE
    ) as head:
        assert head.stdout
        head.stdout.readline()
        folder = left_behind(root, mark=mark)
        ray_folder.make()
        assert folder.exists()
        head.kill()
    ray_folder.make()
    assert not folder.exists()


def test_what_is_not_this_users_is_left_alone(root: Path, tmp_path: Path) -> None:
    # Another container's processes cannot be seen, so nobody here knows whether they live.
    elsewhere = left_behind(root, table="another")
    mine = tmp_path / "mine"
    mine.mkdir()
    link = root / "odllm-ray-abcdefgh"
    link.symlink_to(mine)
    other = root / "odllm-ray-12345678"
    if os.getuid() == 0:
        other.mkdir()
        os.chown(other, 65534, 65534)
    named_alike = root / "odllm-ray-of-somebody"
    named_alike.mkdir()
    ray_folder.make()
    assert elsewhere.exists()
    assert mine.exists()
    assert link.is_symlink()
    assert other.exists() == (os.getuid() == 0)
    assert named_alike.exists()


def test_a_folder_that_has_no_owner_yet_is_given_a_moment(root: Path) -> None:
    new, old = root / "odllm-ray-aaaaaaaa", root / "odllm-ray-bbbbbbbb"
    new.mkdir()
    old.mkdir()
    os.utime(old, (time.time() - 3600,) * 2)
    ray_folder.make()
    assert new.exists()
    assert not old.exists()
