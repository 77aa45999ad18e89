"""`odllm fleet`: the head of the fleet on this machine, and what is known of its devices."""

import json
import shlex
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from odllm_agent.errors import UsageError
from odllm_agent.network.address import RAY_PORT, Address
from odllm_agent.network.ports import Ports
from odllm_agent.terminal.program import TYPED_PATH, AsJson, Whole, program
from odllm_controller.cli.commands import fleet_events, fleet_status
from odllm_controller.head.certificates import certificate
from odllm_controller.head.folder import fleet_root
from odllm_controller.head.head import Head
from odllm_controller.head.starting import start

_LOOPBACK = "127.0.0.1"
_EXAMPLES = """\
examples:
  odllm fleet up                               a head that only this machine can reach
  odllm fleet up --address 192.168.1.10        one that laptops on the network can reach
  odllm fleet up --address 192.168.1.10 --tls  and that encrypts
  odllm fleet certificate 192.168.1.0/24 --out laptops
                                               a certificate for laptops of that network
  odllm fleet status --watch                   the devices, as they are now
  odllm fleet events --kind refused            what happened, from the store
  odllm fleet models list                      which device has which model; also: push, prune
  odllm fleet down
"""


app = program("odllm fleet", "The fleet of this machine.", _EXAMPLES)


@app.command
def up(
    *,
    address: str = _LOOPBACK,
    port: Whole = RAY_PORT,
    ports: Annotated[str | None, "A-B"] = None,
    tls: bool = False,
    as_json: AsJson = False,
) -> int:
    """Start the head of a fleet on this machine.

    Args:
        address: where laptops reach it
        port: its port
        ports: the ports that Ray may use beside it
        tls: encrypt, with certificates of its own
        as_json: answer as JSON
    """
    last = Head.last()
    running = last if last and last.is_up else None
    if running:
        running.check_fits()
    head = running or start(
        _address(address, port),
        Ports.parse(ports) if ports else None,
        tls=tls,
    )
    if as_json:
        print(json.dumps(_told(head), indent=1))
    else:
        print(_instructions(head, already=running is not None))
    return 0


def _address(host: str, port: int) -> Address:
    address = Address(Address.parse(host).host, port)
    if address.is_loopback:
        # The one loopback address on which Ray keeps to loopback.
        return Address(_LOOPBACK, port)
    if address.host in {"0.0.0.0", "::"}:  # noqa: S104 - refused
        raise UsageError(
            f"{address.host} is no address that a laptop can reach",
            "name this machine's address in the network of the laptops",
        )
    return address


@app.command
def down() -> int:
    """End it."""
    head = Head.last()
    if head is None:
        print("no head of a fleet is up on this machine")
    else:
        print(f"the head at {head.address} is down, {head.end()} processes ended")
    return 0


app.command(fleet_status.app)
app.command(fleet_events.app)


@app.command(name="certificate")
def give_certificate(
    *addresses: Annotated[str, Parameter(required=True), "ADDRESS"],
    out: Annotated[Path, TYPED_PATH],
) -> int:
    """Give laptops a certificate, for --tls.

    Args:
        addresses: address, name or network
        out: the folder to make
    """
    made = certificate(fleet_root(), addresses, out)
    print(f"{made} has a certificate for {', '.join(addresses)}; copy it to the laptops,")
    print("and let them join with --tls-dir")
    return 0


def _told(head: Head) -> dict[str, object]:
    return {
        "address": head.address,
        "tls": head.tls,
        "token_file": str(head.token_file),
        "model_server": head.model_server,
        "started_at": head.started_at,
        "logs": head.ray_dir,
        "join": _join(head),
    }


def _join(head: Head) -> str:
    """The line to run on each laptop."""
    options = [
        *("--token-file", "odllm.token"),
        *(("--tls-dir", "odllm-tls") if head.tls else ()),
        *(("--model-server", head.model_server) if head.model_server else ()),
    ]
    return shlex.join(["odllm-agent", "join", head.address, *options])


def _instructions(head: Head, *, already: bool) -> str:
    lines = [
        f"The head of the fleet {'was up already' if already else 'is up'} at {head.address}.",
        "Copy the token to each laptop, as a file that only its user may read:",
        f"  {shlex.join(['scp', str(head.token_file), 'LAPTOP:odllm.token'])}",
    ]
    if head.tls:
        lines += [
            "and a certificate for the address of each, or for all of a network:",
            "  odllm fleet certificate 192.168.1.0/24 --out odllm-tls && scp -r odllm-tls LAPTOP:",
        ]
    lines += ["Then run on each laptop:", f"  {_join(head)}"]
    if Address.parse(head.address).is_loopback:
        lines.append("Only this machine can reach it; `--address A` opens it to a network.")
    return "\n".join(lines)
