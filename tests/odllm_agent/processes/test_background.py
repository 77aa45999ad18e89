"""Processes that go on in the background."""

import os
import sys
from pathlib import Path

from odllm_agent.processes import background
from tests import family

SAYS = "import os, sys; print(os.getsid(0)); print('aside', file=sys.stderr)"
READS = "import sys; print('begun', flush=True); sys.stdin.read(); print('closed')"
STAYS = "import signal, time; {}; print('begun', flush=True); time.sleep(3600)"


def python(code: str) -> list[str]:
    return [sys.executable, "-u", "-c", code]


def test_all_that_it_says_is_in_its_log_and_nothing_of_an_earlier_one(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("earlier")
    for alone in (True, False):
        started = background.start(python(SAYS), log, alone=alone)
        assert started.wait(family.PATIENCE_S) == 0
        own, aside = log.read_text().split()
        assert (own == str(started.pid)) is alone
        assert (own == str(os.getsid(0))) is not alone
        assert aside == "aside"


def test_its_standard_input_is_open_as_long_as_it_is_tied(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert background.start(python(READS), log).wait(family.PATIENCE_S) == 0
    tied = background.start(python(READS), log, tied=True)
    assert background.has_said(tied, log, b"begun", family.PATIENCE_S)
    assert tied.poll() is None
    assert tied.stdin
    tied.stdin.close()
    assert tied.wait(family.PATIENCE_S) == 0
    assert background.last_words(log) == "closed"


def test_one_that_does_not_leave_in_order_is_waited_for_no_longer(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for deaf in ("pass", "signal.signal(signal.SIGTERM, signal.SIG_IGN)"):
        process = background.start(python(STAYS.format(deaf)), log)
        try:
            assert background.has_said(process, log, b"begun", family.PATIENCE_S)
            background.leave(process, family.PATIENCE_S if deaf == "pass" else 0.5)
            assert (process.poll() is None) is (deaf != "pass")
        finally:
            process.kill()
            process.wait()


def test_one_that_ends_or_is_silent_for_long_has_not_said_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    ended = background.start(python("print('something else')"), log)
    assert not background.has_said(ended, log, b"begun")
    assert ended.wait(family.PATIENCE_S) == 0
    silent = background.start(python("import sys; sys.stdin.read()"), log, tied=True)
    assert not background.has_said(silent, log, b"begun", 0.2)
    assert silent.stdin
    silent.stdin.close()
    assert silent.wait(family.PATIENCE_S) == 0


def test_the_last_words_are_those_of_the_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("one\ntwo\nthree\n\n")
    assert background.last_words(log) == "three"
    assert background.last_words(log, 2) == "two three"
    log.write_bytes(b"")
    assert background.last_words(log) == ""
