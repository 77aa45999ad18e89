"""`odllm-agent install-service`: joining a fleet whenever this user's session runs."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from odllm_agent.commands import DONE
from odllm_agent.commands.join import Head, MembershipOptions
from odllm_agent.errors import UsageError
from odllm_agent.fleet.service import NAME, Service
from odllm_agent.terminal.program import program

_EXAMPLES = """\
examples:
  odllm-agent install-service 192.168.1.10 --token-file ~/odllm.token
                                          a systemd user unit, enabled and started
  loginctl enable-linger                  lets it run while nobody is logged in
  odllm-agent install-service 192.168.1.10 --token-file ~/odllm.token --print
  odllm-agent install-service 192.168.1.10 --token-file ~/odllm.token --print --system launchd \\
      > ~/Library/LaunchAgents/org.odllm.agent.plist
  odllm-agent install-service 192.168.1.10 --token-file odllm.token --print --system windows \\
      > odllm.xml && schtasks /create /tn odllm-agent /xml odllm.xml

It takes all options of `odllm-agent join`.
"""
_KEPT = ("ODLLM_CACHE_DIR", "ODLLM_STATE_DIR", "ODLLM_BUILDS_DIR")
ServiceSystem = Literal["systemd", "launchd", "windows"]
_OWN: Mapping[str, ServiceSystem] = {"darwin": "launchd", "win32": "windows"}
_HERE = _OWN.get(sys.platform, "systemd")


app = program("install-service", examples=_EXAMPLES)


@app.default
def install_service(
    head: Head,
    /,
    *,
    options: MembershipOptions,
    shown: Annotated[bool, Parameter(name="--print")] = False,
    system: ServiceSystem = _HERE,
) -> int:
    """Join a fleet whenever this user's session runs.

    Args:
        head: where the fleet's head answers
        options: how it joins
        shown: print it and install nothing
        system: in whose words
    """
    kept = {name: os.environ[name] for name in _KEPT if os.environ.get(name)}
    service = Service(_command(head, options), kept)
    texts = {
        "systemd": service.systemd,
        "launchd": service.launchd,
        "windows": service.task_scheduler,
    }
    text = texts[system]()
    if shown:
        print(text, end="" if text.endswith("\n") else "\n")
    elif system == "systemd":
        _install_unit(text)
    else:
        raise UsageError(
            f"a service of {system} is printed only", "add --print; --help says what then"
        )
    return DONE


def _command(head: str, options: MembershipOptions) -> list[str]:
    """The line that joins, with absolute paths, because a service starts elsewhere."""
    told = {
        "--token-file": options.token_file.absolute(),
        "--name": options.name,
        "--ports": options.ports,
        "--tls-dir": options.tls_dir and options.tls_dir.absolute(),
        "--cpus": options.cpus,
        "--model-server": options.model_server,
    }
    pairs = [(name, value) for name, value in told.items() if value]
    pairs += [("--label", label) for label in options.label]
    words = [word for name, value in pairs for word in (name, str(value))]
    return [sys.executable, "-m", "odllm_agent", "join", head, *words]


def _install_unit(text: str) -> None:
    if shutil.which("systemctl") is None:
        raise UsageError("this machine has no systemd", "add --print, and have its own run it")
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    path = Path(home) / "systemd" / "user" / f"{NAME}.service"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    for command in (["daemon-reload"], ["enable", "--now", NAME]):
        done = subprocess.run(  # noqa: S603 - fixed words
            ["systemctl", "--user", *command], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise UsageError(
                f"{path} is written, but systemd does not take it: {done.stderr.strip()}",
                f"try `{shlex.join(['systemctl', '--user', *command])}`",
            )
    print(f"{path} is enabled and started; `journalctl --user -u {NAME}` shows what it says")
