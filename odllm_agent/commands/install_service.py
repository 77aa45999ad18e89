"""`odllm-agent install-service`: joining a fleet whenever this user's session runs."""

import argparse
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from odllm_agent.commands import DONE, join
from odllm_agent.errors import UsageError
from odllm_agent.fleet.service import NAME, Service

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
_OWN = {"linux": "systemd", "darwin": "launchd", "win32": "windows"}


def add_to(commands: Any) -> None:
    """Adds the command to those of the agent.

    Args:
        commands: What `argparse.ArgumentParser.add_subparsers` gave.
    """
    parser = commands.add_parser(
        "install-service",
        help="join a fleet whenever this user's session runs",
        description="Joins a fleet whenever this user's session runs.",
        epilog=_EXAMPLES,
    )
    join.add_arguments(parser)
    parser.add_argument(
        "--print", action="store_true", dest="shown", help="print it and install nothing"
    )
    parser.add_argument(
        "--system",
        choices=("systemd", "launchd", "windows"),
        default=_OWN.get(sys.platform, "systemd"),
        help="in whose words (%(default)s)",
    )
    parser.set_defaults(command=_install_service)


def _install_service(options: argparse.Namespace) -> int:
    service = Service(_command(options), _variables())
    texts = {
        "systemd": service.systemd,
        "launchd": service.launchd,
        "windows": service.task_scheduler,
    }
    text = texts[options.system]()
    if options.shown:
        print(text, end="" if text.endswith("\n") else "\n")
    elif options.system == "systemd":
        _install_unit(text)
    else:
        raise UsageError(
            f"a service of {options.system} is printed only", "add --print; --help says what then"
        )
    return DONE


def _command(options: argparse.Namespace) -> list[str]:
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
    return [sys.executable, "-m", "odllm_agent", "join", options.head, *words]


def _variables() -> dict[str, str]:
    return {name: os.environ[name] for name in _KEPT if os.environ.get(name)}


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
