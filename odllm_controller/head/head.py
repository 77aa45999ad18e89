"""The head of the fleet on this machine: finding it and ending it."""

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import psutil

from odllm_agent.errors import DispatchError
from odllm_agent.host.versions import Versions
from odllm_agent.network import ray_folder
from odllm_agent.network.address import Address
from odllm_agent.network.ray_environment import ray_environment
from odllm_agent.processes import tagged
from odllm_controller.head.folder import fleet_root

SERVERS = {"gcs_server", "gcs_server.exe"}
# A head keeps nothing that it would have to write down.
_ENDING_S = 1.0


@dataclass(frozen=True, slots=True)
class Head:
    """A head that was started on this machine.

    Attributes:
        folder: The fleet folder.
        address: Its host and port.
        tls: Whether its connections are encrypted.
        mark: What its processes are marked with.
        pid: The process that answers at the address.
        ray_dir: Where Ray's sockets and logs are.
        model_server: Where the fleet's models are served, or `""`.
        started_at: When it was started, in UTC by ISO 8601.
        versions: What it runs, or `None` if that was not written down.
    """

    folder: Path
    address: str
    tls: bool = False
    mark: str = ""
    pid: int = 0
    ray_dir: str = ""
    model_server: str = ""
    started_at: str = ""
    versions: Versions | None = None

    @classmethod
    def load(cls) -> Self:
        """The head in the fleet folder.

        Raises:
            DispatchError: There is none, it has ended, or it does not fit this process.
        """
        head = cls.last()
        if head is None or not head.is_up:
            raise DispatchError(
                "no head of a fleet is up on this machine", "start it with `odllm fleet up`"
            )
        head.check_fits()
        return head

    @classmethod
    def last(cls) -> Self | None:
        """The head that was started last, up or not, or `None` if it was ended in order."""
        return cls.of(fleet_root())

    @classmethod
    def of(cls, folder: Path) -> Self | None:
        """The head that was started last for a fleet folder, or `None`.

        Args:
            folder: The fleet folder.
        """
        try:
            told = json.loads((folder / "head.json").read_bytes())
            versions = told.get("versions")
            return cls(folder, **told | {"versions": versions and Versions(**versions)})
        except (OSError, ValueError, TypeError, AttributeError):
            return None

    @property
    def is_up(self) -> bool:
        """Whether it has not ended."""
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self.pid)
            # In a container nobody may take away a process that was killed.
            return process.name() in SERVERS and process.status() != psutil.STATUS_ZOMBIE
        return False

    def check_fits(self) -> None:
        """Sees that this process can reach it; Ray would fail, with advice that does not help.

        Raises:
            DispatchError: It runs other versions than this process.
        """
        differences = Versions.here().differences(self.versions) if self.versions else ()
        if self.versions and differences:
            raise DispatchError(
                f"the head of the fleet at {self.address} does not fit this command: "
                + ", ".join(differences),
                f"run it with the head's {self.versions.needed}; or end the head by "
                "`odllm fleet down` and start one of these versions by `odllm fleet up`, "
                "which its laptops then need too",
            )

    @property
    def token_file(self) -> Path:
        """The file with the fleet's token."""
        return self.folder / "token"

    @property
    def tls_dir(self) -> Path | None:
        """The folder with the head's certificate, if its connections are encrypted."""
        return self.folder / "tls" / "head" if self.tls else None

    def environment(self) -> dict[str, str]:
        """The variables that Ray needs to reach it; none holds the token itself.

        They have to be set before Ray is imported, with `RAY_AUTH_TOKEN` unset.
        """
        return head_environment(Address.parse(self.address), self.token_file, self.tls_dir)

    def keep(self) -> None:
        """Writes down what `load` finds."""
        told = {name: value for name, value in asdict(self).items() if name != "folder"}
        partial = self.folder / "head.json.part"
        partial.write_text(json.dumps(told, indent=1))
        partial.replace(self.folder / "head.json")

    def end(self) -> int:
        """Ends it with all of its processes, and forgets it.

        Returns:
            How many processes there were.
        """
        ended = tagged.end(self.mark, _ENDING_S)
        ray_folder.remove(Path(self.ray_dir))
        (self.folder / "head.json").unlink(missing_ok=True)
        return ended


def head_environment(address: Address, token: Path, tls_dir: Path | None) -> dict[str, str]:
    """The variables with which a head, or a driver on its machine, runs Ray.

    Args:
        address: Where the head answers.
        token: The file with the fleet's token.
        tls_dir: The folder with the head's certificate, if its connections are encrypted.
    """
    # A Ray that is told that it is no cluster takes loopback as its address, on every system. By
    # the option for an address it cannot be had: there Ray takes it for one of the network.
    cluster = "0" if address.is_loopback else "1"
    return ray_environment(token, tls_dir) | {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": cluster}
