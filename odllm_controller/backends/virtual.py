"""This machine split into several devices, each a Ray node with CPUs of its own."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from odllm_agent.errors import DispatchError, UsageError
from odllm_agent.host.state import cpus
from odllm_agent.network import ray_folder
from odllm_agent.processes import background
from odllm_controller.head import Head
from odllm_controller.head.folder import VARIABLE

READY = "all virtual devices are ready"
"""What the process that has them says once they are."""

_HOST = "odllm_controller.backends.virtual_host"
_LOG = "host.log"
_ENDING_S = 60.0


@contextlib.contextmanager
def started(n_devices: int) -> Iterator[Head]:
    """A head with so many virtual devices, for as long as the context lasts.

    They are children of a process that ends with this one, however that ends.

    Raises:
        DispatchError: One does not start.
        UsageError: There are fewer CPUs than devices.
    """
    command = [sys.executable, "-m", _HOST, *shares(cpus(), n_devices)]
    folder = ray_folder.make()
    # Ctrl-C is for this process, which then has the devices end in order.
    environment = {**os.environ, VARIABLE: str(folder)}
    host = background.start(command, folder / _LOG, environment, tied=True)
    try:
        yield _ready(host, folder)
    finally:
        _end(host)
        ray_folder.remove(folder)


def shares(numbers: list[int], n_devices: int) -> list[str]:
    """The CPUs of each virtual device, as a list such as `0,1`; all get as many, give or take one.

    Raises:
        UsageError: There are fewer CPUs than devices.
    """
    if n_devices > len(numbers):
        raise UsageError(
            f"fleet.devices={n_devices}, and this machine has {len(numbers)} hardware threads",
            "each virtual device needs one of its own",
        )
    edges = [len(numbers) * index // n_devices for index in range(n_devices + 1)]
    return [",".join(map(str, numbers[begin:end])) for begin, end in pairwise(edges)]


def _ready(host: subprocess.Popen[bytes], folder: Path) -> Head:
    """Its head once it is up; interrupted before, it would go on starting for minutes."""
    try:
        return _head(host, folder)
    except KeyboardInterrupt:
        host.terminate()
        raise


def _head(host: subprocess.Popen[bytes], folder: Path) -> Head:
    log = folder / _LOG
    if background.has_said(host, log, READY.encode()):
        head = Head.of(folder)
        if head:
            return head
    raise DispatchError(
        f"the virtual devices did not start: {background.last_words(log)}",
        "ask for fewer with fleet.devices",
    )


def _end(host: subprocess.Popen[bytes]) -> None:
    assert host.stdin is not None  # noqa: S101 - it was asked for
    host.stdin.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        host.wait(_ENDING_S)
