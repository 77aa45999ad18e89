"""How commands end: real processes, pipes and signals."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests import family

REPOSITORY = Path(__file__).parents[3]
FULL = Path("/dev/full")
pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs signals and pipes of POSIX")

_AROUND = """
import sys, time
from odllm_agent.terminal.ending import carried_out, heed_signals, heeding_signals
from odllm_agent.terminal import streams

def command(_):
{}

sys.exit(carried_out("it", lambda: command))
"""


def program(body: str) -> list[str]:
    """The command line of a command that does something."""
    return [sys.executable, "-c", _AROUND.format(textwrap.indent(textwrap.dedent(body), "    "))]


def started(body: str, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
        program(body),
        cwd=REPOSITORY,
        text=True,
        **({"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options),
    )


def in_shell(body: str, around: str, words: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Runs a command as a part of a line of a shell."""
    line = ["bash", "-c", around.replace("IT", '"$@"'), "bash", *program(body), *words]
    return subprocess.run(line, cwd=REPOSITORY, capture_output=True, text=True, check=False)


LONG = """
for number in range(100_000):
    print(number)
return {status}
"""


@pytest.mark.parametrize("status", [0, 1, 3])
def test_a_reader_that_has_had_enough_changes_nothing(status: int) -> None:
    ended = in_shell(LONG.format(status=status), "IT | head -1; echo ${PIPESTATUS[0]} >&2")
    assert ended.stdout == "0\n"
    assert ended.stderr == f"{status}\n"


def test_nobody_may_read_either_stream() -> None:
    body = """
    for number in range(100_000):
        print(number, file=sys.stderr)
    return 0
    """
    assert in_shell(body, "IT 2>&1 | head -c 2; exit ${PIPESTATUS[0]}").returncode == 0


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_no_fault_and_no_file_takes_its_place(
    closed: str, tmp_path: Path
) -> None:
    kept = tmp_path / "kept.txt"
    body = f"""
    file = open({str(kept)!r}, "w")
    print("told")
    print("complained", file=sys.stderr)
    sys.stdin.read() if "<" in {closed!r} else None
    file.close()
    return 0
    """
    ended = in_shell(body, f"IT {closed}")
    assert ended.returncode == 0
    assert "Traceback" not in ended.stderr
    assert kept.read_text() == ""


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(("status", "told"), [(0, 1), (1, 1), (3, 3)])
def test_a_full_disk_is_told_once_at_the_end(status: int, told: int) -> None:
    ended = in_shell(LONG.format(status=status), f"IT > {FULL}")
    assert ended.returncode == told
    assert ended.stderr == "it: standard output cannot be written: No space left on device\n"


def test_what_writes_without_end_ends_once_nobody_reads() -> None:
    watching = """
    while streams.is_read():
        print("still here", flush=True)
    return 0
    """
    pouring = """
    with streams.until_unread():
        while True:
            sys.stdout.buffer.write(bytes(10_000))
    return 0
    """
    for body in (watching, pouring):
        ended = in_shell(body, "IT | head -c 3 > /dev/null; exit ${PIPESTATUS[0]}")
        assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_what_pours_into_a_full_disk_ends_with_one_line() -> None:
    body = """
    with streams.until_unread():
        while True:
            sys.stdout.buffer.write(bytes(10_000))
    return 0
    """
    ended = in_shell(body, f"IT > {FULL}")
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        "it: standard output cannot be written: No space left on device"
    ]


def test_a_path_that_is_no_text_and_letters_beyond_the_encoding_come_out() -> None:
    body = r"""
    print("ö \udcff –")
    return 0
    """
    utf_8 = in_encoding(body, PYTHONUTF8="1")
    assert utf_8.stdout == "ö ".encode() + b"\xff" + " –\n".encode()
    ascii_only = in_encoding(body, PYTHONUTF8="0", PYTHONIOENCODING="ascii")
    assert (ascii_only.returncode, ascii_only.stderr) == (0, b"")
    assert ascii_only.stdout == rb"\xf6 \udcff \u2013" + b"\n"


def in_encoding(body: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    environment = os.environ | variables
    return subprocess.run(
        program(body), cwd=REPOSITORY, capture_output=True, env=environment, check=False
    )


SLEEPING = """
try:
    print("ready", flush=True)
    time.sleep(600)
finally:
    print("clearing up", flush=True)
    time.sleep({clearing_s})
    print("cleared up", flush=True)
return 0
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_as_ctrl_c_does_with_its_own_status(number: signal.Signals) -> None:
    with started(SLEEPING.format(clearing_s=0)) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=family.PATIENCE_S)
    assert process.returncode == 128 + number
    assert out.splitlines()[-2:] == ["clearing up", "cleared up"]
    assert err == "it: interrupted\n"


def test_further_signals_do_not_keep_it_from_clearing_up() -> None:
    with started(SLEEPING.format(clearing_s=1)) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        while process.stdout.readline() != "clearing up\n":
            assert process.poll() is None
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
            process.send_signal(number)
        out, err = process.communicate(timeout=family.PATIENCE_S)
    assert process.returncode == 128 + signal.SIGTERM
    assert out == "cleared up\n"
    assert err == "it: interrupted\n"


def test_a_signal_that_it_was_started_to_ignore_is_ignored() -> None:
    body = """
    print("ready", flush=True)
    sys.stdin.readline()
    return 0
    """
    ignoring = {"stdin": subprocess.PIPE, "preexec_fn": lambda: _ignore(signal.SIGHUP)}
    with started(body, **ignoring) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGHUP)
        _, err = process.communicate("go on\n", timeout=family.PATIENCE_S)
    assert (process.returncode, err) == (0, "")


def _ignore(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_IGN)


def test_signals_are_heeded_again_where_ray_would_have_them_exit() -> None:
    body = """
    import signal
    with heeding_signals():
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(15))
    signal.raise_signal(signal.SIGTERM)
    """
    during = """
    import signal
    with heeding_signals():
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(15))
        signal.raise_signal(signal.SIGTERM)
    """
    raised_otherwise = """
    import signal
    with heeding_signals():
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(15))
        try:
            signal.raise_signal(signal.SIGTERM)
        except SystemExit:
            raise KeyboardInterrupt from None
    """
    lost = raised_otherwise.replace("raise KeyboardInterrupt from None", "pass")
    for each in (body, during, raised_otherwise, lost):
        with started(each) as process:
            _, err = process.communicate(timeout=family.PATIENCE_S)
        assert (process.returncode, err) == (143, "it: interrupted\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_comes_where_nothing_can_be_raised_is_heeded_afterwards(
    number: signal.Signals,
) -> None:
    body = f"""
    import signal
    class Finalized:
        def __del__(self):
            signal.raise_signal({number})
    Finalized()
    print("went on", flush=True)
    time.sleep(600)
    """
    with started(body) as process:
        told = process.communicate(timeout=family.PATIENCE_S)
    assert (process.returncode, told) == (128 + number, ("went on\n", "it: interrupted\n"))


def test_other_errors_where_nothing_can_be_raised_are_told() -> None:
    body = """
    class Finalized:
        def __del__(self):
            raise ValueError("of its own")
    Finalized()
    return 0
    """
    with started(body) as process:
        _, err = process.communicate(timeout=family.PATIENCE_S)
    assert process.returncode == 0
    assert "ValueError: of its own" in err


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("odllm_controller", "odllm"),
        ("odllm_agent", "odllm-agent"),
        ("odllm_app", "odllm explore"),
        ("odllm_app.report", "odllm report"),
    ],
)
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_is_heeded_while_a_program_still_loads(
    module: str, name: str, number: signal.Signals, status: int, tmp_path: Path
) -> None:
    """NumPy stands for all that is loaded: each of them needs it."""
    (tmp_path / "numpy.py").write_text("import time\nprint('loading', flush=True)\ntime.sleep(600)")
    with subprocess.Popen(
        [sys.executable, "-m", module, "--help"],
        env=os.environ
        | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "loading\n"
        process.send_signal(number)
        told = process.communicate(timeout=family.PATIENCE_S)
    assert (process.returncode, told) == (status, ("", f"{name}: interrupted\n"))


def test_a_text_to_exit_with_is_told() -> None:
    with started('sys.exit("no such luck")') as process:
        _, err = process.communicate(timeout=family.PATIENCE_S)
    assert (process.returncode, err) == (1, "no such luck\n")
