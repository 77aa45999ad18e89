"""A real quota of processor time, in a control group that is made for it."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from odllm_agent.contract import Device, from_plain
from odllm_agent.host.control_groups import GroupMembership
from odllm_controller.planning import plan
from tests import support
from tests.odllm_controller.configs import experiment

PERIOD_US = 100_000
JOIN = """
import os, sys
from pathlib import Path
Path(sys.argv[1], "cgroup.procs").write_text(str(os.getpid()))
"""
DOCTOR = f"""{JOIN}
from odllm_agent.cli import main
main(["doctor", "--json"])
"""
# Joins the group once all is imported, and so can be given little time.
SPIN = f"""
import time
from odllm_agent.host import disturbance, state
{JOIN}
before = state.read_state()
while time.process_time() < before.own_cpu_s + 0.05:
    pass
print(*disturbance.flags(before, state.read_state(), 1.0, 1))
"""


@contextmanager
def group(cores: float) -> Iterator[Path]:
    """A control group with a quota, for as long as the context lasts."""
    made = _made(round(cores * PERIOD_US))
    try:
        yield made
    finally:
        _remove(made)


def _made(quota_us: int) -> Path:
    reasons = []
    for version, above in GroupMembership.here().groups("cpu"):
        made = above / f"odllm-test-{os.getpid()}"
        try:
            made.mkdir()
            _limit(made, version, quota_us)
        except OSError as error:
            reasons.append(f"{above}: {error.strerror}")
            with contextlib.suppress(OSError):
                made.rmdir()
        else:
            return made
    pytest.skip(f"no control group can be given a quota: {'; '.join(reasons) or 'there is none'}")


def _limit(made: Path, version: int, quota_us: int) -> None:
    limits = {
        1: {"cpu.cfs_period_us": f"{PERIOD_US}", "cpu.cfs_quota_us": f"{quota_us}"},
        2: {"cpu.max": f"{quota_us} {PERIOD_US}"},
    }
    for name, text in limits[version].items():
        # A group that may not share out processor time lacks the file, and must not be given one.
        with (made / name).open("r+") as file:
            file.write(text)


def _remove(made: Path) -> None:
    # What has just ended may be in the group for a moment more.
    for _ in range(50):
        with contextlib.suppress(OSError):
            made.rmdir()
            return
        time.sleep(0.1)


def said(*command: str) -> str:
    """What a Python says."""
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True)
    return done.stdout


def test_a_quota_is_told_by_doctor_and_kept_to_by_automatic_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODLLM_CACHE_DIR", str(tmp_path))
    with group(cores=1.0) as made:
        told = json.loads(said("-c", DOCTOR, str(made)))
    (found,) = (each for each in told["findings"] if each["subject"] == "quota")
    assert f"by {made}" in found["told"]
    assert (found["verdict"] == "disturbs") == (told["device"]["logical_cores"] > 1)
    here = from_plain(Device, told["device"])
    assert here.quota_cores == 1.0
    (trial,) = plan.trials(experiment(), here, [support.model_file()])
    assert trial.engine.settings["threads"] == 1


def test_work_that_a_quota_stops_is_flagged() -> None:
    # Little enough to be used up even where others leave the processor hardly any time.
    with group(cores=0.02) as made:
        assert "throttled_by_quota" in said("-c", SPIN, str(made)).split()


def test_the_same_work_within_a_quota_is_not_flagged_for_it() -> None:
    with group(cores=2.0) as made:
        assert "throttled_by_quota" not in said("-c", SPIN, str(made)).split()
