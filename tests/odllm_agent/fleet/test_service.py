"""The service, read back by what each system's words can be read with."""

import configparser
import plistlib
import shlex
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odllm_agent.fleet.service import Service

COMMAND = ["/opt/my venv/bin/python", "-m", "odllm_agent", "join", "h:1", "--label", 'a="50%"']
SERVICE = Service(COMMAND, {"ODLLM_CACHE_DIR": "/models & more"})
NAMESPACE = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"


def systemd_unit(service: Service) -> configparser.ConfigParser:
    unit = configparser.ConfigParser(interpolation=None, strict=True)
    unit.read_string(service.systemd())
    return unit


def test_systemd_starts_the_same_words_again_after_a_failure_and_not_after_wrong_usage() -> None:
    unit = systemd_unit(SERVICE)
    words = shlex.split(unit["Service"]["ExecStart"].replace("%%", "%"))
    assert words == COMMAND
    assert unit["Service"]["Environment"] == '"ODLLM_CACHE_DIR=/models & more"'
    assert unit["Service"]["Restart"] == "on-failure"
    assert unit["Service"]["RestartPreventExitStatus"] == "2"
    assert unit["Install"]["WantedBy"] == "default.target"


@given(st.lists(st.text(st.characters(codec="ascii", exclude_categories=["Cc"])), min_size=1))
def test_systemd_is_given_every_word_as_it_is(words: list[str]) -> None:
    line = systemd_unit(Service(words))["Service"]["ExecStart"]
    assert shlex.split(line.replace("%%", "%").replace("$$", "$")) == words


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="this machine has no systemd")
def test_systemd_itself_finds_nothing_wrong(tmp_path: Path) -> None:
    unit = tmp_path / "odllm-agent.service"
    unit.write_text(Service(["/bin/sh", *COMMAND[1:]], SERVICE.variables).systemd())
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", str(unit)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(tmp_path)},
    )
    assert "odllm-agent.service:" not in done.stderr, done.stderr


def test_launchd_starts_the_same_words_and_keeps_them_running() -> None:
    told = plistlib.loads(SERVICE.launchd().encode())
    assert told["ProgramArguments"] == COMMAND
    assert told["EnvironmentVariables"] == dict(SERVICE.variables)
    assert told["KeepAlive"] == {"SuccessfulExit": False}
    assert told["RunAtLoad"] is True


def test_the_task_scheduler_starts_at_logon_also_on_battery_and_without_an_end() -> None:
    task = ET.fromstring(Service(COMMAND).task_scheduler())
    assert task.find(f"{NAMESPACE}Triggers/{NAMESPACE}LogonTrigger") is not None
    action = task.find(f"{NAMESPACE}Actions/{NAMESPACE}Exec")
    assert action is not None
    assert action.findtext(f"{NAMESPACE}Command") == COMMAND[0]
    assert action.findtext(f"{NAMESPACE}Arguments") == subprocess.list2cmdline(COMMAND[1:])
    found = task.find(f"{NAMESPACE}Settings")
    assert found is not None
    settings = {each.tag.removeprefix(NAMESPACE): each.text for each in found}
    assert settings["ExecutionTimeLimit"] == "PT0S"
    assert settings["DisallowStartIfOnBatteries"] == settings["StopIfGoingOnBatteries"] == "false"


def test_the_task_scheduler_has_its_variables_set_by_a_shell() -> None:
    task = ET.fromstring(SERVICE.task_scheduler())
    action = task.find(f"{NAMESPACE}Actions/{NAMESPACE}Exec")
    assert action is not None
    assert action.findtext(f"{NAMESPACE}Command") == "cmd.exe"
    assert 'set "ODLLM_CACHE_DIR=/models & more" && ' in (
        action.findtext(f"{NAMESPACE}Arguments") or ""
    )
