"""What the tests of several packages need."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from odllm_agent.terminal import ending
from tests.ray_modules import spoilt

# How fast a shared machine makes up examples says nothing about the code.
settings.register_profile("odllm", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("odllm")

# A shell lets its background jobs ignore Ctrl-C, and so would every process that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
# So does nohup with a hangup. A handler that does nothing is not handed on as that is.
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)


def pytest_collection_finish() -> None:
    """Ray reads its environment as it is imported, and a test module has set none by then."""
    if "ray" in sys.modules:
        raise pytest.UsageError("a test module imports Ray, which spoils it for every test of it")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Iterator[None]:
    """What a test has imported stays for those after it, whichever they are."""
    yield
    if spoilt():
        pytest.fail("this test imports Ray otherwise than tests.ray_modules and a fleet do")


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device can be measured on by one agent only, and tests run several at once."""
    monkeypatch.setenv("ODLLM_STATE_DIR", str(tmp_path / "agent-state"))


@pytest.fixture(autouse=True)
def _own_handlers() -> Iterator[None]:
    """A command that a test runs in this process heeds signals from then on."""
    before = {number: signal.getsignal(number) for number in ending.SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True, scope="session")
def _known_builds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The engines' builds are tried once for all tests, which takes seconds."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ODLLM_BUILDS_DIR", str(shared / "builds"))
        yield


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mounts a real file system of so many bytes."""
    mounted: list[Path] = []

    def mount(size_bytes: int) -> Path:
        if shutil.which("mount") is None or getattr(os, "geteuid", lambda: 1)() != 0:
            pytest.skip("only root can mount a small disk")
        folder = tmp_path / f"disk-{len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("mounting is not allowed here")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
