"""`odllm-agent join`: taking part in a fleet, and staying in it."""

import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import psutil
from cyclopts import Parameter

from odllm_agent.commands import DONE
from odllm_agent.contract import Device
from odllm_agent.doctor import device
from odllm_agent.errors import UsageError
from odllm_agent.files.folders import VIRTUAL_VARIABLE, state_root
from odllm_agent.files.small_files import cpu_list
from odllm_agent.fleet import Membership, Supervisor
from odllm_agent.network.address import Address
from odllm_agent.network.fleet_token import checked_token_file
from odllm_agent.network.ports import Ports
from odllm_agent.network.ray_environment import AUTHORITY, CERTIFICATE, KEY
from odllm_agent.terminal.ending import heed_signals
from odllm_agent.terminal.program import TYPED_PATH, program

_EXAMPLES = """\
examples:
  odllm-agent join 192.168.1.10 --token-file ~/odllm.token
  odllm-agent join lab.local:6380 --token-file ~/odllm.token --name window --label room=12
  odllm-agent join 192.168.1.10 --token-file ~/odllm.token --ports 20000-20100
                                          behind a firewall that lets these ports in
  odllm-agent join 192.168.1.10 --token-file ~/odllm.token --name half --cpus 0-1
                                          a part of this machine, marked as a virtual device

`odllm fleet up`, on the controller's machine, prints the line for this fleet. The command stays in
the fleet across sleep, lost networks and restarts of the head, until Ctrl-C.
Exit status: 0 left the fleet, 1 the fleet does not take this device, 2 wrong usage.
"""


Head = Annotated[str, "HOST[:PORT]"]


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipOptions:
    """What joining is told beside where the head is.

    Attributes:
        token_file: the fleet's token
        name: what to call this device; its host name if not given
        label: to select it by; repeatable
        ports: the ports that Ray may use
        tls_dir: the folder with this device's certificate
        cpus: only these CPUs, such as 0-1,4: a virtual device
        model_server: where the fleet's models are served
    """

    token_file: Annotated[Path, TYPED_PATH, "F"]
    name: Annotated[str | None, "N"] = None
    label: Annotated[tuple[str, ...], "K=V"] = ()
    ports: Annotated[str | None, "A-B"] = None
    tls_dir: Annotated[Path | None, TYPED_PATH, "D"] = None
    cpus: Annotated[str | None, "LIST"] = None
    model_server: Annotated[str, "URL"] = ""


app = program("join", examples=_EXAMPLES)


@app.default
def join(head: Head, /, *, options: MembershipOptions) -> int:
    """Take part in a fleet, and stay in it.

    Args:
        head: where the fleet's head answers
        options: how
    """
    if options.cpus:
        _become_virtual(options.name, options.cpus)
    here = device.describe(options.name)
    membership = Membership(
        head=Address.parse(head),
        token_file=checked_token_file(options.token_file),
        device_id=here.id,
        name=here.name,
        labels=_labels(options.label),
        ports=Ports.parse(options.ports) if options.ports else None,
        tls_dir=_tls_dir(options.tls_dir) if options.tls_dir else None,
        virtual=bool(os.environ.get(VIRTUAL_VARIABLE)),
        model_server=options.model_server,
    )
    supervisor = Supervisor(membership, state_root(), _say)
    heed_signals(supervisor.leave)
    _say(_offer(here))
    supervisor.run()
    return DONE


def _become_virtual(name: str | None, cpus: str) -> None:
    """Makes this process, and all that it starts, a device that has only some CPUs."""
    if not name:
        raise UsageError("--cpus makes a virtual device, which needs a name", "add --name N")
    os.environ[VIRTUAL_VARIABLE] = name
    process = psutil.Process()
    if sys.platform == "darwin":
        raise UsageError("macOS keeps no process to some CPUs", "join without --cpus")
    try:
        process.cpu_affinity([*cpu_list(cpus)])
    except (ValueError, OSError, psutil.Error) as error:
        raise UsageError(
            f"cannot keep to the CPUs {cpus}: {error}",
            f"this process may use {','.join(map(str, process.cpu_affinity()))}",
        ) from error


def _labels(told: Sequence[str]) -> dict[str, str]:
    labels = {}
    for text in told:
        name, _, value = text.partition("=")
        if not value:
            raise UsageError(f"{text!r} is no label", "write --label name=value")
        labels[name] = value
    return labels


def _tls_dir(folder: Path) -> Path:
    found = folder.absolute()
    missing = [name for name in (CERTIFICATE, KEY, AUTHORITY) if not (found / name).is_file()]
    if missing:
        raise UsageError(
            f"{found} lacks {', '.join(missing)}",
            "`odllm fleet certificate` makes such a folder on the controller's machine",
        )
    return found


def _offer(here: Device) -> str:
    engines = ", ".join(f"{name} {version}" for name, version in here.engines.items()) or "none"
    meters = ", ".join(each.name for each in here.meters if each.domains) or "none"
    return (
        f"{here.name} ({here.id}): {here.cpu}, {here.logical_cores} hardware threads, "
        f"{here.ram_bytes / 1e9:.1f} GB; engines: {engines}; power meters: {meters}; "
        f"{platform.system()}, Python {here.python_version}, odllm {here.odllm_version}"
    )


def _say(line: str) -> None:
    print(f"odllm-agent: {line}", flush=True)
