"""A child of this process: fed, ended in time, and never left behind."""

import contextlib
import signal
import subprocess
import sys
import tempfile
import time

import psutil
import pytest

from odllm_agent.processes import child
from tests import family
from tests.odllm_controller.bench import eventually

ECHO = "import sys; print(sys.stdin.readline().strip()[::-1]); print('aside', file=sys.stderr)"
WAITS = "import sys, time; print('begun', flush=True); time.sleep(3600)"
TIED = f"from odllm_agent.processes import child; child.end_with_parent(); {WAITS}"


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_child_is_told_its_order_and_what_it_says_comes_back_apart() -> None:
    done = child.ended(python(ECHO), family.PATIENCE_S, order="stressed")
    assert (done.status, done.output.split(), done.errors.split()) == (0, [b"desserts"], [b"aside"])


def test_what_goes_to_a_file_does_not_come_back() -> None:
    with tempfile.TemporaryFile("w+") as answers, tempfile.TemporaryFile("w+") as log:
        done = child.ended(
            python(ECHO), family.PATIENCE_S, order="stressed", output=answers, errors=log
        )
        answers.seek(0)
        log.seek(0)
        assert (answers.read().split(), log.read().split()) == (["desserts"], ["aside"])
    assert done == child.Ended(0)


def test_a_child_that_takes_too_long_is_ended_and_what_it_said_is_kept() -> None:
    assert child.run(python(WAITS), 10.0) == (None, ["begun"])


def test_the_status_is_the_childs_own() -> None:
    assert child.ended(python("raise SystemExit(7)"), family.PATIENCE_S).status == 7
    assert child.run(python("import os; os.abort()"), family.PATIENCE_S)[0] == -6


def test_an_order_that_is_never_read_is_no_fault() -> None:
    # More than a pipe holds, so that writing it waits for a reader or for the child's end.
    done = child.ended(python("import os; os.close(0)"), family.PATIENCE_S, order="x" * 2**20)
    assert done.status == 0


def test_a_child_that_reads_no_order_is_ended_in_time_too() -> None:
    assert child.ended(python(WAITS), 2.0, order="x" * 2**20).status is None


def test_whoever_stops_waiting_leaves_no_child() -> None:
    waiting = f"from odllm_agent.processes import child; child.ended({python(WAITS)!r}, 3600.0)"
    with subprocess.Popen(python(waiting), stderr=subprocess.PIPE) as process:
        eventually(lambda: family.descendants(psutil.Process(process.pid)))
        started = family.descendants(psutil.Process(process.pid))
        # One that is still being started belongs to nobody yet.
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=family.PATIENCE_S)
    assert b"KeyboardInterrupt" in told
    assert not any(map(family.lives, started))


def test_a_child_ends_with_its_standard_input() -> None:
    with subprocess.Popen(python(TIED), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as tied:
        assert tied.stdin
        assert tied.stdout
        assert tied.stdout.readline() == b"begun\n"
        assert tied.poll() is None
        tied.stdin.close()
        assert tied.wait(family.PATIENCE_S) == 1


def test_what_a_child_says_is_read_as_it_says_it() -> None:
    with contextlib.closing(child.said(python(WAITS), 3600.0, {})) as lines:
        assert next(lines) == "begun"


def test_a_child_that_is_read_no_further_is_ended() -> None:
    me = psutil.Process()
    before = family.descendants(me)
    lines = child.said(python(WAITS), 3600.0, {})
    next(lines)
    (started,) = set(family.descendants(me)) - set(before)
    lines.close()
    assert not family.lives(started)


def test_what_a_child_says_ends_with_how_it_ended() -> None:
    assert list(child.said(python("print('all')"), family.PATIENCE_S, {})) == ["all"]
    with pytest.raises(subprocess.CalledProcessError, match="exit status 7"):
        list(child.said(python("raise SystemExit(7)"), family.PATIENCE_S, {}))
    with pytest.raises(subprocess.TimeoutExpired):
        list(child.said(python(WAITS), 2.0, {}))
