"""A network of hosts on this machine, in Linux namespaces that end with whoever made them."""

import contextlib
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.fleet.host import Host
from tests.fleet.namespace import Namespace

_SUBNET = "10.77.0"
_TOOLS = ("unshare", "nsenter", "ip", "mount")


def why_not() -> str:
    """Why there can be no hosts here, or nothing."""
    if getattr(os, "geteuid", lambda: 1)() != 0:
        return "hosts in namespaces need root"
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        return f"hosts in namespaces need {', '.join(missing)}"
    try:
        with network() as trial:
            trial.wire(Namespace.make(), 1)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no namespaces or virtual network here: {error}"
    return ""


@contextlib.contextmanager
def network() -> Iterator["Network"]:
    """A switch without hosts; what is connected to it ends with the context."""
    made = Network(Namespace.make())
    try:
        made.switch.ip("link", "add", "switch", "type", "bridge")
        made.switch.ip("link", "set", "switch", "up")
        yield made
    finally:
        made.end()


class Network:
    """Hosts on one switch.

    The switch lies in a namespace of its own, so that nothing of it shows in the machine's own
    network, and several networks with the same addresses do not meet.

    Args:
        switch: The namespace in which the bridge is.
    """

    def __init__(self, switch: Namespace) -> None:
        self.switch = switch
        self._members: list[Namespace] = []
        self.hosts: list[Host] = []

    def host(self, name: str, folder: Path, environment: Mapping[str, str] | None = None) -> Host:
        """Adds a host with an address, a machine id and folders of its own.

        Args:
            name: Its host name.
            folder: Where its folders are made.
            environment: What its processes find in their environment beside the usual.
        """
        namespace = Namespace.make()
        number = len(self._members) + 1
        self.wire(namespace, number)
        namespace.run("hostname", name)
        made = Host(name, f"{_SUBNET}.{number}", folder, namespace, self, dict(environment or {}))
        made.furnish(uuid.uuid5(uuid.NAMESPACE_DNS, name).hex)
        self.hosts.append(made)
        return made

    def wire(self, namespace: Namespace, number: int) -> None:
        """Connects a namespace to the switch.

        Args:
            namespace: What is connected.
            number: The last part of its address.
        """
        self._members.append(namespace)
        cable = ["type", "veth", "peer", "name", "eth0", "netns", str(namespace.pid)]
        self.switch.ip("link", "add", f"port{number}", *cable)
        self.switch.ip("link", "set", f"port{number}", "master", "switch", "up")
        namespace.ip("address", "add", f"{_SUBNET}.{number}/24", "dev", "eth0")
        namespace.ip("link", "set", "eth0", "up")
        namespace.ip("link", "set", "lo", "up")

    def link(self, host: Host, state: str) -> None:
        """Sets the link of a host `up` or `down`."""
        self.switch.ip("link", "set", f"port{host.address.rpartition('.')[2]}", state)

    def end(self) -> None:
        """Ends every process of every host, and the network with them."""
        for host in self.hosts:
            host.end()
        for namespace in (*self._members, self.switch):
            namespace.end()
