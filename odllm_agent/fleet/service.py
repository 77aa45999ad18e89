"""`odllm-agent join` as a service of this user, in the words of each system."""

import plistlib
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

NAME = "odllm-agent"
_LABEL = "org.odllm.agent"
_TASK = "http://schemas.microsoft.com/windows/2004/02/mit/task"
_AGAIN_S = 60
# Wrong usage stays wrong; anything else may be mended from outside, such as a version.
_WRONG_USAGE = 2


@dataclass(frozen=True, slots=True)
class Service:
    """What is to run whenever this user's session does.

    Attributes:
        command: The program and its arguments.
        variables: What its environment must hold beside the system's own.
    """

    command: Sequence[str]
    variables: Mapping[str, str] = field(default_factory=dict)

    def systemd(self) -> str:
        """A systemd user unit."""
        variables = [f"Environment={_quoted(f'{k}={v}')}" for k, v in self.variables.items()]
        lines = [
            "[Unit]",
            "Description=ODLLM agent in a fleet",
            "",
            "[Service]",
            f"ExecStart={' '.join(map(_quoted_argument, self.command))}",
            *variables,
            "Restart=on-failure",
            f"RestartSec={_AGAIN_S}",
            f"RestartPreventExitStatus={_WRONG_USAGE}",
            # The agent ends its node itself, and its node's processes in order.
            "KillMode=mixed",
            "TimeoutStopSec=60",
            "",
            "[Install]",
            "WantedBy=default.target",
        ]
        return "\n".join(lines) + "\n"

    def launchd(self) -> str:
        """A launchd agent of macOS, as a property list."""
        told = {
            "Label": _LABEL,
            "ProgramArguments": [*self.command],
            "EnvironmentVariables": dict(self.variables),
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": _AGAIN_S,
            "ProcessType": "Interactive",
        }
        return plistlib.dumps(told).decode()

    def task_scheduler(self) -> str:
        """A task of the Windows Task Scheduler, as XML; a file of it has to be UTF-16."""
        task = ET.Element("Task", {"version": "1.2", "xmlns": _TASK})
        trigger = ET.SubElement(ET.SubElement(task, "Triggers"), "LogonTrigger")
        ET.SubElement(trigger, "Enabled").text = "true"
        settings = ET.SubElement(task, "Settings")
        for name, value in _TASK_SETTINGS.items():
            ET.SubElement(settings, name).text = value
        again = ET.SubElement(settings, "RestartOnFailure")
        ET.SubElement(again, "Interval").text = "PT1M"
        ET.SubElement(again, "Count").text = "999"
        action = ET.SubElement(ET.SubElement(task, "Actions"), "Exec")
        program, arguments = self._windows_command()
        ET.SubElement(action, "Command").text = program
        ET.SubElement(action, "Arguments").text = arguments
        ET.indent(task)
        return '<?xml version="1.0" encoding="UTF-16"?>\n' + ET.tostring(task, encoding="unicode")

    def _windows_command(self) -> tuple[str, str]:
        """A program and its arguments; a task has no variables, so a shell sets them."""
        if not self.variables:
            return self.command[0], subprocess.list2cmdline(self.command[1:])
        setting = "".join(f'set "{name}={value}" && ' for name, value in self.variables.items())
        return "cmd.exe", f'/c "{setting}{subprocess.list2cmdline(self.command)}"'


# A laptop is measured on its battery too where an experiment says so.
_TASK_SETTINGS = {
    "DisallowStartIfOnBatteries": "false",
    "StopIfGoingOnBatteries": "false",
    "ExecutionTimeLimit": "PT0S",
    "MultipleInstancesPolicy": "IgnoreNew",
}


def _quoted(text: str) -> str:
    """A word of a unit file (systemd.syntax)."""
    escaped = re.sub(r'(["\\])', r"\\\1", text).replace("%", "%%")
    return f'"{escaped}"'


def _quoted_argument(text: str) -> str:
    """A word of a command line, in which systemd replaces variables too (systemd.service)."""
    return _quoted(text.replace("$", "$$"))
