"""The process that has virtual devices as its children: a head, and a supervised node for each.

It is told the CPUs of each device, says `READY` once all have joined, and ends them all when its
standard input closes.
"""

import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

from odllm_agent.clock import monotonic_ns, seconds_since
from odllm_agent.errors import DispatchError
from odllm_agent.fleet.handshake import knock
from odllm_agent.network.address import Address
from odllm_agent.network.ray_environment import child_environment
from odllm_agent.processes import background
from odllm_controller.backends.virtual import READY
from odllm_controller.head.head import Head
from odllm_controller.head.starting import start

_JOINING_S = 120.0
_LEAVING_S = 30.0


def main(shares: Sequence[str]) -> None:
    """Keeps a device for each share of the CPUs until standard input closes."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with contextlib.ExitStack() as stack:
        head = start(Address("127.0.0.1", _free_port()))
        stack.callback(head.end)
        joins = [
            stack.enter_context(_joined(head, f"virtual-{number}", share))
            for number, share in enumerate(shares, 1)
        ]
        _wait_for(joins, head)
        print(READY, flush=True)
        sys.stdin.read()
        # All at once: each takes seconds to leave.
        for join in joins:
            join.terminate()


@contextlib.contextmanager
def _joined(head: Head, name: str, share: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "odllm_agent", "join", head.address]
    options = ["--token-file", str(head.token_file), "--name", name, "--cpus", share]
    process = background.start([*command, *options], head.folder / f"{name}.log", alone=False)
    try:
        yield process
    finally:
        background.leave(process, _LEAVING_S)


def _wait_for(joins: Sequence[subprocess.Popen[bytes]], head: Head) -> None:
    start_ns = monotonic_ns()
    environment = child_environment(head.environment())
    while len(knock(Address.parse(head.address), environment).device_ids) < len(joins):
        if any(join.poll() is not None for join in joins):
            logs = sorted(head.folder.glob("virtual-*.log"))
            raise DispatchError("; ".join(filter(None, map(background.last_words, logs))), "")
        if seconds_since(start_ns) > _JOINING_S:
            raise DispatchError("the devices did not join in time", "")
        time.sleep(0.2)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


if __name__ == "__main__":
    main(sys.argv[1:])
