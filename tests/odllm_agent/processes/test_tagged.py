"""Processes that belong together."""

import os
import subprocess
import sys
import textwrap

import psutil

from odllm_agent.processes import tagged


def start(mark: str, code: str) -> subprocess.Popen[bytes]:
    environment = os.environ | tagged.marking(mark)
    return subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE)


ORPHAN = textwrap.dedent("""
    import subprocess, sys
    sleep = "import time; print(flush=True); time.sleep(600)"
    subprocess.Popen([sys.executable, "-c", sleep], start_new_session=True).pid
""")
RENAMED = textwrap.dedent("""
    import time
    import ray._raylet
    ray._raylet.setproctitle("ray::Agent")
    print("renamed", flush=True)
    time.sleep(600)
""")
STUBBORN = textwrap.dedent("""
    import signal, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print(flush=True)
    time.sleep(600)
""")


def test_an_orphan_in_a_session_of_its_own_is_found_and_ended() -> None:
    mark = tagged.new_mark()
    with start(mark, ORPHAN) as parent:
        assert parent.stdout
        parent.stdout.readline()
        parent.wait()
        (orphan,) = tagged.marked(mark)
        assert tagged.end(mark) == 1
        assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE
    assert tagged.marked(mark) == []


def test_who_does_not_end_in_order_is_killed_and_others_are_left_alone() -> None:
    mine, other = tagged.new_mark(), tagged.new_mark()
    with start(mine, STUBBORN) as stubborn, start(other, STUBBORN) as bystander:
        try:
            for each in (stubborn, bystander):
                assert each.stdout
                each.stdout.readline()
            assert tagged.end(mine, grace_s=0.1) == 1
            assert not psutil.pid_exists(stubborn.pid)
            assert bystander.poll() is None
        finally:
            stubborn.kill()
            bystander.kill()


def test_a_process_that_ray_gave_another_name_keeps_its_mark() -> None:
    mark = tagged.new_mark()
    with start(mark, RENAMED) as renamed:
        try:
            assert renamed.stdout
            assert renamed.stdout.readline()
            (found,) = tagged.marked(mark)
            assert found.cmdline()[0] == "ray::Agent"
        finally:
            renamed.kill()
