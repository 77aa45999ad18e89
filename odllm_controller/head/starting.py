"""Starting the head of a fleet on this machine."""

import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from odllm_agent.clock import now
from odllm_agent.errors import DispatchError
from odllm_agent.fleet import labels
from odllm_agent.host.versions import Versions
from odllm_agent.network import ray_folder
from odllm_agent.network.address import Address
from odllm_agent.network.ports import Ports
from odllm_agent.network.ray_environment import child_environment
from odllm_agent.processes import background, tagged
from odllm_controller.head import model_server
from odllm_controller.head.certificates import certificate
from odllm_controller.head.folder import fleet_root
from odllm_controller.head.head import SERVERS, Head, head_environment
from odllm_controller.head.token import token_file

# The least that Ray takes is 75 MiB; a result of ODLLM is a few kilobytes.
_OBJECT_STORE_BYTES = 100 * 2**20
_STARTING_S = 120.0


def start(address: Address, ports: Ports | None = None, *, tls: bool = False) -> Head:
    """Starts a head in the background, in the place of the one that was started before.

    Args:
        address: Where it is to answer; Ray listens on every interface unless it is loopback.
        ports: The ports that Ray may use beside the address's; any unless told.
        tls: Whether its connections are encrypted.

    Raises:
        DispatchError: It does not start.
        UsageError: Others may read the token file.
    """
    last = Head.last()
    if last:
        last.end()
    folder, mark = fleet_root(), tagged.new_mark()
    ray_dir = ray_folder.make(mark)
    token = token_file(folder)
    tls_dir = _own_certificate(folder, address.host) if tls else None
    environment = child_environment(
        head_environment(address, token, tls_dir) | tagged.marking(mark)
    )
    try:
        _run(_options(address, ports, ray_dir), environment, folder / "head.log")
        serving = model_server.start(address, token, tls_dir, environment)
    except DispatchError:
        tagged.end(mark)
        ray_folder.remove(ray_dir)
        raise
    head = Head(
        folder,
        str(address),
        tls=tls,
        mark=mark,
        pid=next(each.pid for each in tagged.marked(mark) if each.name() in SERVERS),
        ray_dir=str(ray_dir),
        model_server=serving,
        started_at=now().isoformat(timespec="seconds"),
        versions=Versions.here(),
    )
    head.keep()
    return head


def _options(address: Address, ports: Ports | None, ray_dir: Path) -> list[str]:
    return [
        "--head",
        f"--port={address.port}",
        *(() if address.is_loopback else (f"--node-ip-address={address.host}",)),
        f"--labels={labels.ROLE}={labels.HEAD},{labels.VERSION}={metadata.version('odllm')}",
        f"--temp-dir={ray_folder.temp_dir(ray_dir)}",
        f"--object-store-memory={_OBJECT_STORE_BYTES}",
        "--num-cpus=0",
        "--num-gpus=0",
        "--include-dashboard=false",
        "--include-log-monitor=false",
        "--no-monitor",
        "--disable-usage-stats",
        *(ports.options() if ports else ()),
    ]


def _run(options: list[str], environment: dict[str, str], log: Path) -> None:
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", *options]
    with log.open("wb") as file:
        try:
            subprocess.run(  # noqa: S603 - Ray's own module, no shell
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                timeout=_STARTING_S,
                check=True,
                # The head stays when the terminal is closed, and is not ended by its Ctrl-C.
                start_new_session=True,
            )
        except subprocess.SubprocessError as error:
            why = background.last_words(log) or error
            raise DispatchError(f"the head does not start: {why}", f"see {log}") from error


def _own_certificate(folder: Path, host: str) -> Path:
    out = folder / "tls" / "head"
    shutil.rmtree(out, ignore_errors=True)
    return certificate(folder, [host], out)
